"""Late reports: an attempt that was recorded as unknown says what it came to after all (rule 16 of the law).

A definite one settles its step while nothing is undone of it. What comes later
changes no outcome and is kept as evidence; but when it says that the action
happened, and the run has gone back without it, a person is asked: it hangs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import forward, probing, settling
from sagas.core import messages as m
from sagas.core.backward import DONE_UNDOING
from sagas.core.outcome import Failed, Outcome, Rejected, Succeeded
from sagas.core.vocabulary import CompensationStatus, Direction, OutcomeKind, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.draft import Draft
    from sagas.core.state import RunState, StepState

HANGING = "hanging"
_NEVER_HAPPENED = frozenset({StepStatus.FAILED, StepStatus.SKIPPED})


def take(draft: Draft, order: m.TakeOrder, late: m.LateReport) -> None:
    """Let a report settle its step, or keep it; of an attempt that somebody still waits for, only say that it came."""
    if is_waited_for(draft.state, late):
        draft.emit(m.OrderTaken(number=order.number, verb=order.verb, by=order.by, step=str(late.key)))
        return
    if _settles(draft.state, late):
        draft.emit(_received(order, late, settles=True))
        _settle(draft, late.key, late.outcome)
        return
    needs_undo = _needs_undo(draft, late)
    draft.emit(_received(order, late, is_hanging=is_hanging(draft.state, late), needs_undo=needs_undo))
    if needs_undo:
        draft.emit(m.AttentionNeeded(step=late.key.step, item=late.key.item, phase=Phase.COMPENSATION, code=HANGING))


def is_waited_for(state: RunState, late: m.LateReport) -> bool:
    """Whether the attempt has not ended yet: it is in flight, or a service has it in hand."""
    half = state.step(late.key).half(late.attempt.phase)
    return half.is_out and (half.number, half.edition) == (late.attempt.number, late.edition)


def counts(state: RunState, late: m.LateReport) -> bool:
    """Whether the report ends its attempt or settles its step; else it is only kept."""
    return is_waited_for(state, late) or _settles(state, late)


def kept(state: RunState, order: m.TakeOrder, late: m.LateReport) -> m.LateReportReceived:
    """Return the entry of a report that changes nothing, since the run ends."""
    return _received(order, late, is_hanging=is_hanging(state, late))


def overrule(draft: Draft, key: StepKey, outcome: Outcome) -> bool:
    """Settle a step by the report that came while a newer attempt of it was in flight; whether there was one."""
    action = draft.step(key).action
    if action.late is not OutcomeKind.SUCCEEDED or isinstance(outcome, Succeeded):
        return False
    settling.settle_action(draft, key, OutcomeKind.SUCCEEDED, output=action.late_output, is_late=True)
    return True


def is_hanging(state: RunState, late: m.LateReport) -> bool:
    """Whether the action happened although it is undone, or was taken for one that never happened."""
    if late.attempt.phase is not Phase.ACTION or not isinstance(late.outcome, Succeeded):
        return False
    step = state.step(late.key)
    is_undone = step.compensation_status in DONE_UNDOING
    return is_undone or step.status in _NEVER_HAPPENED or late.edition != step.action.edition


def _settles(state: RunState, late: m.LateReport) -> bool:
    step = state.step(late.key)
    if state.status.is_final or late.attempt.phase is not Phase.ACTION or late.edition != step.action.edition:
        return False
    if not settling.is_still_open_to_settling(step):
        return False
    if step.action.is_unsettled:
        return _is_certain(step, late)
    has_happened = isinstance(late.outcome, Succeeded)
    return has_happened and step.status is StepStatus.FAILED and state.direction is Direction.FORWARD


def _is_certain(step: StepState, late: m.LateReport) -> bool:
    """Whether the report speaks for the whole key: what had no effect says so of its own attempt alone."""
    match late.outcome:
        case Succeeded() | Rejected(is_explicit=True):
            return True
        case Rejected() | Failed():
            return step.action.sole_unknown == late.attempt.number
    return False


def _needs_undo(draft: Draft, late: m.LateReport) -> bool:
    state, step = draft.state, draft.step(late.key)
    if state.status.is_final or state.direction is Direction.FORWARD or not is_hanging(state, late):
        return False
    if late.edition != step.action.edition or draft.definition.by_name[late.key.step].compensation is None:
        return False
    return step.compensation_status in DONE_UNDOING or step.compensation_status is CompensationStatus.NONE


def _settle(draft: Draft, key: StepKey, outcome: Outcome) -> None:
    step = draft.step(key)
    if step.action.is_out:
        return  # a newer attempt is in flight: its end is waited for, so that nothing is undone under its feet
    match outcome:
        case Succeeded():
            settling.settle_action(draft, key, OutcomeKind.SUCCEEDED, output=outcome.output, is_late=True)
        case Rejected():
            settling.settle_action(draft, key, OutcomeKind.REJECTED, error=outcome.error, is_late=True)
        case Failed() if step.status is StepStatus.IN_DOUBT:
            settling.settle_action(draft, key, OutcomeKind.FAILED, error=outcome.error, is_late=True)
        case Failed() if step.is_probing:
            probing.call_off(draft, key)
            forward.retry_or_end(draft, key, outcome)


def _received(
    order: m.TakeOrder, late: m.LateReport, *, settles: bool = False, is_hanging: bool = False, needs_undo: bool = False
) -> m.LateReportReceived:
    outcome = late.outcome
    error = None if isinstance(outcome, Succeeded) else outcome.error
    return m.LateReportReceived(
        order=order.number,
        step=late.attempt.step,
        item=late.attempt.item,
        phase=late.attempt.phase,
        number=late.attempt.number,
        edition=late.edition,
        outcome=outcome.kind,
        output=outcome.output if isinstance(outcome, Succeeded) else None,
        code="" if error is None else error.code,
        message="" if error is None else str(error.message),  # of what nobody here can open: that it is hidden
        details=None if error is None else error.details,
        settles=settles,
        is_hanging=is_hanging,
        needs_undo=needs_undo,
    )
