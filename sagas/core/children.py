"""Sub-sagas: what the end of a child means to the step that started it, and a completed run that is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.outcome import Error, Outcome, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import AttemptKey, Phase, RunStatus, StepKey

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.state import RunState

CHILD_COMPENSATED = "child_compensated"
CHILD_UNCLEAR = "child_unclear"
CHILD_NOT_UNDONE = "child_not_undone"


def outcome_of(end: m.ChildEnd, phase: Phase) -> Outcome:
    """Return what the end of a sub-saga says of the attempt that started it, or that undid it."""
    words = str(end.status).replace("_", " ")
    if phase is Phase.COMPENSATION:
        if end.status is RunStatus.COMPENSATED:
            return Succeeded()
        why = "it has passed its point of no return" if end.is_past_pivot else f"it is {words}"
        return Rejected(Error(CHILD_NOT_UNDONE, f"Run {end.run} could not be undone: {why}."))
    match end.status:
        case RunStatus.COMPLETED:
            return Succeeded(end.output, passes_pivot=end.is_past_pivot)
        case RunStatus.COMPENSATED:
            return Rejected(Error(CHILD_COMPENSATED, f"Run {end.run} was undone."))
    return Unknown(Error(CHILD_UNCLEAR, f"Run {end.run} is {words}: what it did is only partly undone."))


def attempt_of(state: RunState, step: str) -> AttemptKey | None:
    """Return the attempt of `step` that a sub-saga has, or may have, in hand; None when there is none."""
    key = StepKey.parse(step) or StepKey(step)
    for phase in (Phase.ACTION, Phase.COMPENSATION):
        half = state.step(key).half(phase)
        if half.is_out:
            return AttemptKey(key.step, key.item, phase, half.number)
    return None


def report_refusal(_definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why the report of a sub-saga changes nothing."""
    attempt = attempt_of(state, order.step or "") if order.child is not None else None
    if attempt is None or order.child is None:
        return "No attempt waits for this report."
    half = state.step(attempt.step_key).half(attempt.phase)
    if half.accepted_by and half.waits_for is not None and half.accepted_by != order.child.run:
        return "Another run has the attempt in hand."
    return None


def undo_refusal(state: RunState) -> str | None:
    """Return why a run cannot be undone with the run it belongs to."""
    if state.status is not RunStatus.COMPLETED:
        return f"Only a completed run is undone: it is {str(state.status).replace('_', ' ')}."
    if state.is_past_pivot:
        return "The point of no return has been passed: the run cannot be undone."
    return None
