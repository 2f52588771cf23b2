"""Starts that meet: with the same key, within callers' transactions, with real threads and connections."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection, transaction

from sagas.engine import reruns
from sagas.engine.commands import start_run
from sagas.engine.errors import KeyReusedError
from sagas.engine.idempotency import starting_once
from sagas.models import IdempotencyKey, JournalEntry, SagaRun
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of
from tests.together import PATIENCE_S, THREADS, at_once

postgresql_only = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one writer in at a time")


class CallerError(Exception):
    """What the caller's own code raises, in its transaction."""


def one_run() -> SagaRun:
    """The only run there is, with the only entry of its journal."""
    run = SagaRun.objects.get()
    assert JournalEntry.objects.count() == 1
    return run


def test_starts_with_the_same_key_and_input_all_get_the_one_run(saga):
    name = saga()
    found = at_once(lambda _: start_run(name, {"order": 1, "of": ["a", "b"]}, key="48213"))
    run = one_run()
    assert {started.run.id for started in found} == {run.id}
    assert [started.is_new for started in found].count(True) == 1
    drive()
    assert SagaRun.objects.get().status == "completed"
    assert faults_of(run) == []


def test_of_starts_with_the_same_key_and_other_inputs_exactly_one_wins(saga):
    name = saga()
    found = at_once(lambda number: start_run(name, {"order": number}, key="48213"))
    run = one_run()
    (winner,) = [one for one in found if not isinstance(one, Exception)]
    assert (winner.run.id, winner.is_new) == (run.id, True)
    losers = [one for one in found if one is not winner]
    assert {type(one) for one in losers} == {KeyReusedError}
    assert {one.run_id for one in losers} == {run.id}
    assert run.input == {"order": found.index(winner)}


def test_keys_of_different_sagas_do_not_meet(saga):
    names = [saga("plain"), saga("awaited")]
    found = at_once(lambda number: start_run(names[number % 2], {"order": 1}, key="48213"), 10)
    assert Counter(started.is_new for started in found) == {True: 2, False: 8}
    assert SagaRun.objects.count() == 2


def test_callers_whose_transactions_roll_back_leave_no_run_and_the_key_free(saga):
    name = saga()

    def start_and_fail(_number):
        with transaction.atomic():
            run = start_run(name, {"order": 1}, key="48213").run
            assert SagaRun.objects.filter(id=run.id).exists()
            raise CallerError

    found = at_once(start_and_fail, 10)
    assert {type(one) for one in found} == {CallerError}
    assert not SagaRun.objects.exists()
    assert not JournalEntry.objects.exists()
    started = start_run(name, {"order": 2}, key="48213")
    assert started.is_new
    assert one_run().input == {"order": 2}


def test_of_callers_half_of_whom_roll_back_all_others_share_one_run(saga):
    name = saga()

    def start(number):
        with transaction.atomic():
            started = start_run(name, {"order": 1}, key="48213")
            if number % 2:
                raise CallerError
        return started.run.id

    found = at_once(start)
    ids = {one for one in found if not isinstance(one, Exception)}
    assert ids == {one_run().id}
    assert sum(isinstance(one, CallerError) for one in found) == THREADS // 2
    assert {type(one) for one in found if isinstance(one, Exception)} == {CallerError}


@postgresql_only
@pytest.mark.parametrize("commits", [True, False])
def test_a_start_waits_for_the_transaction_that_has_the_key_and_then_knows(saga, commits):
    name = saga()
    holds, may_end = threading.Event(), threading.Event()

    def work(number):
        if number == 1:
            assert holds.wait(PATIENCE_S)
            threading.Timer(0.3, may_end.set).start()
            return start_run(name, {"order": 1}, key="48213")
        with transaction.atomic():
            started = start_run(name, {"order": 1}, key="48213")
            holds.set()
            assert may_end.wait(PATIENCE_S)
            transaction.set_rollback(not commits)
        return started

    first, second = at_once(work, 2)
    assert second.is_new is not commits
    assert (second.run.id == first.run.id) is commits
    assert one_run().id == second.run.id


def test_a_run_started_in_a_callers_transaction_is_not_driven_before_that_commits(saga):
    name = saga()
    with transaction.atomic():
        run = start_run(name, {"order": 1}, key="48213").run
        seen = at_once(lambda _: SagaRun.objects.count(), 1)
        assert seen == [0]
    drive()
    assert SagaRun.objects.get(id=run.id).status == "completed"


# ---- the key of a request --------------------------------------------------------


@pytest.mark.parametrize("business_key", [None, "48213"])
def test_requests_with_the_same_idempotency_key_make_one_run(saga, business_key):
    name = saga()

    def ask(_number):
        return starting_once("token:1", "abc", {"order": 1}, lambda: start_run(name, {"order": 1}, key=business_key))

    found = at_once(ask)
    run = one_run()
    assert {replay.run_id for replay in found} == {run.id}
    assert [replay.is_new for replay in found].count(True) == 1
    assert IdempotencyKey.objects.count() == 1


def test_one_key_of_a_request_is_one_for_each_owner(saga):
    name = saga()
    found = at_once(
        lambda number: starting_once(f"token:{number % 3}", "abc", {}, lambda: start_run(name, {"order": 1})), 12
    )
    assert len({replay.run_id for replay in found}) == SagaRun.objects.count() == 3


def test_reruns_that_meet_each_take_a_key_of_their_own(saga):
    origin = start_run(saga(), {"order": 1}, key="48213").run
    drive()
    found = at_once(lambda _: reruns.rerun(origin.id, by="alice"))
    assert [one for one in found if isinstance(one, Exception)] == []
    keys = SagaRun.objects.exclude(id=origin.id).values_list("start_key", flat=True)
    assert sorted(keys) == sorted(f"48213~{number}" for number in range(2, THREADS + 2))
