"""What must never stop a pump for good, or make it lose the runs it has in hand."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from django.db import connection

from sagas.core import messages as m
from sagas.core.outcome import WORKER_LOST, Error, Unknown
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase
from sagas.engine import journal, perform, pump
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.models import SagaRun, StepRun
from tests.engine.actions import BEHAVIOUR, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch
from tests.engine.test_journal import claim_all, make_due, step_on

postgresql_only = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server to lose")
several_writers_only = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="an atomic action holds SQLite's only write lock"
)

HURRIED = """
saga: {name}
title: One step, in a hurry
steps:
  - name: pay
    action: engine.{kind}
    compensation: {{action: engine.{kind}}}
    timeout: 200ms
    retry: {{attempts: 1}}
"""


def completes(run):
    return lambda: fetch(run).status == "completed"


@postgresql_only
def test_a_pump_whose_connections_were_cut_works_on_with_new_ones(saga):
    name = saga()
    early = start_run(name, {}).run
    late = []

    def cut_then_wait_for_another():
        if fetch(early).status != "completed":
            return False
        if not late:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            late.append(start_run(name, {}).run)
        return fetch(late[0]).status == "completed"

    connection.close()
    drive(cut_then_wait_for_another)
    assert completes(late[0])()
    assert faults_of(late[0]) == []


def test_a_number_that_no_database_keeps_is_a_bad_output_and_the_pump_works_on(saga):
    BEHAVIOUR["stock:action"] = lambda _call: {"n": 2**70}
    run = start_run(saga("plain"), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert fetch(run).steps.get(step="stock").error["code"] == "bad_output"
    assert faults_of(run) == []


@pytest.fixture
def stuck():
    """Make the action of the saga `stuck` one that does not come back before the test is over."""
    over = threading.Event()

    def hang(call):
        if call.saga == "stuck":
            over.wait(30)
            raise RuntimeError("too late")  # an answer would be told to a run while its tables are emptied

    BEHAVIOUR["pay:action"] = hang
    yield
    over.set()


@pytest.mark.usefixtures("stuck")
@pytest.mark.parametrize("kind", ["plain", pytest.param("atomic", marks=several_writers_only)])
def test_actions_that_never_come_back_do_not_stop_the_others(saga, kind):
    stuck, free = (saga(source=HURRIED.format(name=name, kind=kind)) for name in ("stuck", "free"))
    for _ in range(perform.THREADS + 1):
        start_run(stuck, {})
    run = start_run(free, {}).run
    drive(completes(run))
    assert completes(run)()


@pytest.mark.usefixtures("stuck")
def test_a_pump_with_too_many_late_threads_ends_its_shift_and_the_next_one_works_on(saga, monkeypatch):
    for module in (perform, pump):
        monkeypatch.setattr(module, "LATE_MAX", 1)
    stuck, free = (saga(source=HURRIED.format(name=name, kind="plain")) for name in ("stuck", "free"))
    start_run(stuck, {})
    left = []
    shift = threading.Thread(
        target=lambda: left.append(pump.run_shift("tests", 0, length_s=50, should_stop=lambda: False))
    )
    shift.start()
    shift.join(40)
    assert left == [1]
    run = start_run(free, {}).run
    drive(completes(run))
    assert completes(run)()


def test_an_async_action_that_will_not_be_cancelled_still_times_out(saga):
    async def cling(_call):
        give_up = time.monotonic() + 5
        while time.monotonic() < give_up:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    BEHAVIOUR["pay:action"] = cling
    run = start_run(saga(source=HURRIED.format(name="clinging", kind="awaited")), {}).run
    drive(lambda: fetch(run).status == "compensated")
    assert fetch(run).steps.get(step="pay").error["code"] == "timed_out"


def test_an_async_action_that_blocks_the_loop_loses_its_runs_to_another_pump(saga, monkeypatch):
    monkeypatch.setattr(pump, "LOOP_STILL_S_MAX", 0.5)
    over = threading.Event()
    BEHAVIOUR["pay:action"] = lambda call: over.wait(30) if call.attempt == 1 else None
    run = start_run(saga("awaited"), {}).run
    shift = threading.Thread(
        target=pump.run_shift, args=("tests", 1), kwargs={"length_s": 50, "should_stop": lambda: False}
    )
    shift.start()
    drive(completes(run))
    over.set()
    shift.join(40)
    assert not shift.is_alive()
    drive(lambda: fetch(run).inbox_done == fetch(run).inbox_last == 1)  # what came too late is kept
    assert completes(run)()
    assert faults_of(run) == []


def test_a_run_whose_rows_cannot_be_read_does_not_stop_the_others(saga):
    BEHAVIOUR["ship:action"] = refuse
    BEHAVIOUR["pay:compensation"] = refuse
    name = saga("plain")
    broken = start_run(name, {}).run
    drive(lambda: fetch(broken).status == "needs_attention")
    StepRun.objects.filter(run=broken, step="pay").update(halves={"action": 1})
    SagaRun.objects.filter(id=broken.id).update(due_at=broken.created_at)
    BEHAVIOUR.clear()
    run = start_run(name, {}).run
    drive(completes(run))
    assert completes(run)()
    assert fetch(broken).status == "needs_attention"


def _lose_its_worker(run, times):
    """Leave the run as it is when its worker died `times` times in a row with its first attempt in flight."""
    for number in range(1, times + 1):
        make_due(run)
        token = claim_all()[run.id]
        if number == 1:
            journal.append([step_on(run, token)])
        else:
            attempt = AttemptKey("pay", NO_ITEM, Phase.ACTION, number - 1)
            lost = Unknown(Error(WORKER_LOST, "lost"), is_counted=False)
            journal.append([step_on(run, token, command=m.ReportOutcome(attempt, lost, Clock().now()))])
            journal.append([step_on(run, token, command=m.Look(Clock().now()))])


@pytest.mark.parametrize(("deaths", "at_once"), [(1, 3), (2, 1)])
def test_runs_whose_worker_died_twice_are_tried_one_at_a_time(saga, deaths, at_once):
    """One of them may be what ends workers; together, all would be taken for it."""
    name, lock, now, most = saga(), threading.Lock(), [0], [0]

    def stay(_call):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.3)
        with lock:
            now[0] -= 1

    BEHAVIOUR["pay:action"] = stay
    runs = [start_run(name, {}).run for _ in range(3)]
    for run in runs:
        _lose_its_worker(run, deaths)
    make_due(*runs)
    drive()
    assert [fetch(run).status for run in runs] == ["completed"] * 3
    assert most[0] == at_once
    assert [faults_of(run) for run in runs] == [[]] * 3


@pytest.mark.parametrize("kind", ["plain", pytest.param("atomic", marks=several_writers_only)])
def test_a_stop_does_not_wait_for_actions_that_were_not_sent_yet(saga, monkeypatch, kind):
    """Behind a queue of slow actions a stop would take as long as all of them."""
    monkeypatch.setattr(perform, "THREADS", 1)
    monkeypatch.setattr(perform, "ATOMIC_THREADS", 1)
    has_begun, over = threading.Event(), threading.Event()
    BEHAVIOUR["pay:action"] = lambda _call: has_begun.set() or over.wait(30)
    name = saga(kind)
    runs = [start_run(name, {}).run for _ in range(3)]
    drive(until=has_begun.is_set)
    over.set()
    errors = [(fetch(run).steps.get(step="pay").error or {}).get("code") for run in runs]
    assert sorted(map(str, errors)) == ["not_sent", "not_sent", "worker_lost"]
    assert all(fetch(run).lease_until is None for run in runs)
    assert [faults_of(run) for run in runs] == [[]] * 3
