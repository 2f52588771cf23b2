"""Reactions that are done here: an order from its event to its end."""

from __future__ import annotations

import pytest

from sagas import NoEffect, Rejected
from sagas.core.vocabulary import Verb
from sagas.engine.errors import OrderRefusedError
from sagas.engine.orders import Ask, give_order
from sagas.models import EventRoute, RouteState, SagaEvent, StepRun
from tests.choreography.conftest import event, send, settle, the_run
from tests.engine import actions


def refuse(_call):
    raise Rejected("no")


def statuses() -> dict[str, tuple[str, str]]:
    return {row.step: (row.status, row.compensation_status) for row in StepRun.objects.all()}


def types() -> list[str]:
    return list(SagaEvent.objects.order_by("id").values_list("type", flat=True))


def test_an_order_goes_from_event_to_event_until_it_is_shipped(order):
    assert send(event("order.placed")).accepted == 1
    settle()
    run = the_run()
    assert (run.status, run.steps_done, run.steps_total) == ("completed", 3, 3)
    assert types() == ["order.placed", "payment.taken", "stock.reserved", "order.shipped"]
    shipped = SagaEvent.objects.get(type="order.shipped")
    assert (shipped.emitter, shipped.depth, shipped.data["order_id"]) == ("ship", 3, "7")
    assert SagaEvent.objects.get(event_id=shipped.cause).type == "stock.reserved"
    assert set(EventRoute.objects.values_list("run_id", "state")) == {(run.id, "delivered")}


@pytest.mark.parametrize(
    ("refused", "undone"), [("take_payment", set()), ("reserve_stock", {"take_payment"}),
                            ("ship", {"take_payment", "reserve_stock"})],
)  # fmt: skip
def test_a_refusal_is_told_and_all_that_was_done_is_undone(order, refused, undone):
    actions.BEHAVIOUR[refused] = refuse
    send(event("order.placed"))
    settle()
    run = the_run()
    assert (run.status, run.direction, run.undo_done, run.undo_total) == (
        "compensated", "backward" if undone or refused == "take_payment" else "forward", len(undone), len(undone),
    )  # fmt: skip
    found = statuses()
    assert found[refused][0] == "failed"
    assert {step for step, (_, undo) in found.items() if undo == "succeeded"} == undone
    assert run.reason["cause"] == "event"


def test_the_key_of_a_reaction_is_its_event_and_its_name(order):
    seen = {}

    def note(call):
        seen[call.step] = (call.idempotency_key, call.attempt)
        if call.attempt == 1:
            raise NoEffect("not now")

    actions.BEHAVIOUR["take_payment"] = note
    send(event("order.placed"))
    settle()
    assert seen["take_payment"] == ("/tests/7-order.placed:take_payment", 2)


def test_what_fails_to_its_end_asks_a_person_who_may_retry_it(order):
    def fail(_call):
        raise NoEffect("down")

    actions.BEHAVIOUR["reserve_stock"] = fail
    send(event("order.placed"))
    settle()
    run = the_run()
    assert (run.status, run.attention[0]["code"]) == ("needs_attention", "reaction_failed")
    actions.BEHAVIOUR.clear()
    give_order(run.id, Verb.RETRY, by="alice")
    settle()
    assert the_run().status == "completed"


def test_a_person_may_say_of_a_failed_reaction_that_it_is_refused_and_the_others_undo(order):
    def fail(_call):
        raise NoEffect("down")

    actions.BEHAVIOUR["ship"] = fail
    send(event("order.placed"))
    settle()
    run = the_run()
    give_order(run.id, Verb.SETTLE, by="alice", ask=Ask(step="ship", outcome="rejected", reason="no lorry"))
    settle()
    assert the_run().status == "compensated"
    assert "shipment.failed" in types()


def test_an_unknown_outcome_waits_for_a_person_whose_word_is_told_to_the_others(order):
    def break_(_call):
        raise RuntimeError("who knows")

    actions.BEHAVIOUR["ship"] = break_
    send(event("order.placed"))
    settle()
    run = the_run()
    assert (run.status, run.is_outcome_unknown) == ("needs_attention", True)
    give_order(
        run.id, Verb.SETTLE, by="alice", ask=Ask(step="ship", outcome="succeeded", output={"track": "1"}, reason="seen")
    )
    settle()
    assert the_run().status == "completed"
    told = SagaEvent.objects.get(type="order.shipped").data
    assert (told["order_id"], told["track"]) == ("7", "1")


def test_nobody_cancels_a_choreography(order):
    send(event("order.placed"))
    with pytest.raises(OrderRefusedError, match="Nobody commands"):
        give_order(the_run().id, Verb.CANCEL, by="alice")


def test_while_a_run_is_paused_events_are_taken_and_no_reaction_begins(order):
    send(event("order.placed"))
    give_order(the_run().id, Verb.PAUSE, by="alice")
    settle()
    assert set(statuses()) == {"take_payment", "reserve_stock"}
    assert statuses()["reserve_stock"][0] == "pending"
    give_order(the_run().id, Verb.RESUME, by="alice")
    settle()
    assert the_run().status == "completed"


def test_an_event_after_the_end_is_delivered_late_and_undoes_what_was_done(order):
    send(event("order.placed"))
    settle()
    assert the_run().status == "completed"
    send(event("shipment.failed"))
    assert EventRoute.objects.get(event__event_id="7-shipment.failed").state == RouteState.LATE
    settle()
    run = the_run()
    assert run.status == "compensated"
    assert {step for step, (_, undo) in statuses().items() if undo == "succeeded"} == {"take_payment", "reserve_stock"}
