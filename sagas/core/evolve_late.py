"""The part of `evolve` that is about late reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sagas.core.vocabulary import CompensationStatus, OutcomeKind, StepKey

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.core import messages as m
    from sagas.core.state import HalfState, RunState

_UNDONE = frozenset({CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED})


def sole_unknown(half: HalfState, event: m.AttemptEnded) -> int:
    """Return the number of the only attempt under this key that ended unknown; 0 when there is none, or are several."""
    if event.settles:
        return 0
    if event.outcome is not OutcomeKind.UNKNOWN:
        return half.sole_unknown
    return 0 if half.is_unsettled else event.number


def late_report_received(state: RunState, event: m.LateReportReceived, _at: datetime) -> None:
    """It settles the key, or opens the compensation again, or only shows that something hangs."""
    state.inbox_done = event.order
    key = StepKey(event.step, event.item)
    step = state.step(key)
    if event.settles:
        has_no_effect = event.outcome is OutcomeKind.FAILED  # said of one attempt: what was said of the key stays said
        is_deferred = step.action.is_out and not has_no_effect
        action = replace(
            step.action,
            is_unsettled=False,
            sole_unknown=0,
            late=event.outcome if is_deferred else step.action.late if has_no_effect else None,
            late_output=event.output if is_deferred else step.action.late_output if has_no_effect else None,
        )
        state.steps[key] = replace(step, action=action)
    elif event.needs_undo:
        was_undone = step.compensation_status in _UNDONE
        state.undo_done -= was_undone
        state.undo_total += not was_undone
        state.steps[key] = replace(step, compensation_status=CompensationStatus.FAILED, output=event.output)
    elif event.is_hanging:
        state.is_hanging = True
