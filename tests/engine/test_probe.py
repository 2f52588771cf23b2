"""A probe, asked by a real pump after an action whose outcome nobody knows."""

from __future__ import annotations

import threading

import pytest

from sagas import NoEffect, NotDone, Rejected
from sagas.core import action_form
from sagas.core import messages as m
from sagas.core.definition import RetryPolicy
from sagas.core.outcome import Error, Unknown
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, Verb
from sagas.engine import journal
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.participants import registry
from tests.engine.actions import BEHAVIOUR, CALLS, break_down
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds
from tests.engine.test_journal import claim_all, make_due, step_on
from tests.engine.test_orders import is_at, order, step

PAY = """
saga: {name}
title: One payment
{more}
steps:
  - name: pay
    action: engine.plain
    with: {{amount: 5}}
    timeout: {timeout}
    retry: {{attempts: {attempts}, initial: 10ms, factor: 1, jitter: 0}}
    compensation: {{action: engine.plain, with: {{}}, timeout: 5s}}
    probe: {{python: engine.{probe}}}
  - name: ship
    action: engine.plain
    compensation: none
"""


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    monkeypatch.setattr(action_form, "PROBE_RETRY", RetryPolicy(attempts=3, initial_s=0.01, factor=1, jitter=0))


@pytest.fixture
def pay(saga):
    """Publish the saga and start a run of it."""

    def make(*, attempts=1, probe="probe", timeout="5s", more=""):
        text = PAY.format(
            name=f"pay-{probe.replace('_', '-')}", attempts=attempts, probe=probe, timeout=timeout, more=more
        )
        return start_run(saga(source=text), {}).run

    BEHAVIOUR["pay:action"] = break_down
    return make


@pytest.fixture
def gate():
    """Hold a call until the test opens the gate: (has arrived, open, behaviour)."""
    arrived, opened = threading.Event(), threading.Event()

    def wait(_call):
        arrived.set()
        opened.wait(30)
        return {"paid": 1}

    yield arrived, opened, wait
    opened.set()


def say(error):
    """Return a behaviour that raises `error`."""

    def behave(_call):
        raise error

    return behave


def sent():
    return [key for key, _ in CALLS]


@pytest.mark.parametrize("probe", ["probe", "awaited_probe"])
def test_a_probe_that_found_the_effect_ends_the_step_with_its_output(pay, probe):
    seen = []
    BEHAVIOUR["pay:probe"] = lambda call: seen.append(call) or {"paid": 5}
    run = pay(probe=probe)
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:action", "pay:probe", "ship:action"]
    assert step(run, "pay").output == {"paid": 5}
    assert step(run, "pay").error is None
    key = f"{run.id}:pay:action"
    (call,) = seen
    assert (call.phase, call.attempt, call.idempotency_key, call.action_key) == ("probe", 1, key, key)
    assert (call.arguments, call.timeout_s) == ({"amount": 5}, 5.0)
    assert faults_of(run) == []


def test_a_time_out_is_asked_about_as_well(pay, gate):
    _, opened, wait = gate
    BEHAVIOUR["pay:action"] = wait
    BEHAVIOUR["pay:probe"] = say(NotDone())
    run = pay(timeout="300ms")
    drive(lambda: step(run, "pay").status == "failed" if fetch(run).steps.exists() else False)
    opened.set()
    drive(lambda: fetch(run).inbox_done == 1)  # the action comes back, too late
    assert fetch(run).status == "compensated"
    assert sent() == ["pay:action", "pay:probe"], "nothing is undone that never happened"
    assert faults_of(run) == []


def test_a_probe_that_says_no_fails_the_step(pay):
    BEHAVIOUR["pay:probe"] = say(Rejected("The card was declined.", code="declined", details={"tries": 1}))
    run = pay(attempts=3)
    drive()
    assert fetch(run).status == "compensated"
    assert sent() == ["pay:action", "pay:probe"]
    error = {"code": "declined", "message": "The card was declined.", "details": {"tries": 1}}
    assert step(run, "pay").error == error
    assert faults_of(run) == []


def test_what_was_not_done_is_tried_again_under_the_same_key(pay):
    BEHAVIOUR["pay:probe"] = say(NotDone("No such payment."))
    BEHAVIOUR["pay:action"] = lambda call: {"paid": call.attempt} if call.attempt == 2 else break_down(call)
    run = pay(attempts=2)
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:action", "pay:probe", "pay:action", "ship:action"]
    assert step(run, "pay").output == {"paid": 2}
    ended = fetch(run).journal.get(kind="attempt_ended", data__phase="probe").data
    assert (ended["outcome"], ended["code"], ended["message"]) == ("failed", "not_done", "No such payment.")
    assert faults_of(run) == []


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (break_down, "exception"),
        (say(NoEffect("not reached")), "no_effect"),
        (lambda _call: None, "probe_unclear"),
        (lambda _call: False, "probe_unclear"),
        (lambda _call: True, "probe_unclear"),
        (lambda _call: object(), "bad_output"),
    ],
    ids=["breaks", "had no effect itself", "null", "false", "true", "not JSON"],
)
def test_a_probe_that_does_not_say_is_asked_three_times_and_then_the_action_is_undone_in_doubt(pay, behave, code):
    BEHAVIOUR["pay:probe"] = behave
    run = pay()
    drive()
    assert fetch(run).status == "compensated"
    assert sent() == ["pay:action", *["pay:probe"] * 3, "pay:compensation"]
    ends = fetch(run).journal.filter(kind="attempt_ended", data__phase="probe").values_list("data", flat=True)
    assert [(end["outcome"], end["code"]) for end in ends] == [("unknown", code)] * 3
    assert step(run, "pay").status == "in_doubt"
    assert faults_of(run) == []


