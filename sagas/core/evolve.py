"""From one state and one event to the next state. Knows no definition, decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagas.core import messages as m
from sagas.core.outcome import WORKER_LOST
from sagas.core.state import Attention, HalfState, RunState, StepState
from sagas.core.vocabulary import (
    CompensationStatus,
    Direction,
    Json,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    StepStatus,
)


def evolve(state: RunState, event: m.Event, at: datetime) -> RunState:
    """Return the state after `event`, which happened `at`. Sequence and revision are counted here."""
    after = _APPLY[type(event)](state, event, at)
    status = _status(after)
    is_new_revision = status is not state.status or isinstance(event, (m.RunStarted, m.OrderTaken, m.OrderRefused))
    return replace(
        after, status=status, sequence=state.sequence + 1, revision=state.revision + (1 if is_new_revision else 0)
    )


def replay(entries: Iterable[tuple[m.Event, datetime]], state: RunState | None = None) -> RunState:
    """Fold a journal, from the empty state or from `state`."""
    state = state or RunState()
    for event, at in entries:
        state = evolve(state, event, at)
    return state


def _status(state: RunState) -> RunStatus:
    if state.status.is_final:
        return state.status
    if state.attention:
        return RunStatus.NEEDS_ATTENTION
    if state.direction is Direction.BACKWARD:
        return RunStatus.COMPENSATING
    return RunStatus.PENDING if state.started_at is None else RunStatus.RUNNING


def _with_step(state: RunState, key: StepKey, step: StepState, **changes: Any) -> RunState:  # noqa: ANN401 - fields
    return replace(state, steps={**state.steps, key: step}, **changes)


def _set_half(step: StepState, phase: Phase, half: HalfState, **changes: Any) -> StepState:  # noqa: ANN401 - fields
    if phase is Phase.COMPENSATION:
        return replace(step, compensation=half, **changes)
    return replace(step, action=half, **changes)


def _run_started(state: RunState, event: m.RunStarted, at: datetime) -> RunState:
    return replace(
        state,
        run=event.run,
        saga=event.saga,
        version=event.version,
        input=event.input,
        key=event.key,
        labels=event.labels or {},
        amount=event.amount,
        created_by=event.by,
        created_at=at,
        deadline_at=event.deadline_at,
        steps_total=event.steps,
    )


def _attempt_started(state: RunState, event: m.AttemptStarted, at: datetime) -> RunState:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    before = step.half(event.phase)
    half = replace(
        before,
        number=event.number,
        edition=event.edition,
        is_awaiting=True,
        is_atomic=event.is_atomic,
        due_at=None,
        started_at=at,
        timeout_s=event.timeout_s,
        has_input=before.has_input or event.is_first,
        input=event.input if event.is_first else before.input,
    )
    if event.phase is Phase.COMPENSATION:
        step = _set_half(step, event.phase, half, compensation_status=CompensationStatus.RUNNING)
    else:
        step = _set_half(
            step, event.phase, half, status=StepStatus.RUNNING, started_at=step.started_at or at, ended_at=None
        )
    return _with_step(
        state, key, step, open=state.open | {(key, event.phase)}, started_at=state.started_at or at
    )


def _attempt_ended(state: RunState, event: m.AttemptEnded, at: datetime) -> RunState:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = step.half(event.phase)
    is_unknown = event.outcome is OutcomeKind.UNKNOWN
    half = replace(
        half,
        is_awaiting=False,
        counted=half.counted + (1 if event.is_counted else 0),
        lost_in_a_row=half.lost_in_a_row + 1 if event.code == WORKER_LOST else 0,
        is_unsettled=(half.is_unsettled or is_unknown) and not event.settles,
    )
    if event.outcome is not OutcomeKind.SUCCEEDED:
        return _with_step(state, key, _set_half(step, event.phase, half, error=_error(event)))
    if event.phase is Phase.COMPENSATION:
        step = _set_half(step, event.phase, half, compensation_status=CompensationStatus.SUCCEEDED, ended_at=at)
        return _with_step(state, key, step, open=state.open - {(key, event.phase)}, undo_done=state.undo_done + 1)
    step = _set_half(step, event.phase, half, status=StepStatus.SUCCEEDED, output=event.output, error=None, ended_at=at)
    return _with_step(
        state,
        key,
        step,
        open=state.open - {(key, event.phase)},
        steps_done=state.steps_done + 1,
        is_past_pivot=state.is_past_pivot or event.passes_pivot,
    )


def _error(event: m.AttemptEnded | m.StepFailed | m.StepInDoubt | m.CompensationFailed) -> Json:
    error = {"code": event.code, "message": event.message}
    details = getattr(event, "details", None)
    return error if details is None else {**error, "details": details}


def _retry_scheduled(state: RunState, event: m.RetryScheduled, _at: datetime) -> RunState:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = replace(step.half(event.phase), due_at=event.at)
    if event.phase is Phase.COMPENSATION:
        step = _set_half(step, event.phase, half, compensation_status=CompensationStatus.RETRYING)
    else:
        step = _set_half(step, event.phase, half, status=StepStatus.RETRYING)
    return _with_step(state, key, step)


def _step_failed(state: RunState, event: m.StepFailed, at: datetime) -> RunState:
    return _end_action(state, StepKey(event.step, event.item), StepStatus.FAILED, _error(event), at)


def _step_in_doubt(state: RunState, event: m.StepInDoubt, at: datetime) -> RunState:
    return _end_action(state, StepKey(event.step, event.item), StepStatus.IN_DOUBT, _error(event), at)


def _end_action(state: RunState, key: StepKey, status: StepStatus, error: Json, at: datetime) -> RunState:
    step = state.step(key)
    step = replace(
        step,
        status=status,
        action=replace(step.action, due_at=None),
        error=step.error or error,
        started_at=step.started_at or at,
        ended_at=at,
    )
    return _with_step(state, key, step, open=state.open - {(key, Phase.ACTION)}, started_at=state.started_at or at)


def _compensation_failed(state: RunState, event: m.CompensationFailed, at: datetime) -> RunState:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    step = replace(
        step,
        compensation_status=CompensationStatus.FAILED,
        compensation=replace(step.compensation, due_at=None),
        error=_error(event),
        ended_at=at,
    )
    return _with_step(state, key, step, open=state.open - {(key, Phase.COMPENSATION)})


def _turn_requested(state: RunState, event: m.TurnRequested, at: datetime) -> RunState:
    reason = {
        name: value
        for name in ("cause", "step", "outcome", "code", "message", "by")
        if (value := getattr(event, name))
    }
    return replace(state, is_turning=True, reason=reason, started_at=state.started_at or at)


def _turn_dropped(state: RunState, _event: m.TurnDropped, _at: datetime) -> RunState:
    return replace(state, is_turning=False, reason=None)


def _turned_round(state: RunState, event: m.TurnedRound, _at: datetime) -> RunState:
    steps = dict(state.steps)
    for keys, status in ((event.undo, CompensationStatus.PENDING), (event.not_needed, CompensationStatus.NOT_NEEDED)):
        for key in keys:
            steps[key] = replace(state.step(key), compensation_status=status)
    return replace(
        state, direction=Direction.BACKWARD, is_turning=False, steps=steps, undo_total=len(event.undo), undo_done=0
    )


def _attention_needed(state: RunState, event: m.AttentionNeeded, _at: datetime) -> RunState:
    return replace(
        state, attention=(*state.attention, Attention(event.step, event.phase, event.code, event.item))
    )


def _attention_cleared(state: RunState, event: m.AttentionCleared, _at: datetime) -> RunState:
    kept = tuple(
        one for one in state.attention if (one.step, one.item, one.phase) != (event.step, event.item, event.phase)
    )
    return replace(state, attention=kept)


def _order_consumed(state: RunState, event: m.OrderTaken | m.OrderRefused, _at: datetime) -> RunState:
    return replace(state, inbox_done=event.number)


def _edition_started(state: RunState, event: m.EditionStarted, _at: datetime) -> RunState:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = step.half(event.phase)
    is_new_key = event.edition != half.edition
    half = replace(
        half,
        edition=event.edition,
        counted=0,
        lost_in_a_row=0,
        due_at=None,
        is_unsettled=half.is_unsettled and not is_new_key,
        has_input=half.has_input or event.is_edited,
        input=event.input if event.is_edited else half.input,
    )
    return _with_step(state, key, _set_half(step, event.phase, half))


def _deadline_passed(state: RunState, _event: m.DeadlinePassed, _at: datetime) -> RunState:
    return replace(state, is_overdue=True)


def _run_completed(state: RunState, event: m.RunCompleted, at: datetime) -> RunState:
    reason = {"cause": "output", "message": event.output_error} if event.output_error else state.reason
    return replace(state, status=RunStatus.COMPLETED, output=event.output, reason=reason, finished_at=at)


def _run_compensated(state: RunState, _event: m.RunCompensated, at: datetime) -> RunState:
    return replace(state, status=RunStatus.COMPENSATED, finished_at=at)


_APPLY: dict[type, Callable[[RunState, Any, datetime], RunState]] = {
    m.RunStarted: _run_started,
    m.AttemptStarted: _attempt_started,
    m.AttemptEnded: _attempt_ended,
    m.RetryScheduled: _retry_scheduled,
    m.StepFailed: _step_failed,
    m.StepInDoubt: _step_in_doubt,
    m.CompensationFailed: _compensation_failed,
    m.TurnRequested: _turn_requested,
    m.TurnDropped: _turn_dropped,
    m.TurnedRound: _turned_round,
    m.AttentionNeeded: _attention_needed,
    m.AttentionCleared: _attention_cleared,
    m.OrderTaken: _order_consumed,
    m.OrderRefused: _order_consumed,
    m.EditionStarted: _edition_started,
    m.DeadlinePassed: _deadline_passed,
    m.RunCompleted: _run_completed,
    m.RunCompensated: _run_compensated,
}
