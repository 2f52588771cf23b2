"""Actions that come back when nobody waits for them any more: through the inbox to whoever drives the run."""

from __future__ import annotations

import threading

import pytest
from django.db.models import F

from sagas import NoEffect
from sagas.core import action_form
from sagas.core.definition import RetryPolicy
from sagas.core.outcome import Succeeded
from sagas.core.redaction import NOTHING
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, Verb
from sagas.engine import late
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError
from sagas.engine.pump import run_shift
from sagas.models import SagaRun
from tests.engine.actions import BEHAVIOUR, CALLS, break_down, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds
from tests.engine.test_journal import make_due
from tests.engine.test_orders import order, step
from tests.running import wait_for as patiently

SLOW = """
saga: {name}
title: A slow payment
{more}
steps:
  - name: pay
    action: engine.plain
    timeout: {timeout}
    retry: {{attempts: {attempts}, initial: {wait}, factor: 1, max: 1d, jitter: 0}}
    compensation: {{action: engine.plain, timeout: 20s}}
    {probe}
  - name: ship
    action: engine.plain
    timeout: 20s
    compensation: {{action: engine.plain, timeout: 20s}}
"""


AFTER = """
saga: pay-after
title: A payment after a reservation
steps:
  - name: reserve
    action: engine.plain
    compensation: {action: engine.plain, timeout: 20s}
  - name: pay
    action: engine.plain
    timeout: 200ms
    retry: {attempts: 1}
    compensation: {action: engine.plain, timeout: 20s}
"""
WAYS_OUT = {Verb.RETRY: {}, Verb.SETTLE: {"phase": Phase.COMPENSATION, "reference": "BANK-7"}, Verb.GIVE_UP: {}}


UNDO = "compensation: {action: engine.plain, timeout: 200ms, retry: {initial: 10ms}}"


@pytest.fixture
def slow(saga):
    """Publish the saga and start a run of it."""

    def make(*, attempts=1, wait="1h", more="", probe="", timeout="200ms"):
        name = f"slow-{attempts}-{len(more)}-{len(probe)}"
        text = SLOW.format(name=name, attempts=attempts, wait=wait, more=more, probe=probe, timeout=timeout)
        return start_run(saga(source=text), {}).run

    return make


@pytest.fixture
def held():
    """Return what holds attempts of `pay` until the test lets them go, and what they then do."""
    gates: dict[int, threading.Event] = {}

    def hold(*numbers, then=lambda call: {"paid": call.attempt}):
        gates.update({number: threading.Event() for number in numbers})

        def behave(call):
            if call.attempt in gates:
                gates[call.attempt].wait(30)
            return then(call)

        BEHAVIOUR["pay:action"] = behave
        return gates

    yield hold
    for gate in gates.values():
        gate.set()


def wait_for(find):
    patiently(find, "what was waited for")


def say(error):
    """Return a behaviour that raises `error`."""

    def behave(_call):
        raise error

    return behave


def hears(run, *, after=lambda: None, number=1):
    """Return what a drive waits for: `after` is done once, then the inbox is applied up to `number`."""
    done = []

    def until():
        if not done and after():
            done.append(1)
        return fetch(run).inbox_done >= number

    return until


def when(run, name, status, gate):
    """Return what opens `gate` once the step `name` has that status."""

    def look():
        found = fetch(run).steps.filter(step=name).first()
        if found is not None and found.status == status:
            gate.set()
        return gate.is_set()

    return look


def report(run):
    return fetch(run).journal.get(kind="late_report_received").data


def take_away(run):
    """Claim the run as if its holder had slept past its lease; that worker dies at once, and nobody looks yet."""
    return SagaRun.objects.filter(id=run.id).update(token=F("token") + 1, lease_until=None, due_at=None)


def sent():
    return [key for key, _ in CALLS]


def test_a_success_after_the_time_out_settles_the_step_and_takes_the_retry_back(slow, held):
    gates = held(1)
    run = slow(attempts=3)
    drive(hears(run, after=when(run, "pay", "retrying", gates[1])))
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:action", "ship:action"], "the retry in an hour is not needed any more"
    assert step(run, "pay").output == {"paid": 1}
    assert (report(run)["outcome"], report(run)["settles"]) == ("succeeded", True)
    assert faults_of(run) == []


def test_a_refusal_after_the_time_out_fails_the_step_which_is_not_undone(slow, held):
    gates = held(1, then=refuse)
    run = slow(attempts=3)
    drive(hears(run, after=when(run, "pay", "retrying", gates[1])))
    drive()
    assert fetch(run).status == "compensated"
    assert sent() == ["pay:action"]
    assert step(run, "pay").error == {"code": "no", "message": "not today"}
    assert faults_of(run) == []


