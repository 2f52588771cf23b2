"""From one state and one event to the next state. Knows no definition, decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagas.core import (
    evolve_callbacks,
    evolve_ends,
    evolve_items,
    evolve_late,
    evolve_probes,
    evolve_reactions,
    evolve_waits,
)
from sagas.core import messages as m
from sagas.core.outcome import WORKER_LOST
from sagas.core.state import Attention, HalfState, RunState, StepState
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    Json,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    StepStatus,
)
from sagas.core.watch import Watch


def evolve(state: RunState, event: m.Event, at: datetime) -> RunState:
    """Return the state after `event`, which happened `at`; `state` stays as it is."""
    after = state.copy()
    advance(after, event, at)
    return after


def advance(state: RunState, event: m.Event, at: datetime) -> None:
    """Move a state that the caller owns past `event`. Sequence and revision are counted here."""
    if getattr(event, "item", NO_ITEM) == NO_ITEM:
        _APPLY[type(event)](state, event, at)
    else:
        evolve_items.advance_item(state, event, at, _APPLY[type(event)])
    status = _status(state)
    if status is not state.status or isinstance(event, _REVISING):
        state.revision += 1
    state.status = status
    state.is_paused &= not status.is_final
    state.sequence += 1


def replay(entries: Iterable[tuple[m.Event, datetime]], state: RunState | None = None) -> RunState:
    """Fold a journal, from the empty state or from `state`."""
    after = RunState() if state is None else state.copy()
    for event, at in entries:
        advance(after, event, at)
    return after


def _status(state: RunState) -> RunStatus:
    if state.status.is_final:
        return state.status
    if state.attention:
        return RunStatus.NEEDS_ATTENTION
    if state.direction is Direction.BACKWARD:
        return RunStatus.COMPENSATING
    return RunStatus.PENDING if state.started_at is None else RunStatus.RUNNING


def _set_half(step: StepState, phase: Phase, half: HalfState, **changes: Any) -> StepState:
    if phase is Phase.ACTION:
        return replace(step, action=half, **changes)
    if phase is Phase.COMPENSATION:
        return replace(step, compensation=half, **changes)
    return replace(step, probe=half, **changes)


def _run_started(state: RunState, event: m.RunStarted, at: datetime) -> None:
    state.run = event.run
    state.saga = event.saga
    state.version = event.version
    state.input = event.input
    state.key = event.key
    state.labels = event.labels or {}
    state.amount = event.amount
    state.parent, state.parent_step, state.depth = event.parent, event.parent_step, event.depth
    state.created_by = event.by
    state.created_at = at
    state.deadline_at = event.deadline_at
    state.steps_total = event.steps
    state.watch = Watch() if event.is_choreographed else None


def _attempt_started(state: RunState, event: m.AttemptStarted, at: datetime) -> None:
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
        state.open |= {(key, event.phase)}
    else:
        step = _set_half(
            step, event.phase, half, status=StepStatus.RUNNING, started_at=step.started_at or at, ended_at=None
        )
        step = evolve_probes.begun_anew(step) if event.phase is Phase.ACTION else step
        evolve_probes.take_place(state, key, event.phase)
    state.steps[key] = step
    state.started_at = state.started_at or at
    evolve_reactions.begun(state, key)


def _attempt_ended(state: RunState, event: m.AttemptEnded, at: datetime) -> None:
    if event.phase is Phase.PROBE:
        evolve_probes.probe_ended(state, event, at)
        return
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = step.half(event.phase)
    is_unknown = event.outcome is OutcomeKind.UNKNOWN
    half = replace(
        half,
        is_awaiting=False,
        waits_for=None,
        due_at=None,
        counted=half.counted + (1 if event.is_counted else 0),
        lost_in_a_row=half.lost_in_a_row + 1 if event.code == WORKER_LOST else 0,
        is_unsettled=(half.is_unsettled or is_unknown) and not event.settles,
        sole_unknown=evolve_late.sole_unknown(half, event),
    )
    if event.outcome is not OutcomeKind.SUCCEEDED:
        state.steps[key] = _set_half(step, event.phase, half, error=_error(event))
        return
    state.open -= {(key, event.phase)}
    if event.phase is Phase.COMPENSATION:
        state.steps[key] = _set_half(
            step, event.phase, half, compensation_status=CompensationStatus.SUCCEEDED, ended_at=at
        )
        state.undo_done += 1
        return
    state.steps[key] = _set_half(
        step, event.phase, half, status=StepStatus.SUCCEEDED, output=event.output, error=None, ended_at=at
    )
    state.steps_done += step.counts
    state.is_past_pivot |= event.passes_pivot


def _error(event: m.AttemptEnded | m.StepFailed | m.StepInDoubt | m.CompensationFailed) -> Json:
    error = {"code": event.code, "message": event.message}
    details = getattr(event, "details", None)
    return error if details is None else {**error, "details": details}


def _retry_scheduled(state: RunState, event: m.RetryScheduled, _at: datetime) -> None:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = replace(step.half(event.phase), due_at=event.at)
    if event.phase is Phase.COMPENSATION:
        state.steps[key] = _set_half(step, event.phase, half, compensation_status=CompensationStatus.RETRYING)
    else:
        step = evolve_probes.asked_no_more(step) if event.phase is Phase.ACTION else step
        state.steps[key] = _set_half(step, event.phase, half, status=StepStatus.RETRYING)
        evolve_probes.take_place(state, key, event.phase)


def _step_failed(state: RunState, event: m.StepFailed, at: datetime) -> None:
    _end_action(state, StepKey(event.step, event.item), StepStatus.FAILED, _error(event), at)


def _step_in_doubt(state: RunState, event: m.StepInDoubt, at: datetime) -> None:
    _end_action(state, StepKey(event.step, event.item), StepStatus.IN_DOUBT, _error(event), at)


def _end_action(state: RunState, key: StepKey, status: StepStatus, error: Json, at: datetime) -> None:
    step = evolve_probes.rested(state.step(key))
    state.steps[key] = replace(
        step,
        status=status,
        error=step.error or error,
        started_at=step.started_at or at,
        ended_at=at,
    )
    evolve_probes.leave(state, key)
    state.started_at = state.started_at or at
    evolve_reactions.begun(state, key)


def _compensation_failed(state: RunState, event: m.CompensationFailed, at: datetime) -> None:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    state.steps[key] = replace(
        step,
        compensation_status=CompensationStatus.FAILED,
        compensation=replace(step.compensation, due_at=None),
        error=_error(event),
        ended_at=at,
    )
    state.open -= {(key, Phase.COMPENSATION)}


def _turn_requested(state: RunState, event: m.TurnRequested, at: datetime) -> None:
    state.is_turning = True
    evolve_callbacks.hurry(state, at)
    state.started_at = state.started_at or at
    state.reason = {
        name: value for name in ("cause", "step", "outcome", "code", "message", "by") if (value := getattr(event, name))
    }
    if event.item != NO_ITEM:
        state.reason["item"] = event.item


def _turn_dropped(state: RunState, _event: m.TurnDropped, _at: datetime) -> None:
    state.is_turning = False
    state.reason = None
    evolve_callbacks.take_time(state)


def _turned_round(state: RunState, event: m.TurnedRound, _at: datetime) -> None:
    for keys, status in ((event.undo, CompensationStatus.PENDING), (event.not_needed, CompensationStatus.NOT_NEEDED)):
        for key in keys:
            state.steps[key] = replace(state.step(key), compensation_status=status)
    evolve_items.turn_lists(state)
    state.direction = Direction.BACKWARD
    state.is_turning = False
    state.undo_total = len(event.undo)
    state.undo_done = 0


def _attention_needed(state: RunState, event: m.AttentionNeeded, _at: datetime) -> None:
    state.attention = (*state.attention, Attention(event.step, event.phase, event.code, event.item, event.message))


def _attention_cleared(state: RunState, event: m.AttentionCleared, _at: datetime) -> None:
    state.attention = tuple(
        one for one in state.attention if (one.step, one.item, one.phase) != (event.step, event.item, event.phase)
    )


def _order_consumed(state: RunState, event: m.OrderTaken | m.OrderRefused, _at: datetime) -> None:
    state.inbox_done = event.number


def _edition_started(state: RunState, event: m.EditionStarted, _at: datetime) -> None:
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
        sole_unknown=0 if is_new_key else half.sole_unknown,
        has_input=half.has_input or event.is_edited,
        input=event.input if event.is_edited else half.input,
    )
    step = _set_half(step, event.phase, half)
    if event.phase is Phase.ACTION and step.probe.number:
        step = replace(step, probe=replace(step.probe, counted=0, lost_in_a_row=0))
    if event.phase is Phase.COMPENSATION and step.compensation_status is CompensationStatus.FAILED:
        step = replace(step, compensation_status=CompensationStatus.PENDING)
    state.steps[key] = step


def _step_settled(state: RunState, event: m.StepSettled, at: datetime) -> None:
    key = StepKey(event.step, event.item)
    step = evolve_probes.rested(state.step(key))
    action = replace(step.action, is_unsettled=False, sole_unknown=0)
    if event.outcome is not OutcomeKind.SUCCEEDED:  # a StepFailed follows
        is_undo_pending = step.compensation_status is CompensationStatus.PENDING
        compensation = CompensationStatus.NOT_NEEDED if is_undo_pending else step.compensation_status
        state.undo_total -= is_undo_pending
        state.steps[key] = replace(step, action=action, compensation_status=compensation, error=None)
        return
    state.steps[key] = replace(
        step, status=StepStatus.SUCCEEDED, action=action, output=event.output, error=None, ended_at=at
    )
    evolve_probes.leave(state, key)
    state.steps_done += step.counts
    state.is_past_pivot |= event.passes_pivot


def _step_skipped(state: RunState, event: m.StepSkipped, at: datetime) -> None:
    key = StepKey(event.step, event.item)
    step = state.step(key)
    action = replace(step.action, due_at=None, waits_for=None)
    state.steps[key] = replace(step, status=StepStatus.SKIPPED, action=action, output=event.output, ended_at=at)
    state.open -= {(key, Phase.ACTION)}
    state.steps_done += 1
    state.started_at = state.started_at or at


def _compensation_settled(state: RunState, event: m.CompensationSettled, at: datetime) -> None:
    _end_undo(state, StepKey(event.step, event.item), CompensationStatus.SETTLED, at)


def _compensation_given_up(state: RunState, event: m.CompensationGivenUp, at: datetime) -> None:
    _end_undo(state, StepKey(event.step, event.item), CompensationStatus.GIVEN_UP, at)


def _end_undo(state: RunState, key: StepKey, status: CompensationStatus, at: datetime) -> None:
    state.steps[key] = replace(state.step(key), compensation_status=status, ended_at=at)
    state.undo_done += 1


def _run_paused(state: RunState, _event: m.RunPaused, _at: datetime) -> None:
    state.is_paused = True


def _run_resumed(state: RunState, _event: m.RunResumed, _at: datetime) -> None:
    state.is_paused = False


def _deadline_passed(state: RunState, _event: m.DeadlinePassed, _at: datetime) -> None:
    state.is_overdue = True


_REVISING = (
    m.RunStarted,
    m.OrderTaken,
    m.OrderRefused,
    m.LateReportReceived,
    m.EventReceived,
    m.RunCompleted,
    m.RunReopened,
    m.RunCompensated,
    m.RunPartiallyCompensated,
    m.RunTerminated,
)
_APPLY: dict[type, Callable[[RunState, Any, datetime], None]] = {
    m.RunStarted: _run_started,
    m.ItemsListed: evolve_items.items_listed,
    m.ItemsJoined: evolve_items.items_joined,
    m.AttemptStarted: _attempt_started,
    m.AttemptAccepted: evolve_callbacks.attempt_accepted,
    m.AttemptEnded: _attempt_ended,
    m.RetryScheduled: _retry_scheduled,
    m.WaitStarted: evolve_waits.wait_started,
    m.WaitEnded: evolve_waits.wait_ended,
    m.SignalReceived: evolve_waits.signal_received,
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
    m.LateReportReceived: evolve_late.late_report_received,
    m.EditionStarted: _edition_started,
    m.StepSettled: _step_settled,
    m.StepSkipped: _step_skipped,
    m.CompensationSettled: _compensation_settled,
    m.CompensationGivenUp: _compensation_given_up,
    m.RunPaused: _run_paused,
    m.RunResumed: _run_resumed,
    m.DeadlinePassed: _deadline_passed,
    m.EventReceived: evolve_reactions.event_received,
    m.EventClaimed: evolve_reactions.event_claimed,
    m.UndoExpected: evolve_reactions.undo_expected,
    m.ReactionUndone: evolve_reactions.reaction_undone,
    m.UndoCameFirst: evolve_reactions.undo_came_first,
    m.ReactionOverdue: evolve_reactions.reaction_overdue,
    m.RunCompleted: evolve_ends.run_completed,
    m.RunReopened: evolve_ends.run_reopened,
    m.RunCompensated: evolve_ends.run_compensated,
    m.RunPartiallyCompensated: evolve_ends.run_partially_compensated,
    m.RunTerminated: evolve_ends.run_terminated,
}
