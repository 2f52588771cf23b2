"""`sagas apply module:attribute`: sagas in Python are published like files."""

from __future__ import annotations

import sys

import pytest

from sagas.core.document import content_hash
from sagas.models import SagaVersion
from sagas.testing import DocumentWrongError, simulate
from tests.catalog.test_sagas_command import run

pytestmark = pytest.mark.django_db
MODULE = """\
from sagas.definition import compensation, retry, saga, step

trip = saga("book-trip", steps=[step("book", action="travel.book", compensation="none")])
wrong = saga("book-trip", steps=[step("book", action="travel.book", retry=retry(attempts=0))])
number = 7
"""
YAML = "saga: book-trip\nsteps:\n  - name: book\n    action: travel.book\n    compensation: none\n"


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_sagas.py").write_text(MODULE)
    (tmp_path / "broken_sagas.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_sagas", None)


def test_a_saga_in_python_is_published_as_the_yaml_that_it_makes(module):
    out, err = run("apply", "my_sagas:trip")
    assert out == "my_sagas:trip: published: book-trip version 1\n"
    assert err.startswith("my_sagas:trip: warning: steps[0].action: No action called `travel.book`")
    version = SagaVersion.objects.get()
    assert version.source == YAML
    (module / "trip.yaml").write_text(f"# the same\n{YAML}")
    assert run("apply", "trip.yaml")[0] == "trip.yaml: unchanged: book-trip version 1\n"
    assert content_hash(version.document) == version.content_hash
    assert run("validate", "my_sagas:trip")[0] == "my_sagas:trip: no problems\n"
    assert run("simulate", "my_sagas:trip")[0].splitlines()[1].startswith("book-trip: completed")


def test_what_is_wrong_is_told_with_its_place_and_without_lines_that_nobody_wrote(module):
    out, err = run("apply", "my_sagas:wrong", "my_sagas:trip")
    assert err.splitlines()[0] == (
        "my_sagas:wrong: error: steps[0].compensation: Step `book` changes something and has no `compensation`. "
        "Give it an action that undoes it, or say `compensation: none`. [compensation_missing]"
    )
    assert "my_sagas:wrong: error: steps[0].retry.attempts: `attempts` must be a whole number" in err
    assert out == "my_sagas:trip: published: book-trip version 1\n"
    assert err.splitlines()[-1] == "1 of 2 documents has problems."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my_sagas:tripp", "my_sagas has no tripp. Did you mean `trip`?"),
        ("my_sagas:number", "my_sagas:number is no saga made by sagas.definition, but of type int."),
        ("no_sagas:trip", "no_sagas cannot be imported: ModuleNotFoundError: No module named 'no_sagas'"),
        ("broken_sagas:trip", "broken_sagas cannot be imported: RuntimeError: no"),
        ("my_sagas.py", "A saga in Python is named as module:attribute, such as shop.definitions:create_order."),
        ("my_sagas:a.b", "The file cannot be read: No such file or directory."),
    ],
)
def test_what_cannot_be_imported_is_told(module, name, text):
    assert run("validate", name)[1] == f"{name}: error: {text} [unreadable]\n1 of 1 document has problems.\n"


def test_a_file_of_such_a_name_comes_first(module):
    (module / "my_sagas:trip").write_text(YAML.replace("book-trip", "from-a-file"))
    assert "from-a-file version 1" in run("apply", "my_sagas:trip")[0]


def test_it_can_be_simulated_in_tests_by_its_name(module):
    assert simulate("my_sagas:trip", faults={"book": "rejected"}).status == "compensated"
    with pytest.raises(DocumentWrongError, match="my_sagas has no tripp"):
        simulate("my_sagas:tripp")