def test_no_effect_after_the_time_out_leaves_the_retry_and_makes_a_later_failure_definite(slow, held):
    gates = held(1, then=say(NoEffect("not reached")))
    run = slow(attempts=2, wait="1500ms")
    drive(hears(run, after=when(run, "pay", "retrying", gates[1])))
    drive()
    assert fetch(run).status == "compensated"
    assert sent() == ["pay:action", "pay:action"], "without the report it would have been undone in doubt"
    assert step(run, "pay").status == "failed"
    assert faults_of(run) == []


def test_what_is_said_while_a_newer_attempt_is_in_flight_counts_when_that_has_ended(slow, held):
    gates = held(1, 2, then=lambda call: {"paid": 1} if call.attempt == 1 else break_down(call))
    run = slow(attempts=2, wait="10ms", timeout="4s")

    def second_is_out():
        if ("pay:action", 2) in CALLS:
            gates[1].set()
        return gates[1].is_set()

    def heard():
        if second_is_out() and fetch(run).inbox_done == 1:
            assert step(run, "pay").status == "running", "the newer attempt is waited for"
            gates[2].set()
        return gates[2].is_set()

    drive(heard)
    drive()
    assert fetch(run).status == "completed"
    assert step(run, "pay").output == {"paid": 1}
    assert sent() == ["pay:action", "pay:action", "ship:action"]
    told = [kind for kind in kinds(run) if kind in {"late_report_received", "attempt_ended", "step_settled"}]
    assert told == ["attempt_ended", "late_report_received", "attempt_ended", "step_settled", "attempt_ended"]
    assert faults_of(run) == []


def test_a_late_success_answers_what_a_person_is_asked(slow, held):
    gates = held(1)
    run = slow(more="in_doubt: ask")
    drive(hears(run, after=when(run, "pay", "in_doubt", gates[1])))
    drive()
    assert fetch(run).status == "completed"
    assert fetch(run).attention == []
    assert faults_of(run) == []


def test_a_late_success_overtakes_the_probe(slow, held, monkeypatch):
    monkeypatch.setattr(action_form, "PROBE_RETRY", RetryPolicy(attempts=3, initial_s=3600, wait_s_max=3600, jitter=0))
    gates = held(1)
    BEHAVIOUR["pay:probe"] = say(RuntimeError("cannot look"))
    run = slow(probe="probe: {python: engine.probe}")
    drive(hears(run, after=when(run, "pay", "retrying", gates[1])))
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:action", "pay:probe", "ship:action"]
    assert faults_of(run) == []


@pytest.mark.parametrize("way_out", [Verb.RETRY, Verb.SETTLE, Verb.GIVE_UP])
def test_a_success_after_the_undo_puts_the_run_into_attention_with_all_ways_out(saga, held, way_out):
    gates, stays = held(1), threading.Event()
    BEHAVIOUR["reserve:compensation"] = lambda _call: stays.wait(30) and None
    run = start_run(saga(source=AFTER), {}).run

    def undone():
        found = fetch(run).steps.filter(step="reserve", compensation_status="running")
        if found.exists():
            gates[1].set()
        return gates[1].is_set()

    drive(hears(run, after=undone))
    assert fetch(run).attention == [{"step": "pay", "item": NO_ITEM, "phase": "compensation", "code": "hanging"}]
    assert (report(run)["is_hanging"], report(run)["needs_undo"]) == (True, True)
    with pytest.raises(OrderRefusedError, match="being undone right now"):
        order(run, Verb.RETRY, step="pay")
    stays.set()
    drive()
    assert (fetch(run).status, fetch(run).is_hanging) == ("needs_attention", False)
    order(run, way_out, **({} if way_out is Verb.RETRY else {"step": "pay"}), **WAYS_OUT[way_out])
    drive()
    again = sent().count("pay:compensation#2")
    end = {
        Verb.RETRY: ("compensated", "succeeded", 1),
        Verb.SETTLE: ("compensated", "settled", 0),
        Verb.GIVE_UP: ("partially_compensated", "given_up", 0),
    }
    assert (fetch(run).status, step(run, "pay").compensation_status, again) == end[way_out]
    assert faults_of(run) == []


def test_a_success_after_the_end_is_kept_and_the_run_shows_that_it_hangs(slow, held):
    gates = held(1)
    run = slow()

    def ended():
        if fetch(run).status == "compensated":
            gates[1].set()
        return gates[1].is_set()

    drive(hears(run, after=ended))
    row = fetch(run)
    assert (row.status, row.is_hanging, row.attention, row.due_at) == ("compensated", True, [], None)
    assert sent() == ["pay:action", "pay:compensation"]
    assert "settles" not in report(run)
    assert kinds(run)[-2:] == ["run_compensated", "late_report_received"]
    assert faults_of(run) == []


