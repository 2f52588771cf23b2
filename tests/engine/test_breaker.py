"""Breakers and places: who may enter a service, and when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sagas.engine.breaker import LONGEST_PAUSE, Seen, Stand, after_call
from sagas.engine.breaker_rows import change_stand, read_stand
from sagas.engine.pump import HELD_MAX
from sagas.engine.room import CALLS_MAX, TRIALS, TURN_IN, TURNS_A_SECOND, Room, share_of
from sagas.models.services import BreakerState, Service

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPENED = Stand().opened(NOON, 0.0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def after(answers: str, stand: Stand | None = None, *, begin: float = 0.0, each: float = 1.0) -> Stand:
    """What a breaker stands at after calls that were answered (`+`) or not (`-`), one a second."""
    stand, seen = stand or Stand(), Seen()
    for number, answer in enumerate(answers):
        now = at(begin + number * each)
        stand = after_call(stand, seen, now, began=now, answered=answer == "+", dice=0.0)
    return stand


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ("----", BreakerState.CLOSED),
        ("-----", BreakerState.OPEN),
        ("----+----", BreakerState.CLOSED),  # four in a row, twice
        ("++++++++++-----", BreakerState.CLOSED),  # five in a row, but a third of all
        ("++++++-----", BreakerState.CLOSED),
        ("+++++-----", BreakerState.OPEN),  # half of all
    ],
)
def test_a_breaker_opens_when_many_calls_in_a_row_and_half_of_the_last_were_not_answered(answers, state):
    assert after(answers).state is state


def test_failures_that_are_long_past_do_not_open_a_breaker():
    assert after("-----", each=8.0).state is BreakerState.CLOSED
    assert after("-----", each=7.0).state is BreakerState.OPEN


def test_the_pause_doubles_up_to_a_minute_and_a_success_starts_it_afresh():
    stand, pauses = Stand(), []
    for _ in range(6):
        stand = stand.opened(NOON, 0.0)
        pauses.append((stand.try_at - NOON).total_seconds())
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert Stand(openings=10_000).opened(NOON, 1.0).try_at == NOON + LONGEST_PAUSE * 1.25
    assert after("+", OPENED, begin=5) == Stand()


def test_an_open_breaker_becomes_half_open_and_opens_longer_when_the_trial_fails():
    assert OPENED.looked_at(at(4.9)).state is BreakerState.OPEN
    assert OPENED.looked_at(at(5)).state is BreakerState.HALF_OPEN
    again = after("-", OPENED, begin=5)
    assert (again.state, again.openings, again.try_at) == (BreakerState.OPEN, 2, at(15))


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("ended", [3, 8])
def test_a_call_from_before_the_breaker_let_anybody_in_changes_nothing(answered, ended):
    stand = after_call(OPENED, Seen(), at(ended), began=at(-2), answered=answered, dice=0.0)
    assert stand == OPENED.looked_at(at(ended))


def test_shares_of_all_pumps_stay_within_the_limit_unless_there_are_more_pumps():
    for limit in range(1, 30):
        for pumps in range(1, 40):
            assert share_of(limit, pumps) >= 1
            assert pumps * share_of(limit, pumps) <= max(limit, pumps)
    assert share_of(10_000, 1) == CALLS_MAX < HELD_MAX


def test_a_held_or_sick_service_has_no_room_and_a_half_open_one_little():
    room = Room(10)
    assert room.free(NOON) == 10
    room.is_held = True
    assert not room.take(1, NOON)
    room.is_held, room.stand = False, OPENED
    assert not room.take(1, at(4))
    assert room.free(at(5)) == TRIALS
    assert room.take(TRIALS, at(5))
    assert not room.take(1, at(5))


def test_places_are_never_given_away_twice_nor_back_twice():
    room = Room(3)
    assert room.take(2, NOON)
    assert not room.take(2, NOON)
    assert room.in_flight == 2
    room.share = 1  # a pump joined: calls in flight go on, none is added
    assert room.free(NOON) == 0
    room.give_back(NOON)
    room.give_back(NOON)
    with pytest.raises(RuntimeError):
        room.give_back(NOON)


def test_who_has_waited_longest_is_told_first_and_who_left_is_passed_over():
    async def line() -> list[bool]:
        room = Room(1)
        room.take(1, NOON)
        first, second, third = room.line_up(), room.line_up(), room.line_up()
        first.cancel()
        room.give_back(NOON)
        assert room.waiting == 1
        return [first.cancelled(), second.done(), third.done()]

    assert asyncio.run(line()) == [True, True, False]


def test_who_finds_no_place_comes_again_one_after_the_other_and_nobody_later_than_said():
    room, soon = Room(1), at(1)
    turns = [room.turn_away(NOON, "full", soon) for _ in range(1000)]
    gaps = {later - sooner for sooner, later in pairwise(turns[:500])}
    assert turns[0] > soon
    assert gaps == {timedelta(seconds=1 / TURNS_A_SECOND)}
    assert turns[-1] == NOON + TURN_IN


def test_the_more_calls_end_the_sooner_others_come_again():
    room = Room(50)
    room.take(50, NOON)
    for _ in range(50):
        room.give_back(at(0.5))
    turns = [room.turn_away(at(1), "full", at(2)) for _ in range(200)]
    assert turns[-1] == at(4)  # a hundred a second: twice what ended in the last one
    later = [room.turn_away(at(60), "full", at(61)) for _ in range(2)]
    assert later == [at(61), at(61 + 1 / TURNS_A_SECOND)]


def test_turns_begin_anew_when_something_else_keeps_runs_out():
    room = Room(1)
    for _ in range(100):
        room.turn_away(NOON, "held", at(20))
    assert room.turn_away(at(1), "full", at(2)) == at(2) + timedelta(seconds=1 / TURNS_A_SECOND)


@pytest.mark.django_db
def test_of_two_pumps_that_open_one_breaker_one_is_heard():
    service = Service.objects.create(name="inventory", base_url="https://inventory.example.org")
    before = read_stand(service.id)
    assert before == Stand()
    assert change_stand(service.id, before, OPENED)
    assert not change_stand(service.id, before, Stand().opened(at(1), 0.5))
    assert read_stand(service.id) == OPENED


@pytest.mark.django_db
def test_a_breaker_whose_pause_is_over_can_be_closed_by_the_pump_that_tried():
    service = Service.objects.create(name="inventory", base_url="https://inventory.example.org")
    change_stand(service.id, Stand(), OPENED)
    assert change_stand(service.id, read_stand(service.id).looked_at(at(6)), Stand())
    assert read_stand(service.id) == Stand()
