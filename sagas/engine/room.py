"""Room before a service in one pump: how many calls may start now, and who waits for the next place.

All of it is in the memory of one pump and is touched only on its event loop, so a place is
taken in the same breath in which it is found free, and a pump that dies takes its places with it.

Over all pumps at most `max(max_concurrency, pumps alive)` calls are in flight: each pump gives
away its own share, and a share is never less than one, nor more than `CALLS_MAX`. For about a
second after a pump joined, until the others have seen it, calls they had started still count on top.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from sagas.engine.breaker import Stand
from sagas.models.services import BreakerState

if TYPE_CHECKING:
    from datetime import datetime

CALLS_MAX = 250  # to one service from one pump: half of the runs that a pump has in hand, the others are for others
TRIALS = 2  # calls that each pump lets into a service whose breaker is half open
TURNS_A_SECOND = 5.0  # at which those that found no place come again to one pump, when hardly a call ends
TURN_IN = timedelta(minutes=2)  # at the latest, however many were turned away


def share_of(max_concurrency: int, pumps: int) -> int:
    """Return how many calls one of so many live pumps may have in flight."""
    return min(CALLS_MAX, max(1, max_concurrency // max(1, pumps)))


class Room:
    """The places of one service in one pump."""

    def __init__(self, share: int, *, is_held: bool = False, stand: Stand | None = None) -> None:
        """Begin with all places free."""
        self.share = share
        self.is_held = is_held
        self.stand = stand or Stand()
        self.in_flight = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._ended: deque[datetime] = deque()  # calls of the last second
        self._last_turn: tuple[str, datetime] | None = None  # why somebody was turned away last, and until when

    def free(self, now: datetime) -> int:
        """Return how many calls may start now."""
        stand = self.stand.looked_at(now)
        if self.is_held or stand.state is BreakerState.OPEN:
            return 0
        places = min(self.share, TRIALS) if stand.state is BreakerState.HALF_OPEN else self.share
        return max(0, places - self.in_flight)

    def take(self, calls: int, now: datetime) -> bool:
        """Take places for calls that start now; none is taken where there are not enough."""
        if calls > self.free(now):
            return False
        self.in_flight += calls
        return True

    def give_back(self, now: datetime) -> None:
        """A call ended: the place is free, and whoever waits longest is told."""
        if self.in_flight < 1:
            message = "a place was given back that nobody had"
            raise RuntimeError(message)
        self.in_flight -= 1
        self._ended.append(now)
        self._ended_lately(now)
        self.wake(now)

    def turn_away(self, now: datetime, why: str, earliest: datetime) -> datetime:
        """Return when one that finds no place is to come again: each a little after the one before.

        They come twice as fast as calls end, so that no place stays empty; but all at once, as
        often as they like, they would keep the pump from the runs that do not need the service.

        Args:
            now: the time.
            why: what keeps it out; where that is something new, the turns begin anew.
            earliest: nobody is to come before this.
        """
        last = earliest if self._last_turn is None or self._last_turn[0] != why else self._last_turn[1]
        gap = timedelta(seconds=1 / max(TURNS_A_SECOND, 2 * self._ended_lately(now)))
        turn = max(earliest, min(last + gap, now + TURN_IN))
        self._last_turn = (why, turn)
        return turn

    def _ended_lately(self, now: datetime) -> int:
        while self._ended and now - self._ended[0] > timedelta(seconds=1):
            self._ended.popleft()
        return len(self._ended)

    def line_up(self) -> asyncio.Future[None]:
        """Return what comes true when it is this one's turn; cancel it to leave the line."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        return turn

    def wake(self, now: datetime) -> None:
        """Tell as many as there is room for, those first who have waited longest."""
        for _ in range(self.free(now)):
            while self._line and self._line[0].done():
                self._line.popleft()
            if not self._line:
                return
            self._line.popleft().set_result(None)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return sum(not turn.done() for turn in self._line)
