"""The pages of sagas: writing, checking and publishing a definition; starting a run from the form."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from sagas.catalog.publish import publish
from sagas.core.problem import Problem
from sagas.dashboard import start_form
from sagas.dashboard.sagas import STARTER
from sagas.models import Saga, SagaRun, SagaVersion
from tests.faces.conftest import SOURCE, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def saga() -> Saga:
    return publish(SOURCE, by="dora").version.saga


def save(client: Client, verb: str, source: str, base: object = 1, name: str | None = "order"):
    place = f"{name}/" if name else ""
    return client.post(f"/sagas/{place}actions/{verb}/", {"source": source, "base": base})


def start(client: Client, **fields: str):
    return client.post("/sagas/order/actions/start/", {f"field-{name}": value for name, value in fields.items()})


def test_a_viewer_reads_and_is_offered_nothing_to_press(saga):
    page = sign_in("bob").get("/sagas/order/").text
    assert "saga: order" in page
    assert "<textarea" not in page
    assert 'id="start"' not in page
    assert "New saga" not in sign_in("charlie").get("/sagas/").text


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_only_an_author_publishes(saga, name):
    client = sign_in(name)
    for verb in ("validate", "publish"):
        assert save(client, verb, SOURCE).status_code == 403
        assert save(client, verb, SOURCE, name=None).status_code == 403
    assert client.get("/sagas/actions/new/").status_code == 403


def test_a_viewer_starts_nothing(saga):
    assert start(sign_in("bob"), order_id="1").status_code == 403
    assert not SagaRun.objects.exists()


def test_the_list_names_every_saga_and_its_open_runs(saga):
    client = sign_in("alice")
    start(client, order_id="1")
    page = client.get("/sagas/").text
    assert "/sagas/order/" in page
    assert "Version 1" in page
    assert ">1</a>" in page


def test_validating_changes_nothing_and_says_everything_with_its_place(saga):
    wrong = SOURCE.replace("title:", "titel:").replace("compensation: none", "compensation: nobody")
    answer = save(sign_in("dora"), "validate", wrong)
    assert answer.status_code == 422
    problems = answer.context["editor"].problems
    assert len(problems) >= 2
    assert all(problem.line for problem in problems)
    assert "Line 2, column 1" in answer.text
    assert "titel" in answer.context["editor"].source
    assert SagaVersion.objects.count() == 1


def test_a_text_without_problems_is_said_to_be_ready(saga):
    answer = save(sign_in("dora"), "validate", SOURCE)
    assert answer.status_code == 200
    assert "No problems" in answer.text


def test_publishing_makes_the_next_version_and_keeps_the_text_as_written(saga):
    client = sign_in("dora")
    newer = SOURCE.replace("title: Order", "title: Big order  # a comment")
    answer = save(client, "publish", newer.replace("\n", "\r\n"))
    assert answer["Location"] == "/sagas/order/"
    version = SagaVersion.objects.get(number=2)
    assert version.source == newer
    assert version.published_by == "dora"
    assert "Version 2 is live" in client.get("/sagas/order/").text
    assert "Version 1" in client.get("/sagas/order/versions/1/").text


def test_publishing_the_same_again_makes_no_version(saga):
    client = sign_in("dora")
    assert save(client, "publish", SOURCE).status_code == 302
    assert SagaVersion.objects.count() == 1
    assert "Nothing changed" in client.get("/sagas/order/").text


def test_a_wrong_text_is_not_published_and_not_lost(saga):
    answer = save(sign_in("dora"), "publish", "saga: order\nsteps: [")
    assert answer.status_code == 422
    assert "steps: [" in answer.text
    assert SagaVersion.objects.count() == 1


def test_who_was_slower_is_told_and_may_publish_on_top(saga):
    publish(SOURCE.replace("title: Order", "title: Theirs"), by="erin")
    client = sign_in("dora")
    mine = SOURCE.replace("title: Order", "title: Mine")
    answer = save(client, "publish", mine, base=1)
    assert answer.status_code == 409
    assert "Version 2 was published by erin" in answer.text
    assert "title: Mine" in answer.text
    assert SagaVersion.objects.count() == 2
    base = answer.context["editor"].base
    assert save(client, "publish", mine, base=base).status_code == 302
    assert SagaVersion.objects.get(number=3).source == mine


def test_a_saga_keeps_its_name(saga):
    answer = save(sign_in("dora"), "publish", SOURCE.replace("saga: order", "saga: other"))
    assert answer.status_code == 422
    assert "keeps its name" in answer.text
    assert not Saga.objects.filter(name="other").exists()


def test_a_new_saga_cannot_take_a_name_that_is_taken(saga):
    answer = save(sign_in("dora"), "publish", SOURCE.replace("title: Order", "title: Other"), base=0, name=None)
    assert answer.status_code == 409
    assert "of this name already" in answer.text
    assert SagaVersion.objects.count() == 1


def test_the_starting_text_can_be_published_as_it_is():
    client = sign_in("dora")
    assert "my-saga" in client.get("/sagas/actions/new/").text
    assert save(client, "validate", STARTER, base=0, name=None).status_code == 200
    assert save(client, "publish", STARTER, base=0, name=None)["Location"] == "/sagas/my-saga/"


@pytest.mark.parametrize(
    "source", ["", "\x00", "[" * 5000, "a: &a [*a]", "null", "saga: \ud800".encode("utf-8", "surrogatepass")]
)
@pytest.mark.parametrize("verb", ["validate", "publish"])
def test_a_text_that_is_no_document_is_answered_and_not_stored(saga, source, verb):
    assert save(sign_in("dora"), verb, source).status_code == 422
    assert SagaVersion.objects.count() == 1


@pytest.mark.parametrize("base", ["", "x", "-1", "9" * 30, "٣"])
def test_a_forged_base_is_a_conflict(saga, base):
    assert save(sign_in("dora"), "publish", SOURCE.replace("title: Order", "title: X"), base=base).status_code == 409


def test_a_saga_that_does_not_exist_is_404():
    client = sign_in("erin")
    for path in ("/sagas/nope/", "/sagas/nope/versions/1/", "/sagas/order/versions/99999999999999999999/"):
        assert client.get(path).status_code == 404, path
    assert save(client, "publish", SOURCE, name="nope").status_code == 404


def test_starting_from_the_form_leads_to_the_run(saga):
    answer = start(sign_in("alice"), order_id="A-1", amount="12", note="two\r\nlines")
    run = SagaRun.objects.get()
    assert answer["Location"] == f"/runs/{run.id}/"
    assert run.input == {"order_id": "A-1", "amount": 12, "note": "two\nlines"}
    assert run.created_by == "alice"


def test_a_field_left_empty_is_left_out(saga):
    start(sign_in("alice"), order_id="A-1", amount="", note="")
    assert SagaRun.objects.get().input == {"order_id": "A-1"}


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"order_id": ""}, "order_id", "needed"),
        ({"order_id": "1", "amount": "12,50"}, "amount", "whole number"),
        ({"order_id": "1", "amount": "1e3"}, "amount", "whole number"),
        ({"order_id": "1", "amount": "9" * 20}, "amount", "64 bits"),
        ({"order_id": "x" * 21}, "order_id", "20"),
        ({"order_id": "1", "note": "a\x00b"}, "note", "U+0000"),
    ],
)
def test_wrong_input_is_said_beside_its_field_and_starts_nothing(saga, fields, name, words):
    answer = start(sign_in("alice"), **fields)
    assert answer.status_code == 422
    (field,) = (field for field in answer.context["start"]["fields"] if field.name == name)
    assert words in " ".join(field.errors)
    assert field.typed == fields[name], "what was typed is kept"
    assert not SagaRun.objects.exists()


def test_a_key_that_was_used_for_something_else_leads_to_that_run(saga):
    publish(SOURCE.replace("steps:", 'key: "${input.order_id}"\nsteps:', 1), by="dora")
    client = sign_in("alice")
    start(client, order_id="1", amount="1")
    run = SagaRun.objects.get()
    again = start(client, order_id="1", amount="1")
    assert again["Location"] == f"/runs/{run.id}/", "the same again is the same run"
    other = start(client, order_id="1", amount="2")
    assert other.status_code == 409
    assert f"/runs/{run.id}/" in other.text
    assert SagaRun.objects.count() == 1


def test_the_same_form_sent_twice_starts_one_run(saga):
    client = sign_in("alice")
    key = client.get("/sagas/order/").context["form_key"]
    first, second = (
        client.post("/sagas/order/actions/start/", {"field-order_id": "1", "form_key": key}) for _ in range(2)
    )
    assert first["Location"] == second["Location"] == f"/runs/{SagaRun.objects.get().id}/"
    assert "No other was made" in client.get(second["Location"]).text
    client.post("/sagas/order/actions/start/", {"field-order_id": "2", "form_key": key})
    assert SagaRun.objects.count() == 2, "other input is another run"


def test_a_form_that_was_refused_can_be_sent_again(saga):
    client = sign_in("alice")
    refused = client.post("/sagas/order/actions/start/", {"field-order_id": "", "form_key": "0" * 32})
    assert f'value="{refused.context["form_key"]}"' in refused.text
    again = {"field-order_id": "1", "form_key": "0" * 32}
    assert client.post("/sagas/order/actions/start/", again).status_code == 302


@pytest.mark.parametrize("key", ["", "x", "\x00" * 32, "0" * 10_000])
def test_a_form_key_that_we_did_not_make_starts_each_time(saga, key):
    client = sign_in("alice")
    for _ in range(2):
        client.post("/sagas/order/actions/start/", {"field-order_id": "1", "form_key": key})
    assert SagaRun.objects.count() == 2


def test_two_people_with_the_same_form_key_start_a_run_each(saga):
    for name in ("alice", "erin"):
        sign_in(name).post("/sagas/order/actions/start/", {"field-order_id": "1", "form_key": "0" * 32})
    assert SagaRun.objects.count() == 2


def test_a_saga_and_each_version_are_drawn(saga):
    client = sign_in("bob")
    for path in ("/sagas/order/", "/sagas/order/versions/1/"):
        text = client.get(path).text
        assert 'id="node-pay-undo"' in text
        assert "No compensation needed" in text
        assert "of version 1" in text


def test_after_a_check_without_problems_the_picture_is_of_what_was_checked(saga):
    client = sign_in("dora")
    longer = SOURCE + "  - {name: thank, action: test.ship, compensation: none}\n"
    answer = save(client, "validate", longer)
    assert 'id="node-thank"' in answer.text
    assert "not published" in answer.text
    assert 'id="node-thank"' not in save(client, "validate", longer + "  - 1\n").text
    new = save(client, "validate", longer.replace("saga: order", "saga: longer"), base=0, name=None)
    assert 'id="node-thank"' in new.text
    assert '<svg id="graph"' not in save(client, "validate", "a: 1", base=0, name=None).text


SCHEMA = {
    "type": "object",
    "required": ["size", "lines"],
    "properties": {
        "size": {"enum": ["s", 1, "1"], "default": 1},
        "gift": {"type": "boolean", "default": True},
        "price": {"type": "number", "examples": [9.5]},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"], "properties": {"sku": {}}}},
        "either": {"type": ["string", "null"]},
    },
}


def test_a_form_is_made_from_a_schema_with_its_defaults():
    fields = {field.name: field for field in start_form.make_fields(SCHEMA)}
    assert {name: field.kind for name, field in fields.items()} == {
        "size": "choice", "gift": "boolean", "price": "number", "lines": "json", "either": "json",
    }  # fmt: skip
    assert fields["size"].choices == (('"s"', "s"), ("1", "1"), ('"1"', "1"))
    value, read = start_form.read_fields(fields.values())
    assert value == {"size": 1, "gift": True, "price": 9.5, "lines": [{"sku": ""}]}
    assert not any(field.errors for field in read)


@pytest.mark.parametrize("schema", [None, {}, True, {"type": "string"}, {"type": "object", "properties": 3}, [1]])
def test_a_schema_that_says_too_little_gives_one_box_for_json(schema):
    (field,) = start_form.make_fields(schema)
    assert field.kind == start_form.WHOLE
    typed = {field.key: '{"a": [1, null]}'}
    assert start_form.read_fields(start_form.make_fields(schema, typed))[0] == {"a": [1, None]}


@pytest.mark.parametrize("text", ["{", "NaN", "[Infinity]", "[" * 100_000, "9" * 5000, "'a'"])
def test_text_that_is_not_json_is_said_to_be_so(text):
    (_, read) = start_form.read_fields(start_form.make_fields({}, {start_form.PREFIX: text}))
    assert read[0].errors


def test_a_problem_deep_inside_stands_beside_the_field_that_holds_it():
    fields = start_form.make_fields({"properties": {"a/b": {"type": "array"}, "c": {}}})
    problems = [Problem("deep", pointer="/a~1b/0/x"), Problem("whole", pointer="")]
    placed, left = start_form.with_problems(fields, problems)
    assert placed[0].errors == ("deep",)
    assert [problem.message for problem in left] == ["whole"]


def test_what_a_schema_says_nothing_of_is_left_to_be_filled_in_not_null():
    """As in the shop's prepaid order, whose items are only said to have a `sku`."""
    items = {"type": "array", "items": {"type": "object", "required": ["sku", "note", "none"], "properties": {
        "note": {"type": ["string", "null"]}, "none": {"type": "null"}}}}  # fmt: skip
    (field,) = start_form.make_fields({"type": "object", "required": ["items"], "properties": {"items": items}})
    assert start_form.read_fields([field])[0] == {"items": [{"sku": "", "note": "", "none": None}]}


