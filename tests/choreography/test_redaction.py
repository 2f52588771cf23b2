"""What a choreography redacts: given to reactions as it is, stored sealed, told to nobody else."""

from __future__ import annotations

import json
import logging

import pytest
from django.conf import settings

from sagas import NoEffect, Rejected
from sagas.catalog.publish import publish
from sagas.choreography import bus, decisions
from sagas.choreography.listeners import shown_data
from sagas.core.observed import draft_document
from sagas.core.sealed import MASK, Hidden
from sagas.models import SagaEvent, SagaRun, StepRun
from sagas.queries.events import newest_seen
from tests.choreography.conftest import send, settle, the_run
from tests.choreography.redacted import CARD, PIN, SECRETS, SOURCE, TOKEN, give_token, placed
from tests.engine import actions
from tests.redacted import stored


@pytest.fixture
def charge():
    """Publish the choreography that redacts."""
    return publish(SOURCE, by="tests").version.saga


def assert_hidden(text: str) -> None:
    for secret in SECRETS:
        found = text.find(secret)
        assert found < 0, text[max(0, found - 300) : found + 60]


def given() -> dict[str, dict]:
    """Let the actions note what they are given."""
    seen: dict[str, dict] = {}

    def note(call):
        seen[call.step] = dict(call.arguments)
        return give_token(call) if call.step == "take_payment" else {}

    for step in ("take_payment", "ship", "refund_payment"):
        actions.BEHAVIOUR[step] = note
    return seen


def test_reactions_get_the_values_and_no_table_holds_them(charge):
    seen = given()
    send(placed())
    assert_hidden(stored())  # as it waits in the inbox, too
    settle()
    assert the_run().status == "completed"
    assert seen["take_payment"]["card"] == {"number": CARD, "pin": PIN, "holder": "Dora"}
    assert seen["ship"] == {"bearer": f"Bearer {TOKEN}", "token": TOKEN}
    assert_hidden(stored())
    last = SagaEvent.objects.get(type="order.shipped")
    assert last.data["card"] == {"number": MASK, "pin": MASK, "holder": "Dora"}
    assert last.data["token"] == MASK
    step = StepRun.objects.get(step="ship")
    assert step.halves["reacting"]["event"]["data"]["card"]["number"] == MASK


def test_what_is_undone_is_undone_with_the_values(charge):
    seen = given()

    def refuse(_call):
        raise Rejected(f"no lorry takes {CARD} and {TOKEN}", details={"card": CARD})

    actions.BEHAVIOUR["ship"] = refuse
    send(placed())
    settle()
    assert the_run().status == "compensated"
    assert seen["refund_payment"] == {"number": CARD}
    failed = SagaEvent.objects.get(type="shipment.failed")
    assert failed.data["reason"]["message"] == f"no lorry takes {MASK} and {MASK}"
    assert_hidden(stored())


def test_no_log_tells(charge, caplog):
    caplog.set_level(logging.DEBUG)

    def fail(call):
        raise RuntimeError(f"broke on {call.arguments}")

    def refuse(call):
        raise NoEffect(f"not with {call.arguments}")

    actions.BEHAVIOUR |= {"take_payment": fail, "ship": refuse}
    send(placed(), placed("8"), placed("", "order.placed"))
    settle()
    assert_hidden(caplog.text)
    assert_hidden(stored())


def test_events_that_reached_no_run_are_sealed_as_well(charge):
    send(placed("5", "payment.taken"), placed("", "payment.refunded"))
    assert_hidden(stored())
    row = SagaEvent.objects.get(type="payment.taken")
    seen = given()
    send(placed("5"))  # its run begins, but it stays parked for a person
    settle()
    assert_hidden(stored())
    assert shown_data([row])[0]["card"] == {"number": MASK, "pin": MASK, "holder": "Dora"}
    assert seen["take_payment"]["card"]["pin"] == PIN


def test_what_nobody_named_is_sealed_as_soon_as_somebody_does():
    send(placed())
    assert CARD in stored()  # no saga says yet that it is to be hidden
    row = SagaEvent.objects.get()
    publish(SOURCE, by="tests")
    assert shown_data([row])[0]["card"]["number"] == MASK
    decisions.replay(row.id, by="tests")
    settle()
    assert_hidden(stored())


def test_a_later_version_that_redacts_hides_what_was_stored_before_on_screens_alone():
    open_source = SOURCE.replace("redact: [event.data.card.number, event.data.card.pin]\n", "")
    publish(open_source, by="tests")
    send(placed("5", "payment.taken"))
    row = SagaEvent.objects.get()
    assert shown_data([row])[0]["card"]["number"] == CARD
    publish(SOURCE, by="tests")
    assert shown_data([row])[0]["card"]["number"] == MASK
    assert CARD in stored()


def test_services_behind_the_broker_get_the_values(charge, monkeypatch):
    monkeypatch.setattr(settings, "SAGAWEB_EVENTS_URL", "amqp://nowhere", raising=False)
    given()
    send(placed())
    settle()
    rows = {row.type: bus.as_cloud_event(row)["data"] for row in bus.to_publish(10)}
    assert rows["payment.taken"]["card"]["number"] == CARD
    assert rows["order.shipped"]["token"] == TOKEN


def test_an_event_whose_key_is_lost_is_not_published_as_dots_and_waits(charge, monkeypatch, settings):
    monkeypatch.setattr(settings, "SAGAWEB_EVENTS_URL", "amqp://nowhere", raising=False)
    given()
    send(placed())
    settle()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    assert bus.to_publish(10) == []
    settings.SECRET_KEY_FALLBACKS = [former]
    assert len(bus.to_publish(10)) == 2


def test_a_run_that_cannot_open_its_event_does_not_call_with_dots(charge, settings):
    seen = given()
    send(placed())
    settings.SECRET_KEY = "another"
    settle()
    run = the_run() if SagaRun.objects.filter(key="7").exists() else None
    assert run is not None
    assert seen == {}
    assert run.status == "needs_attention"


def test_a_draft_never_takes_a_hidden_field_for_what_tells_runs_apart(charge):
    given()
    for number in range(4):
        send(placed(str(number)))
    settle()
    seen = newest_seen()
    assert any(isinstance(one.data["card"]["number"], Hidden) for one in seen)
    document = draft_document(seen, "drafted")
    assert document["correlate"] == "${event.data.order_id}"
    assert_hidden(json.dumps(document))
