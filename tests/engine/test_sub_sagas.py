"""Sagas that run other sagas, driven by a real pump."""

from __future__ import annotations

import threading

import pytest

from sagas.catalog.publish import publish
from sagas.core.limits import DEPTH_MAX
from sagas.core.outcome import Succeeded
from sagas.core.vocabulary import OutcomeKind, Phase, Verb
from sagas.engine import children
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, allowed_orders, give_order
from sagas.models import Saga, SagaRun
from tests.engine.actions import BEHAVIOUR, count, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds

CHILD = """
saga: ship-order
title: Ship
defaults: {{timeout: 5s, retry: {{attempts: 2, initial: 10ms, jitter: 0}},
            compensation_retry: {{attempts: 2, initial: 10ms, jitter: 0}}}}
output: ${{steps.{last}.output}}
steps:
  - {{name: pack, action: engine.plain, compensation: {{action: engine.plain}}, with: {{what: "${{input.what}}"}}}}
  - {{name: {last}, {does}}}
"""
SEND = "action: engine.plain, compensation: {action: engine.plain}"
PARENT = """
saga: order
title: Order
defaults: {{timeout: 5s}}
steps:
  - {{name: pay, action: engine.plain, compensation: {{action: engine.plain}}}}
  - {{name: ship, run: ship-order, with: {{what: "${{input.what}}"}}{more}}}
  - {{name: tell, action: engine.plain, compensation: none, with: {{sent: "${{steps.ship.output}}"}}}}
"""


@pytest.fixture
def start(saga):
    def make(does: str = SEND, more: str = "", last: str = "send") -> SagaRun:
        saga(source=CHILD.format(does=does, last=last))
        return start_run(saga(source=PARENT.format(more=more)), {"what": "boat"}).run

    return make


def child_of(run) -> SagaRun:
    return SagaRun.objects.get(parent_id=run.id)


def are_sound(*runs) -> bool:
    found = [sentence for run in runs for sentence in faults_of(run)]
    assert found == []
    return True


def rests(run, waits_for: str):
    return lambda: fetch(run).waiting_for == waits_for and fetch(run).lease_until is None


def test_the_output_of_the_child_is_the_output_of_the_step(start):
    run = start()
    drive()
    row, child = fetch(run), child_of(run)
    assert (row.status, child.status) == ("completed", "completed")
    assert (child.key, child.parent_step, child.depth) == (f"{run.id}:ship:action", "ship", 1)
    assert child.input == {"what": "boat"}
    assert row.steps.get(step="ship").output == child.output == {"did": "send:action"}
    assert row.steps.get(step="tell").halves["action"]["input"] == {"sent": child.output}
    assert "attempt_accepted" in kinds(run)
    assert are_sound(run, child)


def test_a_child_that_was_undone_is_a_refusal(start):
    BEHAVIOUR["send:action"] = refuse
    run = start()
    drive()
    row, child = fetch(run), child_of(run)
    assert (row.status, child.status) == ("compensated", "compensated")
    assert (row.reason["step"], row.reason["outcome"], row.reason["code"]) == ("ship", "rejected", "child_compensated")
    assert count()["pay:compensation"] == 1
    assert are_sound(run, child)


def test_undoing_the_step_undoes_a_child_that_was_completed(start):
    BEHAVIOUR["tell:action"] = refuse
    run = start()
    drive()
    row, child = fetch(run), child_of(run)
    assert (row.status, child.status) == ("compensated", "compensated")
    assert count()["send:compensation"] == count()["pack:compensation"] == count()["pay:compensation"] == 1
    assert (child.reason["cause"], child.reason["by"]) == ("parent", f"run {run.id}")
    assert kinds(child).count("run_reopened") == 1
    assert are_sound(run, child)


def test_a_step_that_says_none_leaves_its_child_as_it_is(start):
    BEHAVIOUR["tell:action"] = refuse
    run = start(more=", compensation: none")
    drive()
    assert (fetch(run).status, child_of(run).status) == ("compensated", "completed")
    assert fetch(run).steps.get(step="ship").compensation_status == "not_needed"


def test_a_step_with_a_compensation_of_its_own_calls_that(start):
    BEHAVIOUR["tell:action"] = refuse
    run = start(more=", compensation: {action: engine.plain}")
    drive()
    assert (fetch(run).status, child_of(run).status) == ("compensated", "completed")
    assert count()["ship:compensation"] == 1


def test_cancelling_the_parent_cancels_the_child(start):
    run = start(does="wait_for: {signal: go}")
    drive(lambda: SagaRun.objects.filter(parent_id=run.id, waiting_for="signal", lease_until=None).exists())
    assert fetch(run).waiting_for == "child"
    assert Verb.CANCEL in allowed_orders(fetch(run))
    give_order(run.id, Verb.CANCEL, by="alice")
    drive()
    row, child = fetch(run), child_of(run)
    assert (row.status, child.status) == ("compensated", "compensated")
    assert child.reason["by"] == f"run {run.id}"
    assert count()["pack:compensation"] == 1
    assert are_sound(run, child)


def test_terminating_the_parent_terminates_the_child(start):
    run = start(does="wait_for: {signal: go}")
    drive(lambda: SagaRun.objects.filter(parent_id=run.id, waiting_for="signal", lease_until=None).exists())
    give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="no"))
    drive()
    row, child = fetch(run), child_of(run)
    assert (row.status, child.status) == ("terminated", "terminated")
    assert row.steps.get(step="ship").status == "in_doubt"
    assert kinds(run)[-1] == "order_refused"  # the report of the child came after the end
    assert are_sound(run, child)


