"""The gate of one pump: before each service its places and its breaker, kept in step with the other pumps.

The event loop asks and tells (`room`, `took`, `ended`); about once a second the journal's thread
writes what breakers came to and reads what people and other pumps did (`exchange`), and the loop
takes that in (`take_in`). No call costs a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.engine.breaker import Seen, Stand, after_call
from sagas.engine.breaker_rows import change_stand
from sagas.engine.room import Room, share_of
from sagas.engine.slot import STALE
from sagas.engine.tallies import Tally, write_tallies
from sagas.models import PumpSlot
from sagas.models.services import BreakerState, Service

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Read:
    """A service as the database has it, and how many pumps share it."""

    id: UUID
    name: str
    max_concurrency: int
    is_held: bool
    stand: Stand
    pumps: int
    held_by: str = ""
    held_reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What a breaker came to in this pump, to be told to the others."""

    id: UUID
    before: Stand
    after: Stand


def exchange(changes: Sequence[Change], tallies: Mapping[UUID, Tally], now: datetime) -> list[Read]:
    """Write what breakers came to and what was counted, then read all services. Blocks: for the journal's thread."""
    if changes or tallies:
        there = set(Service.objects.values_list("id", flat=True))  # one that was deleted keeps nobody from the others
        for change in changes:
            if change.id in there:
                change_stand(change.id, change.before, change.after)
        write_tallies({service: tally for service, tally in tallies.items() if service in there}, now)
    pumps = PumpSlot.objects.filter(beat_at__gte=now - STALE).count()
    return [
        Read(row.id, row.name, row.max_concurrency, row.is_held, _stand(row), pumps, row.held_by, row.held_reason)
        for row in Service.objects.select_related("state")
    ]


def _stand(row: Service) -> Stand:
    state = getattr(row, "state", None)
    if state is None:
        return Stand()
    return Stand(BreakerState(state.breaker), state.opened_at, state.try_at, state.openings)


class Gate:
    """What stands before all services in one pump. Touched only on its event loop."""

    def __init__(self) -> None:
        """Begin knowing of no service: one that is not known has no room until it was read."""
        self._rooms: dict[str, Room] = {}
        self._read: dict[str, Read] = {}
        self._seen: dict[str, Seen] = {}
        self._tallies: dict[str, Tally] = {}

    def take_in(self, found: Iterable[Read], now: datetime) -> None:
        """Go by what was read, and tell those who wait where room came of it."""
        before, self._read = self._read, {}
        for one in found:
            room = self._rooms.setdefault(one.name, Room(1))
            known = before.get(one.name)
            if known is None or known.id != one.id or room.stand == known.stand or one.stand != known.stand:
                room.stand = one.stand  # else ours has changed meanwhile, and nobody else's has
            self._read[one.name] = one
            room.is_held = one.is_held
            room.share = share_of(one.max_concurrency, one.pumps)
            room.wake(now)

    def room(self, services: Iterable[str], now: datetime) -> dict[str, int]:
        """Return how many calls to each service may start now."""
        return {name: self._rooms[name].free(now) if name in self._rooms else 0 for name in services}

    def took(self, service: str, now: datetime) -> bool:
        """Take a place for a call that starts now, if there is one."""
        return service in self._rooms and self._rooms[service].take(1, now)

    def find(self, service: str) -> tuple[Room, Read] | None:
        """Return the places before a service, and what was last read of it; None when it was never read."""
        read = self._read.get(service)
        return None if read is None else (self._rooms[service], read)

    def ended(
        self, service: str, *, began: datetime, now: datetime, dice: float, error: str, is_refusal: bool = False
    ) -> None:
        """A call ended: go by what it says of the service, and give its place back.

        `error` says why the service did not answer; a refusal is an answer.
        """
        room = self._rooms[service]
        seen = self._seen.setdefault(service, Seen())
        room.stand = after_call(room.stand, seen, now, began=began, answered=not error, dice=dice)
        room.give_back(now)
        tally = self._tallies.setdefault(service, Tally())
        tally.note(now, took_s=(now - began).total_seconds(), is_refusal=is_refusal, error=error)

    def left(self, service: str, now: datetime) -> None:
        """Nobody waits for a call any more: its place is free, and it says nothing."""
        self._rooms[service].give_back(now)

    def counted(self) -> dict[UUID, Tally]:
        """Return what was counted since the last time, and begin to count anew."""
        counted, self._tallies = self._tallies, {}
        return {self._read[name].id: tally for name, tally in counted.items() if name in self._read}

    def changes(self) -> list[Change]:
        """Return what breakers came to that the database has not been told."""
        return [
            Change(read.id, read.stand, self._rooms[name].stand)
            for name, read in self._read.items()
            if self._rooms[name].stand != read.stand
        ]
