"""The one writer: what is written under which token, and that nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction

from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.outcome import Succeeded
from sagas.core.redaction import NOTHING
from sagas.core.vocabulary import AttemptKey, Phase, RunStatus
from sagas.engine import group, journal, lease
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.models import SagaRun
from tests.engine.actions import count
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds, state_of

ONE_STEP = """
saga: one-step
title: One step
steps:
  - {name: pay, action: engine.plain, compensation: none}
"""


def step_on(run, token, *, keeps_lease=True, command=None):
    """The append that follows from a look at the stored run, under `token`."""
    before, command = state_of(run), command or m.Look(Clock().now())
    decision = decide(load_version(fetch(run).version_id), before, command)
    events = tuple((event, command.now) for event in decision.events)
    return journal.Append(fetch(run).id, token, before, decision.state, events, NOTHING, command.now, keeps_lease)


def claim_all():
    return lease.claim(100, now=Clock().now())


def make_due(*runs):
    SagaRun.objects.filter(id__in=[run.id for run in runs]).update(due_at=Clock().now() - timedelta(seconds=1))


def test_what_was_written_reads_back_as_the_same_state(saga):
    run = start_run(saga(), {"deep": [{"x": 1.5, "y": None, "z": "ü"}]}).run
    item = step_on(run, claim_all()[run.id])
    assert journal.append([item]) == {run.id}
    assert state_of(run) == item.after
    assert faults_of(run) == []


def test_a_claim_is_won_once(saga):
    run = start_run(saga(), {}).run
    assert claim_all() == {run.id: 1}
    assert claim_all() == {}


def test_a_lapsed_lease_makes_the_run_due_again_by_itself(saga):
    run = start_run(saga(), {}).run
    claim_all()
    assert lease.claim(100, now=Clock().now() + lease.length() + timedelta(seconds=1)) == {run.id: 2}


def test_a_late_holder_writes_nothing_at_all(saga):
    run = start_run(saga(), {}).run
    late = step_on(run, claim_all()[run.id])
    make_due(run)
    claim_all()
    before = (fetch(run).sequence, kinds(run), state_of(run))
    assert journal.append([late]) == set()
    assert (fetch(run).sequence, kinds(run), state_of(run)) == before
    assert not fetch(run).steps.exists()


def test_the_same_transition_is_not_written_twice_under_one_token(saga):
    run = start_run(saga(), {}).run
    item = step_on(run, claim_all()[run.id])
    assert journal.append([item]) == {run.id}
    assert journal.append([item]) == set()
    assert faults_of(run) == []


def test_one_lost_run_of_a_group_does_not_hold_up_the_others(saga):
    name = saga()
    runs = [start_run(name, {"n": number}).run for number in range(3)]
    tokens = claim_all()
    items = [step_on(run, tokens[run.id]) for run in runs]
    make_due(runs[1])
    claim_all()
    assert journal.append(items) == {runs[0].id, runs[2].id}
    assert [len(kinds(run)) for run in runs] == [2, 1, 2]


def test_data_that_the_database_refuses_fails_its_own_run_alone(saga):
    name = saga()
    runs = [start_run(name, {"n": number}).run for number in range(5)]
    tokens = claim_all()
    items = [step_on(run, tokens[run.id]) for run in runs]
    broken = items[2].after.copy()
    broken.status = RunStatus.COMPLETED  # without an end: the table's own constraint says no
    items[2] = replace(items[2], after=broken)
    with pytest.raises(journal.RunDataError) as refusal:
        journal.append(items)
    assert refusal.value.refused == {runs[2].id}
    assert refusal.value.written == {run.id for run in runs} - {runs[2].id}
    assert [len(kinds(run)) for run in runs] == [2, 2, 1, 2, 2]


def test_a_renewal_does_not_bring_back_a_run_that_was_let_go(saga):
    run = start_run(saga(), {}).run
    token = claim_all()[run.id]
    journal.append([step_on(run, token, keeps_lease=False, command=m.Look(Clock().now()))])
    row = fetch(run)
    assert lease.renew([(run.id, token)], now=Clock().now()) == set()
    assert (fetch(run).lease_until, fetch(run).due_at) == (row.lease_until, row.due_at) == (None, row.due_at)


def test_a_renewal_names_the_runs_that_somebody_else_has_claimed(saga):
    name = saga()
    kept, lost = start_run(name, {"n": 1}).run, start_run(name, {"n": 2}).run
    tokens = claim_all()
    make_due(lost)
    claim_all()
    assert lease.renew(list(tokens.items()), now=Clock().now()) == {lost.id}
    assert fetch(kept).lease_until is not None


def test_an_order_does_not_steal_a_run_from_a_live_holder(saga):
    from sagas.core.vocabulary import Verb
    from sagas.engine.orders import give_order

    run = start_run(saga(), {}).run
    token = claim_all()[run.id]
    due = fetch(run).due_at
    give_order(run.id, Verb.CANCEL, by="alice")
    assert fetch(run).due_at == due, "the holder looks at its inbox; nobody else is called"
    ended = step_on(run, token, keeps_lease=False)
    journal.append([ended])
    assert fetch(run).due_at <= Clock().now(), "let go with an order unread: due at once"


def test_an_order_that_came_as_the_run_ended_is_refused_in_its_journal(saga):
    """Nobody had looked into the inbox before the end was written: whoever ordered was never told."""
    from sagas.core.vocabulary import Verb
    from sagas.engine.orders import give_order

    run = start_run(saga(source=ONE_STEP), {}).run
    token = claim_all()[run.id]
    journal.append([step_on(run, token)])
    give_order(run.id, Verb.CANCEL, by="alice")
    report = m.ReportOutcome(AttemptKey("pay", -1, Phase.ACTION, 1), Succeeded(), Clock().now())
    journal.append([step_on(run, token, keeps_lease=False, command=report)])
    assert fetch(run).status == "completed"
    drive()
    row = fetch(run)
    assert kinds(run)[-2:] == ["run_completed", "order_refused"]
    assert (row.inbox_done, row.due_at, row.lease_until) == (1, None, None)
    assert faults_of(run) == []


def test_a_commit_of_which_nobody_knows_is_found_out_from_the_rows(saga, monkeypatch):
    run = start_run(saga(), {}).run
    real, broken = journal.append, []

    def append_and_lose_the_answer(batch):
        written = real(batch)
        if not broken:
            broken.append(len(batch))
            raise OperationalError("server closed the connection unexpectedly")
        return written

    monkeypatch.setattr(group.journal, "append", append_and_lose_the_answer)
    monkeypatch.setattr(lease, "length", lambda: timedelta(seconds=1))
    drive()
    assert broken
    assert fetch(run).status == "completed"
    assert faults_of(run) == []
    assert count()["pay:action"] == 1, "written down, never sent: nobody was called before the rows were read"


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="PostgreSQL only: SQLite has one write lock")
def test_an_atomic_action_whose_run_was_taken_meanwhile_leaves_no_effect(saga):
    from concurrent.futures import ThreadPoolExecutor

    from sagas.models import Saga
    from tests.engine.actions import BEHAVIOUR

    def take(run_id):
        SagaRun.objects.filter(id=run_id).update(token=99, lease_until=None, due_at=None)
        connection.close()

    def stolen(call):
        with ThreadPoolExecutor(1) as other:
            other.submit(take, call.run_id).result()

    BEHAVIOUR["pay:action"] = stolen
    run = start_run(saga("atomic"), {}).run
    drive()
    assert not Saga.objects.filter(title="an effect").exists()
    assert kinds(run) == ["run_started", "attempt_started"]


def test_a_report_for_another_attempt_changes_nothing(saga):
    run = start_run(saga(), {}).run
    token = claim_all()[run.id]
    journal.append([step_on(run, token)])
    late = m.ReportOutcome(AttemptKey("pay", -1, Phase.ACTION, 7), Succeeded(), Clock().now())
    assert step_on(run, token, command=late).events == ()


def test_a_start_exists_if_and_only_if_the_callers_transaction_commits(saga):
    name = saga()
    with transaction.atomic():
        start_run(name, {})
        transaction.set_rollback(True)
    assert not SagaRun.objects.exists()
    with transaction.atomic():
        start_run(name, {})
    assert SagaRun.objects.count() == 1