def test_a_terminated_child_leaves_its_step_in_doubt_and_the_parent_asks_when_it_cannot_be_undone(start):
    run = start(does="wait_for: {signal: go}")
    drive(lambda: SagaRun.objects.filter(parent_id=run.id, waiting_for="signal", lease_until=None).exists())
    child = child_of(run)
    give_order(child.id, Verb.TERMINATE, by="bob", ask=Ask(reason="stop"))
    drive()
    row = fetch(run)
    step = row.steps.get(step="ship")
    assert (row.status, step.status, step.compensation_status) == ("needs_attention", "in_doubt", "failed")
    assert step.error["code"] == "child_not_undone"
    give_order(run.id, Verb.SETTLE, by="alice", ask=Ask(
        step="ship", phase=Phase.COMPENSATION, outcome=OutcomeKind.SUCCEEDED, reason="unpacked", reference="T-1"
    ))  # fmt: skip
    drive()
    assert fetch(run).status == "compensated"
    assert are_sound(run, child)


def test_a_parent_waits_while_its_child_needs_a_person(start):
    BEHAVIOUR["send:action"] = refuse
    BEHAVIOUR["pack:compensation"] = refuse
    run = start()
    drive(lambda: SagaRun.objects.filter(parent_id=run.id, status="needs_attention", lease_until=None).exists())
    assert (fetch(run).status, fetch(run).waiting_for) == ("running", "child")
    give_order(child_of(run).id, Verb.GIVE_UP, by="alice", ask=Ask(reason="gone"))
    drive()
    row = fetch(run)
    assert (child_of(run).status, row.status) == ("partially_compensated", "needs_attention")
    assert row.steps.get(step="ship").status == "in_doubt"
    assert are_sound(run, child_of(run))


def test_a_child_past_its_pivot_makes_its_step_one(start):
    BEHAVIOUR["tell:action"] = refuse
    run = start(does="action: engine.plain, pivot: true")
    drive()
    row = fetch(run)
    assert (row.status, row.is_past_pivot, child_of(run).status) == ("needs_attention", True, "completed")
    assert "pay:compensation" not in count()
    assert are_sound(run, child_of(run))


def test_a_step_that_can_undo_a_pivot_of_its_child_is_none(start):
    BEHAVIOUR["tell:action"] = refuse
    run = start(does="action: engine.plain, pivot: true", more=", compensation: {action: engine.plain}")
    drive()
    assert (fetch(run).status, fetch(run).is_past_pivot) == ("compensated", False)


@pytest.mark.parametrize(("break_it", "words"), [
    (lambda: Saga.objects.filter(name="ship-order").update(archived_at="2026-01-01T00:00:00Z"), "is archived"),
    (lambda: publish(CHILD.format(does=SEND, last="send").replace(
        "title: Ship", "title: Ship\ninput: {required: [who]}"), by="tests"), "does not take this input"),
])  # fmt: skip
def test_a_child_that_cannot_be_started_is_a_definite_failure(start, break_it, words):
    run = start()
    break_it()
    drive()
    row = fetch(run)
    assert (row.status, row.reason["code"]) == ("compensated", "child_not_started")
    assert words in row.reason["message"]
    assert not SagaRun.objects.filter(parent_id=run.id).exists()
    assert are_sound(run)


def test_a_saga_that_runs_itself_ends(saga):
    name = saga(source="saga: again\nsteps:\n  - {name: more, run: again}\n")
    run = start_run(name, {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert SagaRun.objects.count() == DEPTH_MAX + 1
    deepest = SagaRun.objects.order_by("-depth").first()
    assert deepest.reason["message"] == f"Sagas run within each other at most {DEPTH_MAX} deep."


def test_a_driver_that_slept_past_its_lease_starts_and_undoes_nothing(start):
    run = start()
    drive()
    stale = {"parent_id": run.id, "token": fetch(run).token - 1}
    before = SagaRun.objects.count()
    with pytest.raises(children.NotOursError):
        children.start(**stale, saga="ship-order", value={"what": 1}, key="other", step="ship", depth=0)
    with pytest.raises(children.NotOursError):
        children.undo(**stale, key=f"{run.id}:ship:action", now=Clock().now())
    assert (SagaRun.objects.count(), child_of(run).inbox_last) == (before, 0)


def test_a_child_is_started_once_however_often_it_is_asked_for(start):
    run = start()
    drive()
    ours = {"parent_id": run.id, "token": fetch(run).token}
    key = f"{run.id}:ship:action"
    found = children.start(**ours, saga="ship-order", value={"what": "boat"}, key=key, step="ship", depth=0)
    assert found == Succeeded(child_of(run).output)
    assert children.undo(**ours, key="never started", now=Clock().now()) == Succeeded()


def test_a_worker_lost_between_the_start_and_its_entry_finds_the_child_again(start, monkeypatch):
    truly, is_first = children.start, threading.Event()

    def dies_after(*arguments, **named):
        found = truly(*arguments, **named)
        if not is_first.is_set():
            is_first.set()
            SagaRun.objects.filter(id=arguments[0]).update(due_at=Clock().now())  # as when the lease ends
            raise children.NotOursError
        return found

    monkeypatch.setattr("sagas.engine.children.start", dies_after)
    run = start()
    drive(lambda: fetch(run).status == "completed")
    assert fetch(run).status == "completed"
    assert SagaRun.objects.filter(parent_id=run.id).count() == 1
    assert fetch(run).steps.get(step="ship").attempts == 2
    assert are_sound(run, child_of(run))


def test_a_run_that_is_opened_again_is_held_under_a_lease(start):
    held = []
    BEHAVIOUR["tell:action"] = refuse
    BEHAVIOUR["send:compensation"] = lambda call: held.append(fetch(call.run_id).lease_until)
    run = start()
    drive()
    assert child_of(run).status == "compensated"
    assert held[0] is not None
