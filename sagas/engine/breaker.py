"""Breakers: when runs are held before a service that does not answer, and when a few are let in to look.

Pure: times and dice come in as arguments. A breaker never ends an attempt; it only says whether
the next one may start. What it stands at is shared by all pumps through `ServiceState`
(`engine/breaker_rows.py`); what was seen of the last calls stays with the pump that saw them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sagas.models.services import BreakerState

FAILURES_IN_A_ROW = 5
LAST_CALLS = 20
SICK_SHARE = 0.5  # of the last calls
MEMORY = timedelta(seconds=30)  # older calls say nothing about now
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(seconds=60)
JITTER = 0.25  # of a pause, added: services that fell sick together are not all tried together


@dataclass(frozen=True, slots=True)
class Stand:
    """What a breaker stands at. Two pumps that see the same stand and change it differ in nothing but the dice."""

    state: BreakerState = BreakerState.CLOSED
    opened_at: datetime | None = None
    try_at: datetime | None = None  # when the first are let through again
    openings: int = 0  # in a row, with no success between them

    def opened(self, now: datetime, dice: float) -> Stand:
        """Return the stand once the service is known to be sick.

        Args:
            now: The time.
            dice: From 0 to 1, for the jitter.
        """
        doublings = min(self.openings, 10)  # more would leave the range of timedelta, and the longest is reached before
        pause = min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE) * (1 + JITTER * dice)
        return Stand(BreakerState.OPEN, now, now + pause, self.openings + 1)

    def looked_at(self, now: datetime) -> Stand:
        """Return the stand as time has made it: an open breaker whose pause is over is half open."""
        if self.state is BreakerState.OPEN and self.try_at is not None and self.try_at <= now:
            return replace(self, state=BreakerState.HALF_OPEN)
        return self


@dataclass(slots=True)
class Seen:
    """What one pump saw of the last calls to a service."""

    _calls: deque[tuple[datetime, bool]] = field(default_factory=lambda: deque(maxlen=LAST_CALLS))

    def note(self, now: datetime, *, answered: bool) -> None:
        """Remember how a call ended. A rejection is an answer: the service is well and said no."""
        self._calls.append((now, answered))

    def forget(self) -> None:
        """Remember nothing: what was seen before the breaker changed says nothing about after."""
        self._calls.clear()

    def is_sick(self, now: datetime) -> bool:
        """Tell whether the last calls say that the service does not answer."""
        recent = [answered for at, answered in self._calls if now - at <= MEMORY]
        if len(recent) < FAILURES_IN_A_ROW or any(recent[-FAILURES_IN_A_ROW:]):
            return False
        return recent.count(False) >= SICK_SHARE * len(recent)


def after_call(stand: Stand, seen: Seen, now: datetime, *, began: datetime, answered: bool, dice: float) -> Stand:
    """Return what a breaker stands at after a call ended, and remember the call.

    A call that began before the breaker let anybody in again says nothing: one slow
    answer from before would let everybody in at once, one slow failure keep all out.

    Args:
        stand: What it stood at.
        seen: What this pump saw of the calls before.
        now: When the call ended.
        began: When it began.
        answered: Whether the service answered, be it with a rejection.
        dice: From 0 to 1, for the jitter.
    """
    stand = stand.looked_at(now)
    if stand.try_at is not None and began < stand.try_at:
        return stand
    if stand.state is BreakerState.HALF_OPEN:
        seen.forget()
        return Stand() if answered else stand.opened(now, dice)
    seen.note(now, answered=answered)
    if seen.is_sick(now):
        seen.forget()
        return stand.opened(now, dice)
    return stand
