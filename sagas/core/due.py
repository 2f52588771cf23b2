"""When somebody should look at a run next."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sagas.core.outcome import BEFORE_SERVICE
from sagas.core.vocabulary import Direction, Phase, WaitingFor

if TYPE_CHECKING:
    from sagas.core.state import RunState, StepState


_MOST_TELLING = (  # of several, what a person can do most about comes first
    WaitingFor.APPROVAL,
    WaitingFor.SIGNAL,
    WaitingFor.EVENT,
    WaitingFor.CALLBACK,
    WaitingFor.CHILD,
    WaitingFor.SERVICE,
    WaitingFor.RETRY,
    WaitingFor.TIMER,
)


def due_at(state: RunState) -> datetime | None:
    """Return the earliest moment at which something is due by time alone; None when nothing is."""
    if state.status.is_final or state.is_unreadable:
        return None
    if not state.is_paused and state.started_at is None:
        return state.created_at
    halves = (state.step(key).half(phase) for key, phase in state.open)
    moments = [  # the time of an attempt that is out runs while the run is paused, too
        half.due_at for half in halves if half.due_at is not None and (half.is_called_back or not state.is_paused)
    ]
    if state.watch is not None:
        moments += _late_at(state)
    turns = state.direction is Direction.FORWARD or state.watch is not None  # what a deadline is for
    if state.deadline_at is not None and not state.is_overdue and turns:
        moments.append(state.deadline_at)
    return min(moments, default=None)


def _late_at(state: RunState) -> list[datetime]:
    """Return when reactions that are under way take longer than usual."""
    known = (state.step(key).reacting for key, _ in state.open)
    return [one.late_at for one in known if one is not None and one.late_at is not None and not one.is_late]


def waiting_for(state: RunState) -> WaitingFor | None:
    """Return what a run waits for, when all it does is wait."""
    if not state.open or state.awaiting or state.is_paused:
        return None
    found = {_waits_for(state.step(key), phase) for key, phase in state.open}
    return min(found, key=_MOST_TELLING.index)


def _waits_for(step: StepState, phase: Phase) -> WaitingFor:
    if waits_for := step.half(phase).waits_for:
        return waits_for
    is_outside = step.error is not None and step.error.get("code") in BEFORE_SERVICE
    return WaitingFor.SERVICE if is_outside else WaitingFor.RETRY
