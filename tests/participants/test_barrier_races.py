"""Deliveries that come at the same time take turns, on both databases."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from django.db import connection

from sagas import Rejected
from sagas.barrier.models import Mark
from sagas.participants import barrier
from tests.participants.deliveries import Courier, action, compensation, deliver_at_once, fill, put_back, take, taken

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = [f"019{number}:stock:action" for number in range(8)]


@pytest.fixture(autouse=True)
def _shelf(transactional_db):
    fill()


def wait_until_one_waits() -> None:
    """On PostgreSQL see a transaction wait for another; SQLite does not tell, and the test holds in any order."""
    give_up = time.monotonic() + 30
    while connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() != (0,):
                return
        assert time.monotonic() < give_up, "nobody waits"
        time.sleep(0.01)


def hold_and_follow(first, first_does, second, second_does) -> tuple[Courier, Courier]:
    """Deliver `second` while the transaction of `first` is open, its work done."""
    has_worked, may_end, is_coming = threading.Event(), threading.Event(), threading.Event()

    def lead() -> object:
        with barrier.once(first) as turn:
            if turn.is_mine:
                turn.output = first_does()
            has_worked.set()
            assert may_end.wait(30)
        return turn.output

    def follow() -> object:
        is_coming.set()
        return barrier.run(second, second_does)

    leader, follower = Courier(lead), Courier(follow)
    leader.start()
    assert has_worked.wait(30)
    follower.start()
    assert is_coming.wait(30)
    wait_until_one_waits()
    assert follower.is_alive()
    may_end.set()
    for courier in (leader, follower):
        courier.join(60)
        assert not courier.is_alive()
    assert leader.error is None
    return leader, follower


def test_a_repeat_waits_for_the_first_and_returns_its_output():
    first, second = hold_and_follow(action(), take, action(), take)
    assert first.answer == second.answer == {"left": 99}
    assert taken() == 1


def test_a_repeat_runs_when_the_first_was_rolled_back():
    def break_down() -> None:
        take()
        raise RuntimeError

    has_worked, may_end = threading.Event(), threading.Event()

    def lead() -> None:
        with barrier.once(action()):
            has_worked.set()
            assert may_end.wait(30)
            break_down()

    leader, follower = Courier(lead), Courier(partial(barrier.run, action(), take))
    leader.start()
    assert has_worked.wait(30)
    follower.start()
    wait_until_one_waits()
    may_end.set()
    leader.join(60)
    follower.join(60)
    assert isinstance(leader.error, RuntimeError)
    assert follower.answer == {"left": 99}
    assert taken() == 1


def test_a_compensation_waits_for_its_action_and_undoes_it():
    _, second = hold_and_follow(action(), take, compensation(), put_back)
    assert second.answer == {"left": 100}
    assert taken() == 0


def test_an_action_waits_for_its_empty_compensation_and_is_refused():
    _, second = hold_and_follow(compensation(), put_back, action(), take)
    assert isinstance(second.error, Rejected)
    assert taken() == 0


def test_two_compensations_of_one_action_undo_it_once():
    barrier.run(action(), take)
    first, second = hold_and_follow(compensation(), put_back, compensation(key="0192:stock:compensation#2"), put_back)
    assert first.answer == second.answer == {"left": 100}
    assert taken() == 0


def test_many_deliveries_of_one_action_at_once_do_it_once():
    for key in KEYS:
        before = taken()
        couriers = deliver_at_once(*[partial(barrier.run, action(key), take)] * 6)
        assert [courier.error for courier in couriers] == [None] * 6
        assert [courier.answer for courier in couriers] == [{"left": 99 - before}] * 6
        assert taken() == before + 1


def test_an_action_and_its_compensation_at_once_have_one_order():
    """Whichever wins, nothing is left taken: undone after it happened, or refused after it was undone."""
    for key in KEYS:
        did, undid = deliver_at_once(
            partial(barrier.run, action(key), take), partial(barrier.run, compensation(key), put_back)
        )
        assert undid.error is None
        if did.error is None:
            assert undid.answer == {"left": 100}
        else:
            assert isinstance(did.error, Rejected)
            assert undid.answer is None
        assert taken() == 0
        assert (Mark.objects.get(key=key).action_at is None) == isinstance(did.error, Rejected)
