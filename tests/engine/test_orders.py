"""What people order of a run, through the inbox and a real pump; terminating, which waits for nobody."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from sagas.core.vocabulary import OutcomeKind, Phase, Verb
from sagas.engine.commands import start_run
from sagas.engine.errors import InputInvalidError, OrderRefusedError, RevisionStaleError
from sagas.engine.orders import Ask, allowed_orders, give_order
from sagas.models import Saga
from tests.engine.actions import BEHAVIOUR, CALLS, break_down, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds

several_writers_only = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="an atomic action holds SQLite's only write lock"
)

WITH_PIVOT = """
saga: with-pivot
title: A point of no return
defaults: {timeout: 5s, retry: {attempts: 1}}
steps:
  - name: pay
    action: engine.plain
    compensation: {action: engine.plain}
  - name: ship
    action: engine.plain
    pivot: true
  - name: tell
    action: engine.plain
    compensation: none
    with: {parcel: "${steps.ship.output.parcel}"}
"""


def order(run, verb, **ask):
    return give_order(run.id, verb, by="alice", ask=Ask(**{"reason": "because", **ask}))


def is_at(run, *statuses):
    return lambda: fetch(run).status in statuses


def step(run, name):
    return fetch(run).steps.get(step=name)


@pytest.fixture
def gate():
    """Hold an action until the test opens the gate: (has arrived, open)."""
    arrived, opened = threading.Event(), threading.Event()

    def wait(_call):
        arrived.set()
        opened.wait(30)

    yield arrived, opened, wait
    opened.set()


def test_a_paused_run_ends_what_is_in_flight_and_starts_nothing_before_it_is_resumed(saga, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["pay:action"] = wait
    run = start_run(saga(), {}).run

    def pause_in_flight():
        if arrived.is_set() and not fetch(run).inbox_last:
            order(run, Verb.PAUSE)
        if fetch(run).is_paused:
            opened.set()
        return fetch(run).is_paused and step(run, "pay").status == "succeeded"

    drive(pause_in_flight)
    row = fetch(run)
    assert (row.status, row.is_paused, row.due_at) == ("running", True, None)
    assert CALLS == [("pay:action", 1)]
    with pytest.raises(OrderRefusedError, match="paused already"):
        order(run, Verb.PAUSE)
    order(run, Verb.RESUME)
    drive(is_at(run, "completed"))
    assert faults_of(run) == []


def test_a_run_can_be_paused_before_it_begins_and_skip_what_has_not_begun(saga):
    run = start_run(saga(), {}).run
    order(run, Verb.PAUSE)
    order(run, Verb.SKIP, step="stock", output={"n": 1})
    order(run, Verb.RESUME)
    drive(is_at(run, "completed"))
    assert [key for key, _ in CALLS] == ["pay:action", "ship:action"]
    assert (step(run, "stock").status, step(run, "stock").output) == ("skipped", {"n": 1})
    assert faults_of(run) == []


def test_terminating_ends_a_run_at_once_and_its_late_answer_is_kept_as_evidence(saga, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["stock:action"] = wait
    run = start_run(saga(), {}).run
    ended = []

    def terminate_in_flight():
        if arrived.is_set() and not ended:
            ended.append(order(run, Verb.TERMINATE))
            assert fetch(run).status == "terminated"
            opened.set()
        return bool(ended)

    drive(terminate_in_flight)
    drive(lambda: fetch(run).inbox_done == 2)
    row = fetch(run)
    assert (row.status, row.lease_until, row.due_at) == ("terminated", None, None)
    assert row.reason == {"cause": "terminate", "by": "alice", "message": "because"}
    assert [step(run, name).status for name in ("pay", "stock")] == ["succeeded", "in_doubt"]
    assert row.journal.get(kind="run_terminated").data["stays"] == [["pay", -1], ["stock", -1]]
    assert kinds(run)[-2:] == ["run_terminated", "late_report_received"]
    assert not row.is_hanging, "the end has listed it as what may stay behind"
    assert faults_of(run) == []


@several_writers_only
def test_terminating_rolls_back_the_atomic_action_that_is_in_flight(saga, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["pay:action"] = wait
    run = start_run(saga("atomic"), {}).run

    def terminate_in_flight():
        if arrived.is_set() and not opened.is_set():
            order(run, Verb.TERMINATE)
            opened.set()
        return opened.is_set()

    drive(terminate_in_flight)
    assert step(run, "pay").status == "failed"
    assert not Saga.objects.filter(title="an effect").exists()
    assert faults_of(run) == []


def test_terminating_writes_down_the_orders_that_nobody_had_applied(saga):
    run = start_run(saga(), {}).run
    order(run, Verb.PAUSE)
    order(run, Verb.TERMINATE)
    assert kinds(run) == ["run_started", "order_refused", "order_taken", "run_terminated"]
    with pytest.raises(OrderRefusedError, match="has ended: it is terminated") as caught:
        order(run, Verb.CANCEL)
    assert caught.value.allowed == ()
    assert faults_of(run) == []


@pytest.fixture
def failed_undo(saga):
    """A run whose compensation of `pay` has failed for good."""
    BEHAVIOUR["ship:action"] = refuse
    BEHAVIOUR["pay:compensation"] = break_down
    run = start_run(saga("plain"), {}).run
    drive(is_at(run, "needs_attention"))
    return run


def test_what_could_not_be_undone_can_be_given_up(failed_undo):
    assert set(allowed_orders(fetch(failed_undo))) == {"retry", "settle", "give_up", "pause", "terminate"}
    order(failed_undo, Verb.GIVE_UP)
    drive(is_at(failed_undo, "partially_compensated"))
    assert step(failed_undo, "pay").compensation_status == "given_up"
    assert faults_of(failed_undo) == []


def test_what_a_person_undid_is_settled_with_its_evidence(failed_undo):
    with pytest.raises(InputInvalidError) as caught:
        order(failed_undo, Verb.SETTLE, step="pay", phase=Phase.COMPENSATION)
    assert [problem.pointer for problem in caught.value.problems] == ["/reference"]
    order(failed_undo, Verb.SETTLE, step="pay", phase=Phase.COMPENSATION, reference="BANK-77")
    drive(is_at(failed_undo, "compensated"))
    assert step(failed_undo, "pay").compensation_status == "settled"
    assert faults_of(failed_undo) == []


@pytest.fixture
def doubtful_pivot(saga):
    """A run whose pivot may have happened."""
    BEHAVIOUR["ship:action"] = break_down
    run = start_run(saga(source=WITH_PIVOT), {}).run
    drive(is_at(run, "needs_attention"))
    assert step(run, "ship").status == "in_doubt"
    return run


def test_a_pivot_in_doubt_that_happened_lets_the_run_go_forward_with_its_output(doubtful_pivot):
    seen = []
    BEHAVIOUR["tell:action"] = lambda call: seen.append(call.arguments)
    with pytest.raises(OrderRefusedError, match="cannot be skipped"):
        order(doubtful_pivot, Verb.SKIP, step="ship")
    order(doubtful_pivot, Verb.SETTLE, step="ship", output={"parcel": "P-1"})
    drive(is_at(doubtful_pivot, "completed"))
    assert seen == [{"parcel": "P-1"}]
    assert faults_of(doubtful_pivot) == []


def test_a_pivot_in_doubt_that_did_not_happen_turns_the_run_round(doubtful_pivot):
    order(doubtful_pivot, Verb.SETTLE, step="ship", outcome=OutcomeKind.REJECTED)
    drive(is_at(doubtful_pivot, "compensated"))
    assert step(doubtful_pivot, "ship").status == "failed"
    assert faults_of(doubtful_pivot) == []


def test_a_step_that_failed_past_the_pivot_can_be_skipped(saga):
    BEHAVIOUR["ship:action"] = lambda _call: {"parcel": "P-1"}
    BEHAVIOUR["tell:action"] = refuse
    run = start_run(saga(source=WITH_PIVOT), {}).run
    drive(is_at(run, "needs_attention"))
    order(run, Verb.SKIP, step="tell")
    drive(is_at(run, "completed"))
    assert step(run, "tell").status == "skipped"
    assert faults_of(run) == []


@pytest.mark.parametrize(
    ("verb", "ask", "pointers"),
    [
        (Verb.SKIP, {"reason": " "}, ["/step", "/reason"]),
        (Verb.SETTLE, {"step": "pay", "outcome": OutcomeKind.UNKNOWN}, ["/outcome"]),
        (Verb.SETTLE, {"step": "pay", "reference": "r" * 201}, ["/reference"]),
        (Verb.GIVE_UP, {"reason": ""}, ["/reason"]),
        (Verb.TERMINATE, {"reason": ""}, ["/reason"]),
    ],
)
def test_an_order_says_all_that_is_missing(saga, verb, ask, pointers):
    run = start_run(saga(), {}).run
    with pytest.raises(InputInvalidError) as caught:
        order(run, verb, **ask)
    assert [problem.pointer for problem in caught.value.problems] == pointers
    assert fetch(run).inbox_last == 0


def test_terminating_what_has_moved_meanwhile_is_refused(saga):
    run = start_run(saga(), {}).run
    with pytest.raises(RevisionStaleError):
        give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="because"), revision=run.revision + 1)
