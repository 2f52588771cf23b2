"""Runs whose code is gone: the version does not compile, or no worker has the action. A person is asked, once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from sagas import NoEffect
from sagas.catalog import load
from sagas.core.document import compile_document
from sagas.core.vocabulary import Phase, Verb
from sagas.engine import journal, lease, pump, unread
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError, SagaUnreadableError
from sagas.engine.orders import Ask, allowed_orders, find_refusal, foresee_cancel, give_order
from sagas.models import SagaRun
from sagas.participants import local, registry
from tests.engine.actions import BEHAVIOUR, CALLS, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds
from tests.engine.test_journal import claim_all, make_due, step_on

MISSING = {"step": "pay", "item": -1, "phase": "action", "code": "action_not_registered"}


class Code:
    """What reads documents, and can be taken away from some sagas and put back."""

    def __init__(self) -> None:
        self.lost: dict[str, Exception] = {}

    def compile(self, document, facts):
        if error := self.lost.get(document["saga"]):
            raise error
        return compile_document(document, facts)

    def lose(self, saga, error=None):
        self.lost[saga] = error or KeyError("map_filter")
        forget_compiled()

    def put_back(self):
        self.lost.clear()
        forget_compiled()


def forget_compiled():
    """As in a process that has just begun."""
    load._hashes.clear()
    load._compiled.clear()


@pytest.fixture
def code(monkeypatch):
    found = Code()
    monkeypatch.setattr(load, "compile_document", found.compile)
    monkeypatch.setattr(unread, "CODE_AWAITED", timedelta(0))
    yield found
    forget_compiled()


def needs_person(run):
    return lambda: fetch(run).status == "needs_attention"


def test_a_version_that_cannot_be_read_asks_for_a_person_once_and_does_not_stop_the_others(saga, code):
    lost, other = start_run(saga("plain"), {}).run, start_run(saga("awaited"), {}).run
    code.lose("three-plain")
    drive()  # until nothing is due any more: neither now nor when a lease ends
    row = fetch(lost)
    assert (row.status, row.due_at, row.lease_until) == ("needs_attention", None, None)
    assert kinds(lost) == ["run_started", "attention_needed"]
    assert row.attention == [
        {"step": "", "item": -1, "phase": "action", "code": "version_unreadable",
         "message": "The code that is here cannot read the version: KeyError: 'map_filter'."},
    ]  # fmt: skip
    assert fetch(other).status == "completed"
    code.put_back()
    assert faults_of(lost) == []


def test_when_the_code_is_back_a_retry_goes_on_where_the_run_stood(saga, code):
    name = saga("plain")

    def lose_it(call):
        if call.attempt == 1:
            code.lose(name)
            raise NoEffect("busy")  # the run is let go until its next try

    BEHAVIOUR["stock:action"] = lose_it
    run = start_run(name, {}).run
    drive()
    row = fetch(run)
    assert (row.status, row.steps_done, row.steps.get(step="stock").status) == ("needs_attention", 1, "retrying")
    code.put_back()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    row = fetch(run)
    assert (row.status, row.attention, row.inbox_done) == ("completed", [], 1)
    assert CALLS == [("pay:action", 1), ("stock:action", 1), ("stock:action", 2), ("ship:action", 1)]
    assert faults_of(run) == []


def test_what_was_in_flight_when_the_code_went_is_known_as_lost_when_it_is_back(saga, code, monkeypatch):
    monkeypatch.setattr(lease, "length", lambda: timedelta(seconds=1))
    name = saga("plain")
    run = start_run(name, {}).run

    journal.append([step_on(run, claim_all()[run.id])])
    code.lose(name)
    make_due(run)
    drive()
    assert kinds(run)[-1] == "attention_needed"
    assert fetch(run).steps.get(step="pay").status == "running"
    code.put_back()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "completed"
    assert CALLS[0] == ("pay:action", 2)
    assert faults_of(run) == []


def test_for_a_while_the_run_is_left_to_a_worker_that_has_the_code(saga, code, monkeypatch):
    monkeypatch.setattr(unread, "CODE_AWAITED", timedelta(seconds=30))
    monkeypatch.setattr(lease, "length", lambda: timedelta(seconds=0.5))
    name = saga("plain")
    run = start_run(name, {}).run
    code.lose(name)
    drive(until=lambda: fetch(run).token >= 2)
    assert kinds(run) == ["run_started"]
    assert fetch(run).attention == []
    code.put_back()
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


@pytest.fixture
def rests(saga, code):
    """A paused run whose version cannot be read any more."""
    name = saga("plain")
    run = start_run(name, {}).run
    give_order(run.id, Verb.PAUSE, by="alice")
    drive()
    code.lose(name)
    SagaRun.objects.filter(id=run.id).update(due_at=fetch(run).created_at)
    drive(until=needs_person(run))
    return run


def test_without_its_code_a_run_can_be_terminated_and_nothing_else(rests, code):
    row = fetch(rests)
    assert allowed_orders(row) == (Verb.TERMINATE,)
    assert "Put that code back and retry" in (find_refusal(row, Verb.RETRY) or "")
    assert "Put that code back and retry" in foresee_cancel(row).refusal
    for verb in (Verb.RETRY, Verb.RESUME, Verb.CANCEL):
        with pytest.raises(OrderRefusedError, match="until then the run can only be terminated") as caught:
            give_order(rests.id, verb, by="alice")
        assert caught.value.allowed == (Verb.TERMINATE,)
    give_order(rests.id, Verb.TERMINATE, by="alice", ask=Ask(reason="the shop is closed"))
    row = fetch(rests)
    assert (row.status, row.attention, row.due_at) == ("terminated", [], None)
    code.put_back()
    assert faults_of(rests) == []


def test_orders_accepted_where_the_code_is_wait_in_the_inbox_until_a_worker_has_it_too(rests, code):
    code.put_back()
    give_order(rests.id, Verb.RETRY, by="alice")
    code.lose("three-plain")
    drive()
    row = fetch(rests)
    assert (row.status, row.due_at, row.inbox_last - row.inbox_done) == ("needs_attention", None, 1)
    code.put_back()
    assert set(allowed_orders(row)) == {Verb.RETRY, Verb.TERMINATE}
    give_order(rests.id, Verb.RETRY, by="alice")
    drive()
    assert [kind for kind in kinds(rests) if kind.startswith("order")] == ["order_taken"] * 2 + ["order_refused"]
    give_order(rests.id, Verb.RESUME, by="alice")
    drive()
    row = fetch(rests)
    assert (row.status, row.inbox_done) == ("completed", row.inbox_last)
    assert faults_of(rests) == []


def test_a_version_that_cannot_be_read_starts_no_run(saga, code):
    name = saga("plain")
    code.lose(name)
    with pytest.raises(SagaUnreadableError, match="cannot read the version"):
        start_run(name, {})
    assert not SagaRun.objects.exists()


def test_a_worker_whose_participants_cannot_be_imported_takes_no_run(saga, monkeypatch):
    run = start_run(saga("plain"), {}).run

    def broken():
        raise ImportError("no module named shop.secrets")

    monkeypatch.setattr(registry, "discover", broken)
    with pytest.raises(ImportError):
        pump.run_shift("tests", 0, length_s=1, should_stop=threading.Event().is_set)
    assert (fetch(run).token, kinds(run)) == (0, ["run_started"])


# ---- an action that no worker has ------------------------------------------------


@pytest.fixture
def gone(monkeypatch):
    """Take the action `engine.plain` away; the value puts it back."""
    monkeypatch.setattr(local, "CODE_AWAITED_S", 0.01)
    action = registry.find("engine.plain")
    monkeypatch.delitem(registry._actions, "engine.plain")
    return lambda: monkeypatch.setitem(registry._actions, "engine.plain", action)


def test_an_action_that_nobody_registers_undoes_nothing_and_asks_for_a_person(saga, gone):
    run = start_run(saga("plain"), {}).run
    drive()
    row = fetch(run)
    assert (row.status, row.direction, row.attention) == ("needs_attention", "forward", [MISSING])
    assert row.steps.get(step="pay").error["code"] == "action_not_registered"
    assert kinds(run).count("attempt_started") == 2, "the policy's tries were made, each perhaps in another worker"
    assert set(allowed_orders(row)) == {"cancel", "retry", "skip", "settle", "pause", "terminate"}
    gone()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_run_whose_action_is_missing_can_be_cancelled(saga, gone):
    run = start_run(saga("plain"), {}).run
    drive()
    give_order(run.id, Verb.CANCEL, by="alice")
    drive()
    assert (fetch(run).status, fetch(run).attention) == ("compensated", [])
    assert CALLS == []
    gone()
    assert faults_of(run) == []


def test_an_undo_that_nobody_registers_asks_for_a_person_too(saga, monkeypatch):
    monkeypatch.setattr(local, "CODE_AWAITED_S", 0.01)
    name = saga("awaited")
    known = registry.find("engine.awaited")

    def refuse_and_lose(call):
        monkeypatch.delitem(registry._actions, "engine.awaited")
        refuse(call)

    BEHAVIOUR["ship:action"] = refuse_and_lose
    run = start_run(name, {}).run
    drive(until=needs_person(run))
    (one,) = fetch(run).attention
    assert (one["phase"], one["code"]) == (Phase.COMPENSATION, "compensation_failed")
    monkeypatch.setitem(registry._actions, "engine.awaited", known)
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "compensated"
    assert faults_of(run) == []


# ---- sub-sagas -------------------------------------------------------------------

PARENT = """
saga: parent
title: A saga within
defaults: {timeout: 5s, retry: {attempts: 2, initial: 10ms, jitter: 0}}
steps:
  - {name: ship, run: three-plain}
  - {name: tell, action: engine.awaited, compensation: none}
