"""The law: what follows from a command, given a definition and a state. Deciding never fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagas.core import (
    arrivals,
    backward,
    children,
    choreographed,
    forward,
    items,
    late_reports,
    orders,
    probe_answers,
    probing,
)
from sagas.core import messages as m
from sagas.core.draft import Draft
from sagas.core.evolve_callbacks import drained_by, last_moment
from sagas.core.outcome import TIMED_OUT, Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import AttemptKey, Direction, Phase, StepKey, Verb, WaitingFor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sagas.core.definition import Definition
    from sagas.core.state import RunState


TERMINATED_FIRST = "The run was terminated."


@dataclass(frozen=True, slots=True)
class Decision:
    """What happened, oldest first, and the state it leads to."""

    events: tuple[m.Event, ...]
    state: RunState


def decide(definition: Definition, state: RunState, command: m.Command) -> Decision:
    """Return the events that follow from `command`, and the state after them.

    Empty when nothing follows: a look with nothing due, or a report for an
    attempt that is no longer awaited (late or duplicate).
    """
    draft = Draft(definition, state, command.now, command.dice)
    match command:
        case m.Look():
            _look(draft)
        case m.ReportOutcome():
            _report(draft, command.attempt, command.outcome)
        case m.AcceptAttempt():
            _accept(draft, command)
        case m.TakeOrder():
            orders.take(draft, command)
            if command.verb is Verb.RESUME:
                _look(draft)
            if command.child is not None:
                _hear(draft, command.child, command.step or "")
            _hear_late(draft, command)
    if draft.events or isinstance(command, m.Look):
        _progress(draft)
    return Decision(tuple(draft.events), draft.state)


def leave(definition: Definition, state: RunState, waiting: Iterable[m.TakeOrder], now: datetime) -> Decision:
    """Return what becomes of the orders in the inbox of a run that is being terminated.

    Nobody's order applies any more, but what an attempt came to still counts; nothing starts because of it.
    """
    draft = Draft(definition, state, now, 0.5)
    for order in waiting:
        if order.late is None:
            draft.emit(orders.refused(draft.state, order, TERMINATED_FIRST))
        else:
            orders.take(draft, order)
            _hear_late(draft, order)
    return Decision(tuple(draft.events), draft.state)


def _look(draft: Draft) -> None:
    """Consider everything: the holder is new, or a moment has come."""
    state = draft.state
    if state.status.is_final:
        return
    if state.is_unreadable:  # whoever looks has the definition in hand
        draft.emit(m.AttentionCleared(step="", phase=Phase.ACTION))
    if draft.definition.choreography is not None:
        choreographed.look(draft)
    draft.candidates.update(draft.definition.by_name)
    draft.undo_candidates.update(map(StepKey, draft.definition.by_name))
    is_past = state.deadline_at is not None and draft.now >= state.deadline_at
    turns = state.direction is Direction.FORWARD or draft.definition.choreography is not None
    if is_past and not state.is_overdue and turns:
        draft.emit(m.DeadlinePassed())
    for key, phase in sorted(draft.state.open):
        half = draft.step(key).half(phase)
        if half.due_at is None or half.due_at > draft.now:
            continue
        is_held = draft.state.is_turning and phase is not Phase.PROBE  # asking is a part of draining
        if half.is_called_back:
            message = f"{half.accepted_by} has not called back in time."
            _report(draft, AttemptKey(key.step, key.item, phase, half.number), Unknown(Error(TIMED_OUT, message)))
        elif not draft.state.is_paused and not half.is_out and not is_held:
            _go_on(draft, key, phase)


def _go_on(draft: Draft, key: StepKey, phase: Phase) -> None:
    """The moment of a half has come: its wait ends, or its next attempt starts."""
    if draft.step(key).half(phase).is_wait:
        arrivals.time_is_up(draft, key)
    elif phase is Phase.COMPENSATION:
        backward.start(draft, key)
    elif phase is Phase.PROBE:
        probing.start(draft, key)
    else:
        forward.start(draft, key)


def _report(draft: Draft, attempt: AttemptKey, outcome: Outcome) -> None:
    key = attempt.step_key
    half = draft.step(key).half(attempt.phase)
    if not half.is_out or half.number != attempt.number:
        return
    draft.emit(_ended(draft, attempt, outcome))
    if attempt.phase is Phase.ACTION and late_reports.overrule(draft, key, outcome):
        return
    if attempt.phase is Phase.COMPENSATION:
        backward.after_attempt(draft, key, outcome)
    elif attempt.phase is Phase.PROBE:
        probe_answers.after_attempt(draft, key, outcome)
    else:
        forward.after_attempt(draft, key, outcome, was_unsettled=half.is_unsettled)


def _accept(draft: Draft, command: m.AcceptAttempt) -> None:
    attempt = command.attempt
    half = draft.step(attempt.step_key).half(attempt.phase)
    if not half.is_awaiting or half.number != attempt.number:
        return
    until = None
    if command.waits_for is WaitingFor.CALLBACK:
        until = last_moment(half)
        if draft.state.is_turning and until is not None:
            until = min(until, drained_by(draft.now))
    draft.emit(
        m.AttemptAccepted(
            step=attempt.step,
            item=attempt.item,
            phase=attempt.phase,
            number=attempt.number,
            waits_for=command.waits_for,
            by=command.by,
            until=until,
        )
    )


def _hear(draft: Draft, end: m.ChildEnd, step: str) -> None:
    """A sub-saga says how it ended, and the order that brought it was taken."""
    attempt = children.attempt_of(draft.state, step)
    if attempt is not None and isinstance(draft.events[-1], m.OrderTaken):
        _report(draft, attempt, children.outcome_of(end, attempt.phase))


def _hear_late(draft: Draft, order: m.TakeOrder) -> None:
    """A report that came by the inbox is of an attempt that is still waited for."""
    if order.late is not None and isinstance(draft.events[-1], m.OrderTaken):
        _report(draft, order.late.attempt, order.late.outcome)


def _ended(draft: Draft, attempt: AttemptKey, outcome: Outcome) -> m.AttemptEnded:
    common: dict[str, Any] = {
        "step": attempt.step,
        "item": attempt.item,
        "phase": attempt.phase,
        "number": attempt.number,
    }
    match outcome:
        case Succeeded():
            step = draft.definition.by_name[attempt.step]
            is_pivot = step.is_pivot or (outcome.passes_pivot and step.undoes_child)
            is_pivot &= attempt.phase is not Phase.COMPENSATION
            return m.AttemptEnded(
                **common, outcome=outcome.kind, output=outcome.output, settles=True, passes_pivot=is_pivot
            )
        case Rejected():
            settles, is_counted = outcome.is_explicit, True
        case Failed():
            settles, is_counted = outcome.settles, outcome.is_counted
        case Unknown():
            settles, is_counted = False, outcome.is_counted
    error = outcome.error
    return m.AttemptEnded(
        **common,
        outcome=outcome.kind,
        code=error.code,
        message=error.message,
        details=error.details,
        is_counted=is_counted,
        settles=settles,
    )


def _progress(draft: Draft) -> None:
    """Do what the state asks for: turn round, start what is ready, end."""
    if draft.state.status.is_final:
        return
    if draft.definition.choreography is not None:
        choreographed.progress(draft)
        return
    forward.turn_at_deadline(draft)
    if draft.state.direction is Direction.FORWARD and not draft.state.is_turning:
        if not draft.state.is_paused:
            forward.start_ready(draft)  # a step may fail before it could start, and so ask for a turn
        while draft.state.signals and not draft.state.is_turning and arrivals.take_one(draft):
            if not draft.state.is_paused:
                forward.start_ready(draft)
        items.join_all(draft)
        forward.complete_when_done(draft)
    if draft.state.is_turning:
        items.join_all(draft)
        backward.turn_round_when_drained(draft)
    if draft.state.direction is Direction.BACKWARD:
        items.join_all(draft)
        if not draft.state.is_paused:
            backward.start_ready(draft)
        backward.end_when_done(draft)
