"""A pump drives runs to their end, whatever participants answer."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection

from sagas import NoEffect
from sagas.core.vocabulary import Verb
from sagas.engine import lease, pump
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import Saga, SagaRun
from tests.engine.actions import BEHAVIOUR, CALLS, break_down, count, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds

ONE_STEP = """
saga: one-step
title: One step, in a hurry
steps:
  - name: pay
    action: engine.{kind}
    compensation: {{action: engine.{kind}}}
    timeout: 200ms
    retry: {{attempts: 1}}
"""
KINDS = ["plain", "awaited", "atomic"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_completes_and_its_stored_state_is_the_fold_of_its_journal(saga, kind):
    run = start_run(saga(kind), {"order": 1}).run
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []
    assert count() == {"pay:action": 1, "stock:action": 1, "ship:action": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_last_step_undoes_the_others_newest_first(saga, kind):
    BEHAVIOUR["ship:action"] = refuse
    run = start_run(saga(kind), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert [key for key, _ in CALLS] == [
        "pay:action",
        "stock:action",
        "ship:action",
        "stock:compensation",
        "pay:compensation",
    ]
    assert faults_of(run) == []
    assert fetch(run).reason["code"] == "no"


def test_many_runs_are_driven_at_once(saga):
    name = saga("plain")
    runs = [start_run(name, {"order": number}).run for number in range(60)]
    drive()
    assert set(SagaRun.objects.values_list("status", flat=True)) == {"completed"}
    assert [fault for run in runs for fault in faults_of(run)] == []


def test_a_broken_plain_step_is_in_doubt_and_is_undone_too(saga):
    BEHAVIOUR["stock:action"] = break_down
    run = start_run(saga("plain"), {}).run
    drive()
    row = fetch(run)
    assert row.status == "compensated"
    assert row.steps.get(step="stock").status == "in_doubt"
    assert count() == {"pay:action": 1, "stock:action": 2, "stock:compensation": 1, "pay:compensation": 1}
    assert faults_of(run) == []


def test_a_broken_atomic_step_failed_left_nothing_and_is_not_undone(saga):
    BEHAVIOUR["stock:action"] = break_down
    run = start_run(saga("atomic"), {}).run
    drive()
    row = fetch(run)
    assert row.status == "compensated"
    assert row.steps.get(step="stock").status == "failed"
    assert not Saga.objects.filter(name__contains="stock").exists()
    assert Saga.objects.filter(name__contains="pay").count() == 2  # the action's row and its compensation's


def test_a_step_that_had_no_effect_is_tried_again_with_the_same_key(saga):
    def fail_once(call):
        if call.attempt == 1:
            raise NoEffect("busy")

    BEHAVIOUR["pay:action"] = fail_once
    run = start_run(saga("plain"), {}).run
    drive()
    assert fetch(run).status == "completed"
    assert [call for call in CALLS if call[0] == "pay:action"] == [("pay:action", 1), ("pay:action", 2)]
    assert "retry_scheduled" in kinds(run)


def test_a_thread_that_does_not_come_back_ends_as_unknown(saga):
    source = ONE_STEP.format(kind="plain")
    BEHAVIOUR["pay:action"] = lambda _call: time.sleep(1)
    run = start_run(saga(source=source), {}).run
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="pay").status) == ("compensated", "in_doubt")
    assert row.steps.get(step="pay").error["code"] == "timed_out"


def test_an_atomic_action_that_is_late_changes_nothing(saga):
    source = ONE_STEP.format(kind="atomic")
    BEHAVIOUR["pay:action"] = lambda _call: time.sleep(1)
    run = start_run(saga(source=source), {}).run
    drive()
    time.sleep(1)
    row = fetch(run)
    assert (row.status, row.steps.get(step="pay").status) == ("compensated", "failed")
    assert not Saga.objects.filter(title="an effect").exists()


def test_a_compensation_that_fails_needs_a_person_and_a_retry_ends_the_run(saga):
    BEHAVIOUR["ship:action"] = refuse
    BEHAVIOUR["pay:compensation"] = break_down
    run = start_run(saga("plain"), {}).run
    drive(lambda: fetch(run).status == "needs_attention")
    assert fetch(run).attention == [{"step": "pay", "item": -1, "phase": "compensation", "code": "compensation_failed"}]
    BEHAVIOUR.clear()
    give_order(run.id, Verb.RETRY, by="alice", ask=Ask(reason="the bank is back"))
    drive()
    assert fetch(run).status == "compensated"
    assert faults_of(run) == []


def test_a_cancel_turns_a_running_run_round_after_its_attempt_has_ended(saga):
    def cancel(call):
        give_order(call.run_id, Verb.CANCEL, by="alice", ask=Ask(reason="changed my mind"))
        time.sleep(0.6)

    BEHAVIOUR["stock:action"] = cancel
    run = start_run(saga("plain"), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert "ship:action" not in count()
    assert fetch(run).reason == {"cause": "cancel", "by": "alice", "message": "changed my mind"}
    assert faults_of(run) == []


def test_an_output_that_cannot_be_stored_is_an_unknown_outcome_not_a_broken_pump(saga):
    BEHAVIOUR["stock:action"] = lambda _call: {"text": "a\0b"}
    run = start_run(saga("plain"), {}).run
    other = start_run(saga("awaited"), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert fetch(other).status == "compensated" or fetch(other).status == "completed"
    assert fetch(run).steps.get(step="stock").error["code"] == "bad_output"


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no bell, so it is asked many times a second")
def test_a_run_that_somebody_else_parked_is_claimed_at_its_moment(saga, monkeypatch):
    claims = []

    def claim(limit, *, now):
        won = claim_really(limit, now=now)
        claims.append((now, won))
        return won

    claim_really = lease.claim
    monkeypatch.setattr(lease, "claim", claim)
    monkeypatch.setattr(pump, "POLL_S", 20.0)
    run = start_run(saga("plain"), {}).run
    moment = Clock().read() + timedelta(seconds=1)
    SagaRun.objects.filter(id=run.id).update(due_at=moment)
    drive()
    before = [now for now, won in claims if not won and now < moment]
    first = next(now for now, won in claims if won)
    assert first - moment < timedelta(seconds=5), "it waited for the next poll"
    assert len(before) <= 5, "it asked all the time instead of waiting"
    assert fetch(run).status == "completed"
