"""From one state to the next for what a probe does. A part of `evolve.py`.

While a probe is asked, or waits to be asked again, it stands in `open` in the
place of its action, whose attempt has ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sagas.core.outcome import WORKER_LOST
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.core import messages as m
    from sagas.core.state import RunState, StepState


def take_place(state: RunState, key: StepKey, phase: Phase) -> None:
    """Let the probe stand for its action in `open`, or the action again."""
    state.open -= {(key, Phase.ACTION), (key, Phase.PROBE)}
    state.open.add((key, phase))


def leave(state: RunState, key: StepKey) -> None:
    """The action is no longer open, whichever of the two stood for it."""
    state.open -= {(key, Phase.ACTION), (key, Phase.PROBE)}


def rested(step: StepState) -> StepState:
    """Return the step with no attempt due, of its action or its probe."""
    step = asked_no_more(step)
    return replace(step, action=replace(step.action, due_at=None, waits_for=None, late=None, late_output=None))


def asked_no_more(step: StepState) -> StepState:
    """Return the step without a question that waits."""
    return step if step.probe.due_at is None else replace(step, probe=replace(step.probe, due_at=None))


def begun_anew(step: StepState) -> StepState:
    """Return the step as the action is tried again: the next unknown outcome has all tries of the probe before it."""
    return replace(step, probe=replace(step.probe, counted=0)) if step.probe.counted else step


def probe_ended(state: RunState, event: m.AttemptEnded, at: datetime) -> None:
    """The probe has answered, or has not."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    probe = replace(
        step.probe,
        is_awaiting=False,
        counted=step.probe.counted + (1 if event.is_counted else 0),
        lost_in_a_row=step.probe.lost_in_a_row + 1 if event.code == WORKER_LOST else 0,
    )
    if not event.settles:
        state.steps[key] = replace(step, probe=probe)
        return
    action = replace(step.action, is_unsettled=False, sole_unknown=0)
    if event.outcome is not OutcomeKind.SUCCEEDED:  # the step's end or its next attempt follows
        error = {"code": event.code, "message": event.message}
        if event.details is not None:
            error["details"] = event.details
        state.steps[key] = replace(step, probe=probe, action=action, error=error)
        return
    state.steps[key] = replace(
        step,
        probe=probe,
        action=action,
        status=StepStatus.SUCCEEDED,
        output=event.output,
        error=None,
        ended_at=at,
    )
    leave(state, key)
    state.steps_done += step.counts
    state.is_past_pivot |= event.passes_pivot