"""


def child_of(run):
    return SagaRun.objects.get(parent=run)


def test_a_sub_saga_whose_version_cannot_be_read_is_asked_about_before_it_is_started(saga, code, monkeypatch):
    monkeypatch.setattr("sagas.engine.children.CODE_AWAITED_S", 0.01)
    name = saga("plain")
    run = start_run(saga(source=PARENT), {}).run
    code.lose(name)
    drive()
    row = fetch(run)
    assert [(one["step"], one["code"]) for one in row.attention] == [("ship", "saga_unreadable")]
    code.put_back()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert (fetch(run).status, child_of(run).status) == ("completed", "completed")
    assert faults_of(run) == faults_of(child_of(run)) == []


def test_the_end_of_a_sub_saga_waits_for_a_parent_that_cannot_be_read(saga, code):
    saga("plain")
    run = start_run(saga(source=PARENT), {}).run
    BEHAVIOUR["ship:action"] = lambda _call: code.lose("parent")
    drive()
    row = fetch(run)
    assert (row.status, row.inbox_last - row.inbox_done, row.due_at) == ("needs_attention", 1, None)
    assert child_of(run).status == "completed"
    code.put_back()
    give_order(run.id, Verb.RETRY, by="alice")
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_completed_sub_saga_that_cannot_be_read_is_undone_when_its_code_is_back(saga, code):
    saga("plain")
    run = start_run(saga(source=PARENT), {}).run

    def lose_and_refuse(call):
        code.lose("three-plain")
        refuse(call)

    BEHAVIOUR["tell:action"] = lose_and_refuse
    drive()
    child = child_of(run)
    assert (fetch(run).status, child.status, child.direction) == ("compensating", "needs_attention", "forward")
    code.put_back()
    give_order(child.id, Verb.RETRY, by="alice")
    drive()
    assert (fetch(run).status, child_of(run).status) == ("compensated", "compensated")
    assert faults_of(run) == faults_of(child_of(run)) == []
