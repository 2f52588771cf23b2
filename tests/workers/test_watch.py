"""Who is condemned for not beating, and who is excused."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from sagas import queue
from sagas.models import PumpSlot
from sagas.workers.watch import ABANDONED_AFTER, DEAD_AFTER, RING_AFTER, SLOT_DEAD_AFTER, START_LOOKS, Watch

ALIVE = f"{socket.gethostname()}:{os.getpid()}"
BEGIN = timezone.now()


@pytest.fixture
def watch(db) -> Watch:
    return Watch("group", 2)


def beat(number: int, at: int) -> None:
    PumpSlot.objects.filter(group="group", number=number).update(holder=ALIVE, beat_at=BEGIN + timedelta(seconds=at))


def look(watch: Watch, times: int) -> None:
    for _ in range(times):
        watch._look()


def test_the_first_look_makes_the_slots_and_rings_once_for_each(watch):
    look(watch, RING_AFTER)
    assert [slot.number for slot in PumpSlot.objects.all()] == [0, 1]
    assert queue.count_waiting("group") == 2


def test_a_group_is_up_with_its_first_beat(watch):
    look(watch, 1)
    assert not watch.has_beaten
    beat(0, 1)
    look(watch, 1)
    assert watch.has_beaten


def test_a_group_whose_pumps_beat_has_no_fault(watch):
    look(watch, 1)
    for second in range(4 * SLOT_DEAD_AFTER):
        beat(0, second)
        beat(1, second)
        look(watch, 2)
    assert watch.fault == ""


def test_a_group_that_stops_beating_is_at_fault(watch):
    look(watch, 1)
    beat(0, 1)
    beat(1, 1)
    look(watch, DEAD_AFTER)
    assert watch.fault == ""
    look(watch, 1)
    assert watch.fault == "no pump has beaten for 6 s"


def test_one_pump_that_stays_silent_beside_a_live_one_is_a_fault_too(watch):
    look(watch, 1)
    beat(1, 1)
    for second in range(SLOT_DEAD_AFTER + 1):
        beat(0, second)
        look(watch, 1)
    assert watch.fault == "pump 1 has not beaten for 10 s"


def test_a_group_that_never_comes_up_is_at_fault(watch):
    look(watch, START_LOOKS - 1)
    assert watch.fault == ""
    look(watch, 1)
    assert watch.fault == "no pump came up in 60 s"


def test_nobody_is_condemned_while_the_database_is_slow(watch, monkeypatch):
    look(watch, 1)
    beat(0, 1)
    monkeypatch.setattr(watch, "_can_write", lambda: False)
    look(watch, 2 * DEAD_AFTER)
    assert watch.fault == ""


def test_nobody_is_condemned_while_the_database_is_away(watch, monkeypatch):
    look(watch, 1)
    beat(0, 1)
    look(watch, DEAD_AFTER)

    def away() -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr("sagas.workers.watch.connections.close_all", lambda: None)
        watch._guarded(away)
    look(watch, 1)
    assert watch.fault == ""


def test_the_slot_of_a_process_that_is_gone_is_offered_at_once(watch):
    look(watch, 1)
    queue.forget("group")
    PumpSlot.objects.update(holder=f"{socket.gethostname()}:{2**22 + 1}", beat_at=BEGIN)  # above any pid
    look(watch, 1)
    assert set(PumpSlot.objects.values_list("holder", "beat_at")) == {("", None)}
    assert queue.count_waiting("group") == 2


def test_rings_do_not_pile_up_when_nobody_answers(watch):
    look(watch, 20 * RING_AFTER)
    assert queue.count_waiting("group") == 2


def test_slots_that_nobody_looks_after_are_removed_with_their_messages(watch):
    PumpSlot.objects.create(group="dead", number=0, holder=ALIVE, beat_at=BEGIN)
    live = PumpSlot.objects.create(group="live", number=0, holder=ALIVE, beat_at=BEGIN)
    queue.ring_pump("dead", 0)
    for second in range(ABANDONED_AFTER + 1):
        PumpSlot.objects.filter(pk=live.pk).update(beat_at=BEGIN + timedelta(seconds=second))
        look(watch, 1)
    assert set(PumpSlot.objects.values_list("group", flat=True)) == {"group", "live"}
    assert queue.count_waiting("dead") == 0