def test_a_late_return_is_heard_when_its_shift_is_over_and_another_one_drives_the_run(slow, held):
    gates = held(1)
    run = slow(attempts=3)
    is_over = threading.Event()
    shift = threading.Thread(
        target=run_shift, args=("tests", 0), kwargs={"length_s": 50, "should_stop": is_over.is_set}
    )
    shift.start()
    wait_for(lambda: fetch(run).steps.filter(step="pay", status="retrying").exists())
    is_over.set()
    shift.join(40)
    assert not shift.is_alive()
    gates[1].set()
    wait_for(lambda: fetch(run).inbox_last == 1)
    assert fetch(run).due_at is not None, "somebody is told to look"
    drive()
    assert fetch(run).status == "completed"
    assert sent() == ["pay:action", "ship:action"]
    assert faults_of(run) == []


def test_what_came_to_an_end_after_the_run_was_claimed_by_somebody_else_is_not_lost(saga, held):
    gates = held(1)
    run = start_run(saga(source=AFTER.replace("200ms", "20s").replace("attempts: 1", "attempts: 2")), {}).run

    def claimed():
        if ("pay:action", 1) in CALLS and not gates[1].is_set():
            take_away(run)
            gates[1].set()
        return gates[1].is_set()

    drive(lambda: claimed() and fetch(run).inbox_last == 1)
    make_due(run)
    drive()
    assert fetch(run).status == "completed"
    assert step(run, "pay").output == {"paid": 1}
    assert sent() == ["reserve:action", "pay:action"], "nothing is done twice"
    ended = fetch(run).journal.get(kind="attempt_ended", data__step="pay").data
    assert (ended["outcome"], ended["code"]) == ("unknown", "worker_lost")
    assert faults_of(run) == []


def test_a_late_return_settles_a_run_that_is_paused_and_nothing_starts(slow, held):
    gates = held(1)
    run = slow(attempts=3)
    drive(lambda: fetch(run).steps.filter(step="pay", status="retrying").exists())
    order(run, Verb.PAUSE)
    gates[1].set()
    wait_for(lambda: fetch(run).inbox_last == 2)
    drive(lambda: fetch(run).inbox_done == 2)
    assert step(run, "pay").status == "succeeded"
    assert sent() == ["pay:action"]
    order(run, Verb.RESUME)
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_late_compensation_is_evidence_only(saga):
    over = threading.Event()
    BEHAVIOUR["pay:action"] = refuse
    BEHAVIOUR["reserve:compensation"] = lambda call: over.wait(30) and None if call.attempt == 1 else None
    source = AFTER.replace("compensation: {action: engine.plain, timeout: 20s}", UNDO, 1)
    run = start_run(saga(source=source), {}).run

    def undone():
        if fetch(run).status == "compensated":
            over.set()
        return over.is_set()

    drive(hears(run, after=undone))
    assert fetch(run).status == "compensated"
    assert (report(run)["phase"], "settles" in report(run), fetch(run).is_hanging) == ("compensation", False, False)
    assert faults_of(run) == []


@pytest.mark.parametrize("is_recorded", [True, False])
def test_what_an_attempt_came_to_counts_though_it_waits_while_the_run_is_terminated(slow, held, is_recorded):
    gates = held(1)
    run = slow(attempts=3, timeout="200ms" if is_recorded else "20s")
    if is_recorded:
        drive(lambda: fetch(run).steps.filter(step="pay", status="retrying").exists())
    else:
        drive(lambda: ("pay:action", 1) in CALLS and take_away(run))
    gates[1].set()
    wait_for(lambda: fetch(run).inbox_last == 1)
    order(run, Verb.TERMINATE)
    assert (fetch(run).status, step(run, "pay").status) == ("terminated", "succeeded")
    assert fetch(run).journal.get(kind="run_terminated").data["stays"] == [["pay", NO_ITEM]]
    assert sent() == ["pay:action"]
    assert faults_of(run) == []


def test_an_outcome_that_is_known_is_not_told_a_second_time(saga):
    """As when a driver is stopped after its commit and before it hears of that."""
    run = start_run(saga(), {}).run
    drive()
    before = fetch(run)
    late.tell(run.id, AttemptKey("pay", NO_ITEM, Phase.ACTION, 1), 1, NOTHING, Succeeded({"twice": True}))
    assert (fetch(run).inbox_last, fetch(run).sequence) == (before.inbox_last, before.sequence)
