"""Timers, signals and approvals, driven by a real pump."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from sagas.core.vocabulary import OutcomeKind, Verb
from sagas.engine.commands import start_run
from sagas.engine.errors import InputInvalidError, OrderRefusedError
from sagas.engine.orders import Ask, allowed_orders, give_order
from tests.engine.actions import BEHAVIOUR, count
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds

SOURCE = """
saga: waits
title: Waits
defaults: {{timeout: 5s, compensation_retry: {{attempts: 2, initial: 10ms}}}}
steps:
  - {{name: first, action: engine.plain, compensation: {{action: engine.plain}}}}
  - {{name: rest, {wait}}}
  - {{name: last, action: engine.plain, compensation: none, with: {{got: "${{steps.rest.output}}"}}}}
"""
SIGNAL = "wait_for: {signal: paid}"
APPROVAL = "approval: {group: operator, prompt: 'Ship ${input.what}?'}"


@pytest.fixture
def start(saga):
    def make(wait: str, value=None):
        return start_run(saga(source=SOURCE.format(wait=wait)), value or {"what": "boat"}, by="tests").run

    return make


def rests(run, waits_for: str):
    """Whether nobody holds the run and it waits for that."""

    def look() -> bool:
        row = fetch(run)
        return row.waiting_for == waits_for and row.lease_until is None

    return look


def send(run, name: str, payload=None):
    return give_order(run.id, Verb.SIGNAL, by="bank", ask=Ask(signal=name, arguments=payload, has_arguments=True))


def answer(run, outcome: OutcomeKind, comment: str = ""):
    return give_order(run.id, Verb.APPROVE, by="alice", ask=Ask(step="rest", outcome=outcome, reason=comment))


def test_a_timer_holds_no_worker_and_rings(start):
    run = start("sleep: 300ms")
    drive(rests(run, "timer"))
    row = fetch(run)
    assert (row.lease_until, row.steps.get(step="rest").status) == (None, "waiting")
    assert row.due_at == row.steps.get(step="rest").next_attempt_at
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_timer_sleeps_until_a_moment_of_the_input(start):
    moment = datetime.now(UTC) + timedelta(hours=5)
    run = start("sleep_until: '${input.at}'", {"at": moment.isoformat()})
    drive(rests(run, "timer"))
    assert abs(fetch(run).due_at - moment) < timedelta(milliseconds=1)
    past = start_run("waits", {"at": "2020-01-01T00:00:00Z"}).run
    drive(lambda: fetch(past).status == "completed")
    assert fetch(past).status == "completed"


@pytest.mark.parametrize("moment", [None, "tomorrow", "2026-01-01T00:00:00", 12, "9999-01-01T00:00:00Z"])
def test_a_moment_that_is_none_fails_its_step_for_good(start, moment):
    run = start("sleep_until: '${input.at}'", {"at": moment})
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").error["code"]) == ("compensated", "expression_error")
    assert "sleep_until" in row.steps.get(step="rest").error["message"]


def test_a_signal_wakes_the_run_and_brings_its_payload(start):
    run = start(SIGNAL)
    drive(rests(run, "signal"))
    assert fetch(run).due_at is None
    send(run, "paid", {"sum": 3})
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").output, row.signals) == ("completed", {"sum": 3}, [])
    assert row.steps.get(step="last").halves["action"]["input"] == {"got": {"sum": 3}}
    assert faults_of(run) == []


def test_a_signal_that_comes_early_is_kept(start):
    run = start(SIGNAL)
    send(run, "paid", 1)
    send(run, "paid", 2)
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").output) == ("completed", 1)
    assert [one["payload"] for one in row.signals] == [2]
    assert faults_of(run) == []


def test_a_signal_that_comes_while_a_step_is_carried_out_is_kept(start):
    is_in, go = threading.Event(), threading.Event()

    def hold(_call) -> None:
        is_in.set()
        go.wait(20)

    BEHAVIOUR["first:action"] = hold
    run = start(SIGNAL)

    def meanwhile() -> bool:
        if is_in.is_set() and not go.is_set():
            send(run, "paid", {"sum": 4})
            go.set()
        return fetch(run).status == "completed"

    drive(meanwhile)
    assert fetch(run).steps.get(step="rest").output == {"sum": 4}


def test_a_signal_nobody_waits_for_is_refused_and_one_for_a_run_that_ended(start):
    run = start(SIGNAL)
    with pytest.raises(InputInvalidError) as caught:
        send(run, "payed")
    assert [str(one.message) for one in caught.value.problems] == [
        'The saga waits for no signal named "payed". It waits for `paid`. Did you mean `paid`?'
    ]
    send(run, "paid")
    drive()
    with pytest.raises(OrderRefusedError) as refused:
        send(run, "paid")
    assert "has ended" in refused.value.why


def test_no_more_signals_are_kept_than_a_row_bears(start, monkeypatch):
    monkeypatch.setattr("sagas.core.arrivals.SIGNALS_KEPT_MAX", 2)
    run = start(SIGNAL)
    send(run, "paid")
    send(run, "paid")
    with pytest.raises(OrderRefusedError) as refused:
        send(run, "paid")
    assert "keeps at most 2 signals" in refused.value.why
    assert fetch(run).inbox_last == 2


def test_a_wait_whose_time_is_up_undoes_what_was_done_or_goes_on(start):
    run = start("wait_for: {signal: paid, timeout: 100ms}")
    drive()
    row = fetch(run)
    assert (row.status, row.reason["code"]) == ("compensated", "timed_out")
    assert faults_of(run) == []


def test_a_wait_may_go_on_when_its_time_is_up(start):
    run = start("wait_for: {signal: paid, timeout: 100ms, on_timeout: continue}")
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").status) == ("completed", "skipped")
    assert row.steps.get(step="last").halves["action"]["input"] == {"got": None}


def test_a_yes_goes_on_and_says_who(start):
    run = start(APPROVAL, {"what": "boat"})
    drive(rests(run, "approval"))
    assert Verb.APPROVE in allowed_orders(fetch(run))
    assert fetch(run).steps.get(step="rest").halves["action"]["input"] == {"group": "operator", "prompt": "Ship boat?"}
    answer(run, OutcomeKind.SUCCEEDED, "fine by me")
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").output) == (
        "completed", {"approved_by": "alice", "comment": "fine by me"},
    )  # fmt: skip
    assert faults_of(run) == []


def test_a_no_is_a_refusal_that_is_never_retried(start):
    run = start(APPROVAL)
    drive(rests(run, "approval"))
    answer(run, OutcomeKind.REJECTED, "too dear")
    drive()
    row = fetch(run)
    assert (row.status, row.reason["code"], row.reason["outcome"]) == ("compensated", "declined", "rejected")
    assert row.steps.get(step="rest").error["message"] == "alice said no: too dear"
    assert faults_of(run) == []


def test_only_a_step_that_waits_for_an_answer_takes_one(start):
    run = start(APPROVAL)
    with pytest.raises(OrderRefusedError) as refused:
        answer(run, OutcomeKind.SUCCEEDED)
    assert refused.value.why == "Step rest waits for no answer of a person: it is pending."
    drive(rests(run, "approval"))
    answer(run, OutcomeKind.SUCCEEDED)
    with pytest.raises(OrderRefusedError):
        answer(run, OutcomeKind.REJECTED)
    with pytest.raises(InputInvalidError):
        give_order(run.id, Verb.APPROVE, by="alice", ask=Ask(step="rest", outcome=OutcomeKind.FAILED))


@pytest.mark.parametrize("wait", ["sleep: 9h", SIGNAL, APPROVAL])
def test_a_cancel_ends_a_wait_as_left_out(start, wait):
    run = start(wait)
    drive(lambda: fetch(run).waiting_for and fetch(run).lease_until is None)
    give_order(run.id, Verb.CANCEL, by="alice")
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="rest").status) == ("compensated", "skipped")
    assert count()["first:compensation"] == 1
    assert faults_of(run) == []


@pytest.mark.parametrize("wait", ["sleep: 9h", SIGNAL, APPROVAL])
def test_a_run_is_terminated_while_it_waits(start, wait):
    run = start(wait)
    drive(lambda: fetch(run).waiting_for and fetch(run).lease_until is None)
    give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="wrong order"))
    assert (fetch(run).status, fetch(run).steps.get(step="rest").status) == ("terminated", "skipped")
    assert faults_of(run) == []


def test_a_timer_that_rings_while_the_run_is_paused_waits_for_the_resume(start):
    run = start("sleep: 300ms")
    drive(rests(run, "timer"))
    give_order(run.id, Verb.PAUSE, by="alice")
    drive(lambda: fetch(run).is_paused and fetch(run).lease_until is None)
    assert fetch(run).due_at is None
    give_order(run.id, Verb.RESUME, by="alice")
    drive()
    assert fetch(run).status == "completed"
    assert kinds(run).count("wait_ended") == 1
