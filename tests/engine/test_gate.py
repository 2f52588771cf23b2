"""Gates of two pumps before one service: shares, holds and one breaker for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sagas.engine import slot
from sagas.engine.gate import Gate, exchange
from sagas.models.services import BreakerState, Service, ServiceMinute, ServiceState

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def meet(gate: Gate, now: datetime) -> None:
    gate.take_in(exchange(gate.changes(), gate.counted(), now), now)


@pytest.fixture
def gates() -> tuple[Gate, Gate]:
    Service.objects.create(name="inventory", base_url="https://inventory.example.org", max_concurrency=3)
    for number in (0, 1):
        assert slot.take("default", number, NOON)
    both = Gate(), Gate()
    for gate in both:
        assert gate.room(["inventory"], NOON) == {"inventory": 0}  # not read yet
        meet(gate, NOON)
    return both


def test_two_pumps_never_have_more_calls_in_flight_than_the_limit(gates):
    taken = sum(gate.took("inventory", NOON) for gate in gates for _ in range(10))
    assert taken == 2  # a share of one each
    for number, gate in enumerate(gates):
        slot.beat("default", 0, 1, now=at(10), loop_at=at(10), held=0, driven=0)  # the other pump is dead
        if number == 0:
            meet(gate, at(10))
            assert gate.room(["inventory"], at(10)) == {"inventory": 2}


def test_a_held_service_has_no_room_until_a_person_lets_go(gates):
    gate, _ = gates
    Service.objects.update(is_held=True)
    meet(gate, at(1))
    assert not gate.took("inventory", at(1))
    Service.objects.update(is_held=False)
    meet(gate, at(2))
    assert gate.took("inventory", at(2))


def test_what_one_pump_sees_of_a_sick_service_keeps_the_other_out_and_its_success_lets_both_in(gates):
    one, other = gates
    for number in range(5):
        assert one.took("inventory", at(number))
        one.ended("inventory", began=at(number), now=at(number + 0.5), error="timed_out: no answer", dice=0.0)
    assert not one.took("inventory", at(5))
    assert other.room(["inventory"], at(5)) == {"inventory": 1}  # has not heard
    meet(one, at(5))
    meet(other, at(5))
    assert not other.took("inventory", at(5))
    assert ServiceState.objects.get().breaker == BreakerState.OPEN.value
    assert other.took("inventory", at(10))  # opened at 4.5, for 5 s
    other.ended("inventory", began=at(10), now=at(11), error="", dice=0.0)
    meet(other, at(11))
    meet(one, at(11))
    assert one.took("inventory", at(11))
    state = ServiceState.objects.get()
    assert (state.breaker, state.openings) == (BreakerState.CLOSED.value, 0)


def test_a_breaker_that_opens_while_the_database_is_read_stays_open(gates):
    gate, _ = gates
    found = exchange(gate.changes(), {}, NOON)
    for number in range(5):
        assert gate.took("inventory", at(number))
        gate.ended("inventory", began=at(number), now=at(number), error="timed_out: no answer", dice=0.0)
    gate.take_in(found, at(5))
    assert not gate.took("inventory", at(5))
    assert len(gate.changes()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_service_that_is_deleted_when_its_breaker_opens_keeps_nobody_from_the_others(gates):
    gate, _ = gates
    Service.objects.create(name="payments", base_url="https://payments.example.org")
    meet(gate, NOON)
    assert gate.took("inventory", at(6))
    for number in range(5):
        gate.took("payments", at(number))
        gate.ended("payments", began=at(number), now=at(number), error="timed_out: no answer", dice=0.0)
    Service.objects.filter(name="payments").delete()
    gate.ended("inventory", began=at(6), now=at(6), error="", dice=0.0)
    meet(gate, at(7))
    assert [minute.service.name for minute in ServiceMinute.objects.all()] == ["inventory"]
    assert gate.find("payments") is None
    assert gate.counted() == {}


def test_one_registered_anew_under_the_name_of_a_sick_one_is_not_sick(gates):
    gate, _ = gates
    for number in range(5):
        gate.took("inventory", at(number))
        gate.ended("inventory", began=at(number), now=at(number), error="timed_out: no answer", dice=0.0)
    Service.objects.all().delete()
    Service.objects.create(name="inventory", base_url="https://elsewhere.example.org")
    meet(gate, at(5))
    assert gate.took("inventory", at(5))


def test_a_call_that_ends_when_its_service_is_gone_is_not_counted(gates):
    gate, _ = gates
    assert gate.took("inventory", NOON)
    Service.objects.all().delete()
    meet(gate, at(1))
    gate.ended("inventory", began=NOON, now=at(2), error="", dice=0.0)
    meet(gate, at(3))
    assert not ServiceMinute.objects.exists()
