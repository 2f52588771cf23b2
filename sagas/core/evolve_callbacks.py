"""From one state to the next for attempts that are in other hands: a sub-saga's, or a service's that calls back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.limits import CALLBACK_DRAIN_S_MAX
from sagas.core.vocabulary import CompensationStatus, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagas.core.state import HalfState, RunState


def attempt_accepted(state: RunState, event: m.AttemptAccepted, _at: datetime) -> None:
    """Somebody else has the attempt in hand."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = replace(
        step.half(event.phase),
        is_awaiting=False,
        waits_for=event.waits_for,
        accepted_by=event.by,
        due_at=event.until,
    )
    if event.phase is Phase.COMPENSATION:
        state.steps[key] = replace(step, compensation=half, compensation_status=CompensationStatus.WAITING)
    else:
        state.steps[key] = replace(step, action=half, status=StepStatus.WAITING)


def last_moment(half: HalfState) -> datetime | None:
    """Return when the wait for a callback is over: the time-out counts from the attempt's start."""
    return None if half.started_at is None else half.started_at + timedelta(seconds=half.timeout_s)


def drained_by(at: datetime) -> datetime:
    """Return until when a run that turns at `at` waits for callbacks (rule 2 of the law)."""
    return at + timedelta(seconds=CALLBACK_DRAIN_S_MAX)


def hurry(state: RunState, at: datetime) -> None:
    """The run turns: callbacks are waited for a little while only."""
    for key, half in list(_called_back(state)):
        until = drained_by(at) if half.due_at is None else min(half.due_at, drained_by(at))
        state.steps[key] = replace(state.step(key), action=replace(half, due_at=until))


def take_time(state: RunState) -> None:
    """The turn was dropped: callbacks have the time again that they had."""
    for key, half in list(_called_back(state)):
        state.steps[key] = replace(state.step(key), action=replace(half, due_at=last_moment(half)))


def _called_back(state: RunState) -> Iterator[tuple[StepKey, HalfState]]:
    for key, phase in state.open:
        half = state.step(key).half(phase)
        if phase is Phase.ACTION and half.is_called_back:
            yield key, half