def test_every_page_of_a_saga_is_whole_without_script_or_style_inside(saga):
    client = sign_in("erin")
    for path in ("/sagas/", "/sagas/order/", "/sagas/order/versions/1/", "/sagas/actions/new/"):
        text = client.get(path).text
        assert "style=" not in text, path
        assert "onclick" not in text, path
        assert "<script>" not in text, path


def test_what_people_wrote_is_never_markup(saga):
    evil = "<script>alert(1)</script>"
    client = sign_in("erin")
    assert evil not in save(client, "validate", evil).text
    assert evil not in start(client, order_id=evil * 3).text
    publish(
        json.dumps(
            {"saga": "evil", "title": evil, "steps": [{"name": "a", "action": "test.pay", "compensation": "none"}]}
        ),
        by=evil,
    )
    for path in ("/sagas/", "/sagas/evil/", "/sagas/evil/versions/1/"):
        assert evil not in client.get(path).text, path


def test_the_number_of_queries_does_not_grow_with_the_number_of_sagas(saga, django_assert_max_num_queries):
    for number in range(20):
        publish(SOURCE.replace("saga: order", f"saga: order-{number}"), by="dora")
    client = sign_in("erin")
    with django_assert_max_num_queries(8):
        client.get("/sagas/")
    with django_assert_max_num_queries(10):
        client.get("/sagas/order/")
