"""No page, no answer of the API, no frame and no export shows a redacted value."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from sagas.catalog.publish import publish
from sagas.core.sealed import MASK
from sagas.core.vocabulary import Role, Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.live import frames
from sagas.models import SagaRun
from sagas.sealing import opened
from tests.engine.conftest import drive
from tests.engine.stored_run import fetch
from tests.faces.conftest import Api, sign_in
from tests.redacted import BEHAVIOUR, CALLS, INPUT, SECRETS, SOURCE, break_telling, refuse_telling

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()
    BEHAVIOUR.clear()
    publish(SOURCE.replace("KIND", "call"), by="dora")


def assert_hidden(text: str) -> None:
    for secret in SECRETS:
        found = text.find(secret)
        assert found < 0, text[max(0, found - 200) : found + 60]


def troubled():
    """A run that went wrong in both directions, with everything said that could be."""
    run = start_run("charge", INPUT).run
    BEHAVIOUR["ship:action"] = break_telling
    BEHAVIOUR["pay:compensation"] = refuse_telling
    drive()
    return fetch(run)


def test_pages_show_dots(client):
    run = troubled()
    assert run.status == "needs_attention"
    erin = sign_in("erin")
    pages = [
        "/", "/runs/", "/attention/", f"/runs/{run.id}/",
        *(f"/runs/{run.id}/actions/{verb}/" for verb in ("retry", "rerun", "settle", "terminate")),
        *(f"/runs/{run.id}/steps/{step}/" for step in ("pay", "greet", "ship")),
        *(f"/admin/sagas/{table}/" for table in ("sagarun", "steprun", "order")),
        f"/admin/sagas/sagarun/{run.id}/change/",
        *(f"/admin/sagas/steprun/{row.pk}/change/" for row in run.steps.all()),
    ]  # fmt: skip
    shown = ""
    for page in pages:
        answer = erin.get(page)
        assert answer.status_code in {200, 409}, page
        assert_hidden(answer.content.decode())
        shown += answer.content.decode()
    assert shown.count(MASK) > 10
    assert_hidden(frames.render_run(run.id).html + frames.render_overview().html)
    assert MASK in frames.render_run(run.id).html


def test_a_start_with_the_same_key_is_the_same_after_the_secret_key_was_changed(settings):
    api, header = Api(Role.OPERATOR), {"Idempotency-Key": "k"}
    first = api.post("runs/", {"saga": "charge", "input": INPUT}, **header).json()["id"]
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    again = api.post("runs/", {"saga": "charge", "input": INPUT}, **header)
    assert (again.status_code, again.json()["id"]) == (200, first)
    other = api.post("runs/", {"saga": "charge", "input": INPUT | {"order": "B"}}, **header)
    assert other.status_code == 409


def test_the_api_answers_with_dots():
    api = Api(Role.OPERATOR)
    answer = api.post("runs/", {"saga": "charge", "input": INPUT}, **{"Idempotency-Key": "k"})
    assert answer.status_code == 201
    assert answer.json()["input"]["card"] == {"number": MASK, "pin": MASK}
    assert_hidden(answer.content.decode())
    again = api.post("runs/", {"saga": "charge", "input": INPUT}, **{"Idempotency-Key": "k"})
    assert again.status_code == 200
    run = answer.json()["id"]
    BEHAVIOUR["ship:action"] = break_telling
    BEHAVIOUR["pay:compensation"] = refuse_telling
    drive()
    for path in (f"runs/{run}/", f"runs/{run}/journal/", "runs/", f"runs/{run}/plan/"):
        answer = api.get(path)
        assert answer.status_code == 200, path
        text = json.dumps(answer.json(), ensure_ascii=False)
        assert_hidden(text)
        assert_hidden(answer.content.decode())
    assert MASK in json.dumps(api.get(f"runs/{run}/journal/").json(), ensure_ascii=False)
    answer = api.post(f"runs/{run}/retry/", {"step": "pay", "with": {"number": INPUT["card"]["number"]}})
    assert answer.status_code == 202
    assert_hidden(answer.content.decode())


def test_the_plan_of_a_cancel_shows_dots():
    source = SOURCE.replace("KIND", "call").replace("  - name: greet", "  - {name: rest, sleep: 1h}\n  - name: greet")
    publish(source, by="dora")
    run = start_run("charge", INPUT).run
    drive(lambda: fetch(run).waiting_for == "timer" and fetch(run).lease_until is None)
    plan = Api(Role.OPERATOR).get(f"runs/{run.id}/plan/")
    assert MASK in json.dumps(plan.json(), ensure_ascii=False)
    assert_hidden(plan.content.decode())
    alice = sign_in("alice")
    assert_hidden(alice.get(f"/runs/{run.id}/actions/cancel/").content.decode())


def test_what_is_wrong_with_an_input_is_told_without_it():
    api = Api(Role.OPERATOR)
    answer = api.post("runs/", {"saga": "charge", "input": INPUT | {"card": {"number": "90f"}}})
    assert answer.status_code == 422
    assert "90f" not in answer.content.decode()


def test_a_simulation_shows_dots():
    answer = Api(Role.OPERATOR).post(
        "sagas/simulate/", {"saga": "charge", "input": INPUT, "faults": {"ship": "rejected"}}
    )
    assert answer.status_code == 200
    assert_hidden(json.dumps(answer.json(), ensure_ascii=False))


def test_an_export_of_the_tables_holds_dots():
    run = troubled()
    give_order(run.id, Verb.RETRY, by="alice", ask=Ask(step="pay"))
    out = io.StringIO()
    call_command("dumpdata", "sagas", stdout=out)
    assert_hidden(json.dumps(json.loads(out.getvalue()), ensure_ascii=False))
    assert MASK in json.dumps(json.loads(out.getvalue()), ensure_ascii=False)


def test_a_run_is_rerun_from_its_page_with_the_dots_left_where_they_were():
    """Whatever kind of field it is: dots in it stand for the value that was there."""
    source = SOURCE.replace("KIND", "call")
    source = source.replace("names: {}", "names: {}, pin: {type: integer}, mode: {enum: [ab, cd]}")
    more = 'with: {card: "${input.card}", pin: "${input.pin}", mode: "${input.mode}"'
    source = source.replace('with: {card: "${input.card}"', more, 1)
    publish(source.replace("redact: [", "redact: [with.pin, with.mode, ", 1), by="dora")
    run = start_run("charge", INPUT | {"pin": 90217, "mode": "cd"}).run
    drive()
    alice = sign_in("alice")
    address = f"/runs/{run.id}/actions/rerun/"
    page = alice.get(address)
    assert_hidden(page.content.decode())
    typed = {field.key: field.typed for field in page.context["fields"]}
    assert (typed["field-pin"], typed["field-mode"]) == (MASK, MASK)
    form_key = page.context["form_key"]
    answer = alice.post(address, {**typed, "field-order": '"A-2"', "form_key": form_key})
    assert answer.status_code == 302, answer.content.decode()
    again = SagaRun.objects.get(rerun_of=run)
    assert opened(again.input) == INPUT | {"order": "A-2", "pin": 90217, "mode": "cd"}
    bad = alice.post(address, {**typed, "field-order": '"A-3', "form_key": form_key})
    assert bad.status_code == 422
    assert_hidden(bad.content.decode())
