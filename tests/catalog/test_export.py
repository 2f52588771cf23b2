"""`sagas list` and `sagas export`: what there is, and files that change nothing when they are applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.utils import timezone

from sagas.catalog import publish
from sagas.catalog.export import export_version
from sagas.core.document import content_hash
from sagas.core.source import read_source
from sagas.core.vocabulary import RunStatus
from sagas.models import Saga, SagaVersion
from sagas.queries.sagas import list_sagas
from tests import factories as f
from tests.catalog.test_sagas_command import GOOD as BOOK_TRIP
from tests.catalog.test_sagas_command import run

GOOD = BOOK_TRIP.replace("book-trip", "a-trip")  # an example has the other name
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("**/*.yaml"))
pytestmark = pytest.mark.django_db
STEP = '{name: pay, action: a.b, compensation: {with: {z: 1, a: "${input.n}"}, action: a.c}, title: Pay}'
ODD = f'steps:\r\n  - {STEP}\r\n# why\r\ntitle: "1 😀\\x85"\r\nsaga: odd-one\r\ninput: {{properties: {{n: {{}}}}}}\r\n'
JSON = (
    '{"saga": "json-one",\n "description": "a\\nb ", "steps": [{"name": "x", "action": "a.b", "compensation": "none"}]}'
)


@pytest.fixture
def published():
    sources = [GOOD, ODD, JSON, *(path.read_text() for path in EXAMPLES)]
    return [publish.publish(source, by="ana").version for source in sources]


@pytest.mark.parametrize("form", [[], ["--canonical"]])
def test_what_is_exported_and_applied_changes_nothing(tmp_path, published, form):
    out, err = run("export", "--all", "--to", tmp_path / "new", *form)
    assert err == ""
    files = sorted((tmp_path / "new").iterdir(), key=lambda path: path.stem)  # by the name of the saga
    assert out.splitlines() == [f"{path}: written" for path in files]
    assert len(files) == len(published)
    out, _ = run("apply", *files)
    assert [line.split(": ")[1] for line in out.splitlines()] == ["unchanged"] * len(files)
    hashes = {version.saga.name: version.content_hash for version in published}
    for path in files:
        assert content_hash(read_source(path.read_bytes().decode())[0]) == hashes[path.stem]
        assert path.suffix == (".json" if path.stem == "json-one" and not form else ".yaml")


def test_a_source_is_exported_as_it_was_written_and_canonical_yaml_in_the_order_of_the_reference(published):
    assert run("export", "a-trip")[0] == GOOD
    assert run("export", "odd-one")[0] == ODD
    assert run("export", "odd-one", "--canonical")[0] == (
        'saga: odd-one\ntitle: "1 😀\\u0085"\ninput:\n  properties:\n    n: {}\nsteps:\n  - name: pay\n    title: Pay\n'
        "    action: a.b\n    compensation:\n      action: a.c\n      with:\n        z: 1\n        a: ${input.n}\n"
    )
    assert run("export", "json-one", "--canonical")[0].startswith(
        "saga: json-one\ndescription: |-\n  a\n  b \nsteps:\n"
    )


def test_what_would_not_be_read_back_is_exported_in_another_form():
    version = publish.publish(GOOD, by="ana").version
    SagaVersion.objects.filter(id=version.id).update(source="saga: other\n")
    version.refresh_from_db()
    assert export_version(version).text.startswith("saga: a-trip\nsteps:\n")
    long = {"saga": "long", "steps": [{"name": "x", "action": "a.b", "compensation": "none", "with": {}}]}
    deep = [{"a": 1}] * 3_000
    for _ in range(50):
        deep = {"b": deep}  # three thousand lines of a hundred spaces
    long["steps"][0]["with"] = deep
    version = publish.publish(json.dumps(long, separators=(",", ":")), by="ana").version
    exported = export_version(version, is_canonical=True)
    assert exported.file_name == "long.json"
    assert not publish.publish(exported.text, by="ana").is_new


def test_a_file_that_says_something_else_is_left_alone(tmp_path, published):
    path = tmp_path / "a-trip.yaml"
    path.write_text("mine\n")
    out, err = run("export", "a-trip", "--to", tmp_path)
    assert out == f"{path}: left alone: it says something else\n"
    assert err == "1 file says something else; --force writes over what is there.\n"
    assert path.read_text() == "mine\n"
    assert run("export", "a-trip", "--to", tmp_path, "--force") == (f"{path}: written\n", "")
    assert run("export", "a-trip", "--to", tmp_path) == (f"{path}: unchanged\n", "")
    assert path.read_text() == GOOD
    assert run("export", "a-trip", "--to", path)[1].startswith(f"{path}/a-trip.yaml cannot be written: ")


def test_an_older_version_is_exported_by_its_number():
    publish.publish(GOOD, by="ana")
    publish.publish(GOOD + "title: Other\n", by="ana")
    assert run("export", "a-trip", "--number", 1)[0] == GOOD


def test_what_is_not_there_is_said(published):
    assert run("export", "a-tripp") == ("", "There is no saga a-tripp. Did you mean `a-trip`?\n")
    assert run("export", "a-trip", "--number", 7) == ("", "There is no saga a-trip version 7; the latest is 1.\n")
    assert run("export") == ("", "Say which saga, or --all.\n")
    assert run("export", "a-trip", "--all") == ("", "Say which saga, or --all.\n")
    assert run("export", "--all") == ("", "Several documents go into files: say --to FOLDER.\n")
    assert run("export", "a-trip", "odd-one") == ("", "Several documents go into files: say --to FOLDER.\n")
    assert run("export", "--all", "--to", "x", "--number", 1) == ("", "--number is of one saga: name it.\n")
    assert run("export", "a-trip", "--force") == ("", "--force is about files: say --to FOLDER.\n")


def test_an_archived_saga_is_exported_only_by_its_name(tmp_path):
    assert run("export", "--all", "--to", tmp_path) == ("No saga is published yet.\n", "")
    publish.publish(GOOD, by="ana")
    Saga.objects.update(archived_at=timezone.now())
    assert run("export", "--all", "--to", tmp_path) == ("No saga is published yet.\n", "")
    assert run("export", "a-trip")[0] == GOOD


def test_sagas_are_listed_with_their_versions_and_runs():
    assert run("list") == ("No saga is published yet: sagas apply FILE publishes one.\n", "")
    publish.publish(GOOD, by="ana")
    publish.publish(GOOD + "title: Take a trip\n", by="ben")
    now = timezone.now()
    f.queued(now)
    f.retrying(now)
    f.in_flight(now)
    assert run("list")[0] == (
        "a-trip        version 2  0 runs                         Take a trip\n"
        "create-order  version 1  3 runs (1 pending, 2 running)  Create order\n"
    )
    book, create = json.loads(run("list", "--json")[0])
    assert (book["name"], book["version"], book["versions"], book["published_by"]) == ("a-trip", 2, 2, "ben")
    assert (book["runs"], book["runs_by_status"]) == (0, {})
    assert (create["runs"], create["runs_by_status"]) == (3, {"pending": 1, "running": 2})
    assert book["content_hash"] == SagaVersion.objects.get(saga__name="a-trip", number=2).content_hash
    Saga.objects.filter(name="a-trip").update(archived_at=now)
    assert run("list")[0].splitlines()[0].endswith("Take a trip  (archived)")


@pytest.mark.parametrize("count", [10, 1_000])
def test_the_list_costs_two_queries(count, django_assert_num_queries):
    f.make_runs(10)
    for number in range(count):
        Saga.objects.create(name=f"saga-{number}", title="Saga")
    with django_assert_num_queries(2):
        found = list_sagas()
    assert len(found) == count + 1
    assert found[0].runs == 10
    assert {*found[0].runs_by_status} <= {status.value for status in RunStatus}
