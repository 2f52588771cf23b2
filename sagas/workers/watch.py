"""Watching progress: the slots of one worker group, looked at twice a second from a thread.

A worker group is alive when its pumps beat, and by nothing else: django-q2's own
signs of life stay green while every worker waits for a lock that a dead one holds.

Looks are counted, not seconds, and what counts is that a beat *changed*: so neither
a clock that jumps nor a supervisor that was itself stopped for a while condemns
workers that did nothing wrong. A database that does not answer condemns nobody either.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import F

from sagas import queue
from sagas.models import PumpSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

log = logging.getLogger(__name__)

LOOK_S = 0.5
RING_AFTER = 7  # looks without a beat (3.5 s: longer than slot.STALE, or nobody could take it), and between rings
DEAD_AFTER = 12  # 6 s in which no pump of the group has beaten, though the slots were offered again
SLOT_DEAD_AFTER = 20  # 10 s in which one has not, though its slot was offered twice
START_LOOKS = 120  # 60 s for the first beat: imports, a cold disk, a machine that does much else
ABANDONED_AFTER = 120  # 60 s in which a slot of another group did not change
WRITE_S_MAX = 1.0  # a database slower than this is why nobody beats


@dataclass(slots=True)
class _Slot:
    """One slot as seen at the last look."""

    mark: tuple[int, datetime | None] | None = None
    quiet: int = 0  # looks in which it did not beat
    since_ring: int = RING_AFTER  # so the first look rings
    has_beaten: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    group: str
    number: int
    token: int
    holder: str  # host:pid
    beat_at: datetime | None


class Watch(threading.Thread):
    """Looks after the slots of one group until it is closed. Only this thread uses the database."""

    def __init__(self, group: str, pumps: int) -> None:
        """`pumps` is how many slots the group has, numbered from 0."""
        super().__init__(name=f"watch {group}", daemon=True)
        self.group = group
        self.has_beaten = False
        self.fault = ""  # why the group must be started again
        self._slots = {number: _Slot() for number in range(pumps)}
        self._others: dict[_Row, int] = {}
        self._looks = 0
        self._closing = threading.Event()

    def close(self, *, wait_s: float) -> None:
        """Stop looking and remove the rows of the group; wait for that, but not for ever."""
        self._closing.set()
        self.join(wait_s)

    def run(self) -> None:
        """Look until closed."""
        try:
            while not self._closing.wait(LOOK_S if self._looks else 0):
                self._guarded(self._look)
            self._guarded(self._forget)
        finally:
            connections.close_all()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (DatabaseError, InterfaceError) as error:
            log.warning("The slots of the pumps cannot be read: %s", error)
            self._excuse()
            connections.close_all()

    def _forget(self) -> None:
        PumpSlot.objects.filter(group=self.group).delete()
        queue.forget(self.group)

    def _look(self) -> None:
        self._looks += 1
        rows = [_Row(*row) for row in PumpSlot.objects.values_list("group", "number", "token", "holder", "beat_at")]
        own = {row.number: row for row in rows if row.group == self.group}
        missing = self._slots.keys() - own.keys()
        if missing:
            PumpSlot.objects.bulk_create(
                [PumpSlot(group=self.group, number=number) for number in sorted(missing)], ignore_conflicts=True
            )
        for number, slot in self._slots.items():
            self._compare(slot, own.get(number))
            if number in own and _is_dead(own[number].holder):
                self._free(slot, own[number])
        self.has_beaten = any(slot.has_beaten for slot in self._slots.values())
        self._ring()
        self._look_at_others([row for row in rows if row.group != self.group])
        if (fault := self._find_fault()) and self._can_write():
            self.fault = fault

    @staticmethod
    def _compare(slot: _Slot, row: _Row | None) -> None:
        mark = (row.token, row.beat_at) if row else None
        slot.since_ring += 1
        slot.quiet += 1
        if row and row.beat_at and mark != slot.mark:
            slot.quiet = 0
            slot.has_beaten = True
        slot.mark = mark

    @staticmethod
    def _free(slot: _Slot, row: _Row) -> None:
        """Offer the slot of a process that is gone at once, not only when its last beat has grown stale."""
        PumpSlot.objects.filter(group=row.group, number=row.number, token=row.token).update(holder="", beat_at=None)
        slot.quiet = slot.since_ring = RING_AFTER + 1

    def _ring(self) -> None:
        waiting = [
            number
            for number, slot in self._slots.items()
            if slot.since_ring > RING_AFTER and (slot.quiet >= RING_AFTER or not slot.has_beaten)
        ]
        if not waiting or queue.count_waiting(self.group) >= len(self._slots):
            return
        for number in waiting:
            queue.ring_pump(self.group, number)
            self._slots[number].since_ring = 0

    def _look_at_others(self, rows: Sequence[_Row]) -> None:
        """Remove slots that nobody looks after any more: a live group's beat, or come and go."""
        self._others = {row: self._others.get(row, 0) + 1 for row in rows}
        for row, looks in self._others.items():
            if looks >= ABANDONED_AFTER:
                same = PumpSlot.objects.filter(group=row.group, number=row.number, token=row.token, beat_at=row.beat_at)
                if same.delete()[0] and not PumpSlot.objects.filter(group=row.group).exists():
                    queue.forget(row.group)

    def _find_fault(self) -> str:
        if not self.has_beaten:
            return f"no pump came up in {START_LOOKS * LOOK_S:.0f} s" if self._looks >= START_LOOKS else ""
        if min(slot.quiet for slot in self._slots.values()) >= DEAD_AFTER:
            return f"no pump has beaten for {DEAD_AFTER * LOOK_S:.0f} s"
        for number, slot in self._slots.items():
            if slot.quiet >= (SLOT_DEAD_AFTER if slot.has_beaten else START_LOOKS):
                return f"pump {number} has not beaten for {slot.quiet * LOOK_S:.0f} s"
        return ""

    def _can_write(self) -> bool:
        """Return whether the database takes a write soon. When it does not, the pumps are excused."""
        began = time.monotonic()
        PumpSlot.objects.filter(group=self.group).update(number=F("number"))
        if time.monotonic() - began <= WRITE_S_MAX:
            return True
        log.warning("The database took %.1f s for one write.", time.monotonic() - began)
        self._excuse()
        return False

    def _excuse(self) -> None:
        for slot in self._slots.values():
            slot.quiet = 0


def _is_dead(holder: str) -> bool:
    """Return whether `holder` is known to run no more. It is of our own group, so of this machine."""
    pid = holder.rpartition(":")[2]
    if not pid:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    return False