def test_a_probe_that_does_not_answer_in_time_is_asked_again(pay, gate):
    _, opened, wait = gate
    BEHAVIOUR["pay:probe"] = lambda call: wait(call) if call.attempt == 1 else {"paid": 2}
    run = pay(timeout="300ms")
    drive(is_at(run, "completed"))
    opened.set()
    drive()
    assert step(run, "pay").output == {"paid": 2}
    assert sent() == ["pay:action", "pay:probe", "pay:probe", "ship:action"]
    assert faults_of(run) == []


def test_after_the_loss_of_a_worker_the_probe_is_asked_before_the_action_is_tried_again(pay):
    BEHAVIOUR["pay:probe"] = lambda _call: {"paid": 9}
    run = pay(attempts=3)
    journal.append([step_on(run, claim_all()[run.id])])  # the action is written down as sent, and its worker is gone
    make_due(run)
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:probe", "ship:action"]
    assert step(run, "pay").output == {"paid": 9}
    assert faults_of(run) == []


def test_after_the_loss_of_a_worker_that_asked_the_probe_is_asked_again(pay):
    BEHAVIOUR["pay:probe"] = lambda _call: {"paid": 9}
    run = pay()
    _lose_the_first_probe(run)
    make_due(run)
    drive()
    assert fetch(run).status == "completed"
    ends = fetch(run).journal.filter(kind="attempt_ended", data__phase="probe").values_list("data", flat=True)
    assert [(end["number"], end.get("code", "")) for end in ends] == [(1, "worker_lost"), (2, "")]
    assert faults_of(run) == []


def _lose_the_first_probe(run) -> None:
    """Write down that the action ended unknown and the probe was sent, by a worker that is gone."""
    token = claim_all()[run.id]
    journal.append([step_on(run, token)])
    attempt = AttemptKey("pay", NO_ITEM, Phase.ACTION, 1)
    unknown = m.ReportOutcome(attempt, Unknown(Error("timed_out", "No answer.")), Clock().now())
    journal.append([step_on(run, token, command=unknown)])


def test_a_paused_run_is_not_asked_about_before_it_is_resumed(pay, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["pay:action"] = lambda call: wait(call) and break_down(call)
    BEHAVIOUR["pay:probe"] = lambda _call: {"paid": 5}
    run = pay()

    def pause_in_flight():
        if arrived.is_set() and not fetch(run).inbox_last:
            order(run, Verb.PAUSE)
        if fetch(run).is_paused:
            opened.set()
        return fetch(run).is_paused and step(run, "pay").status == "retrying"

    drive(pause_in_flight)
    assert sent() == ["pay:action"]
    assert fetch(run).due_at is None
    order(run, Verb.RESUME)
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_run_is_terminated_while_its_probe_is_asked(pay, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["pay:probe"] = wait
    run = pay()

    def terminate_in_flight():
        if arrived.is_set() and not fetch(run).inbox_last:
            order(run, Verb.TERMINATE)
            opened.set()
        return fetch(run).status == "terminated"

    drive(terminate_in_flight)
    drive()
    assert step(run, "pay").status == "in_doubt"
    assert kinds(run)[-3:] == ["attempt_ended", "step_in_doubt", "run_terminated"]
    assert faults_of(run) == []


def test_a_person_settles_while_the_probe_is_asked(pay, gate):
    arrived, opened, wait = gate
    BEHAVIOUR["pay:probe"] = wait
    run = pay()

    def settle_in_flight():
        if arrived.is_set() and not fetch(run).inbox_last:
            order(run, Verb.SETTLE, step="pay", output={"paid": 3})
        return fetch(run).status == "completed"

    drive(settle_in_flight)
    opened.set()
    drive()
    assert step(run, "pay").output == {"paid": 3}
    assert faults_of(run) == []


def test_what_has_come_to_write_is_not_asked(pay, monkeypatch):
    run = pay()
    registry.find("engine.probe")
    monkeypatch.setitem(registry._actions, "engine.probe", registry._actions["engine.plain"])
    drive()
    ended = fetch(run).journal.filter(kind="attempt_ended", data__phase="probe").first().data
    assert ended["code"] == "probe_writes"
    assert sent() == ["pay:action", "pay:compensation"]


def test_an_action_that_raises_what_only_a_probe_says_is_unknown(pay):
    BEHAVIOUR["pay:action"] = say(NotDone())
    BEHAVIOUR["pay:probe"] = lambda _call: {"paid": 5}
    run = pay()
    drive()
    ended = fetch(run).journal.get(kind="attempt_ended", data__step="pay", data__phase="action").data
    assert (ended["outcome"], ended["code"]) == ("unknown", "exception")
    assert fetch(run).status == "completed"
