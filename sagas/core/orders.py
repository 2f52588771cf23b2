"""Orders of people: what they do, and when they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagas.core import (
    arrivals,
    backward,
    children,
    choreographed,
    forward,
    items,
    late_reports,
    probing,
    reactions,
    settling,
    waiting,
)
from sagas.core import messages as m
from sagas.core.definition import HttpAction
from sagas.core.http_request import fault_of
from sagas.core.outcome import TERMINATED
from sagas.core.sealed import MASKED, holds_mask, unmasked
from sagas.core.vocabulary import CompensationStatus, Direction, OutcomeKind, Phase, StepKey, StepStatus, Verb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sagas.core.definition import Definition
    from sagas.core.draft import Draft
    from sagas.core.state import RunState, StepState
    from sagas.core.vocabulary import Json

Target = tuple[StepKey, Phase]
_WITHOUT_CODE = frozenset({Verb.RETRY, Verb.TERMINATE, Verb.SIGNAL})


def refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why `order` does not apply to `state`, as a sentence; None when it does."""
    if order.verb is Verb.UNDO:
        return children.undo_refusal(state)
    if state.status.is_final:
        return f"The run has ended: it is {_words(state)}."
    if state.is_unreadable and (order.verb not in _WITHOUT_CODE or order.step is not None):
        return "The run waits for the code of its version: put that back and retry the run as a whole, or terminate it."
    if definition.choreography is not None and (why := choreographed.refusal(order.verb)):
        return why
    return _REFUSALS[order.verb](definition, state, order)


def take(draft: Draft, order: m.TakeOrder) -> None:
    """Apply an order, or write down why it no longer applies."""
    if draft.state.is_unreadable and order.verb not in {Verb.RETRY, Verb.TERMINATE}:
        draft.emit(m.AttentionCleared(step="", phase=Phase.ACTION))  # whoever applies it can read the version
    if order.late is not None:
        late_reports.take(draft, order, order.late)
        return
    if order.verb is Verb.EVENT and draft.definition.choreography is not None:
        reactions.receive(draft, order.arguments, order=order.number)
        return
    why = refusal(draft.definition, draft.state, order)
    said: dict[str, Any] = {"number": order.number, "verb": order.verb, "by": order.by, "reason": order.reason}
    if why is not None:
        draft.emit(refused(draft.state, order, why))
        return
    draft.emit(m.OrderTaken(**said, step=order.step or ""))
    match order.verb:
        case Verb.CANCEL:
            draft.emit(m.TurnRequested(cause="cancel", by=order.by, message=order.reason))
            forward.drain(draft)
        case Verb.RETRY if draft.state.is_unreadable:
            draft.emit(m.AttentionCleared(step="", phase=Phase.ACTION))
        case Verb.RETRY:
            for target in retriable(draft.definition, draft.state, order.step):
                _retry(draft, target, order)
        case Verb.SKIP:
            settling.skip(draft, order)
        case Verb.SETTLE:
            settling.settle(draft, order)
        case Verb.GIVE_UP:
            settling.give_up(draft, order)
        case Verb.PAUSE:
            draft.emit(m.RunPaused())
        case Verb.RESUME:
            draft.emit(m.RunResumed())
        case Verb.TERMINATE:
            _terminate(draft, order)
        case Verb.SIGNAL:
            arrivals.receive(draft, order)
        case Verb.APPROVE:
            arrivals.answer(draft, order)
        case Verb.UNDO:
            draft.emit(m.RunReopened())
            draft.emit(m.TurnRequested(cause="parent", by=order.by, message=order.reason))


def refused(state: RunState, order: m.TakeOrder, why: str) -> m.OrderRefused | m.LateReportReceived:
    """Return the entry of an order that no longer applies; a late report is kept as evidence."""
    if order.late is not None:
        return late_reports.kept(state, order, order.late)
    return m.OrderRefused(
        number=order.number, verb=order.verb, by=order.by, reason=order.reason, step=order.step or "", why=why
    )


def retriable(definition: Definition, state: RunState, step: str | None = None) -> list[Target]:
    """Return the halves that a retry would start: those that wait for one, and those that need a person."""
    return [target for target in _waiting(state, step) if not _is_overtaken(definition, state, target)]


def _waiting(state: RunState, step: str | None) -> list[Target]:
    halves = {(key, phase): state.step(key).half(phase) for key, phase in state.open}
    found = {target for target, half in halves.items() if not half.is_out and not half.is_wait}
    found.update((one.key, one.phase) for one in state.attention if one.step)
    if state.is_turning:
        found = {(key, phase) for key, phase in found if phase is Phase.COMPENSATION}
    return sorted(target for target in found if step is None or step in {target[0].step, str(target[0])})


def _is_overtaken(definition: Definition, state: RunState, target: Target) -> bool:
    key, phase = target
    return phase is Phase.COMPENSATION and backward.is_overtaken(definition, state, key)


def _words(state: RunState) -> str:
    return str(state.status).replace("_", " ")


# ---- refusals --------------------------------------------------------------


def _cancel_refusal(_definition: Definition, state: RunState, _order: m.TakeOrder) -> str | None:
    if state.is_past_pivot:
        return "The point of no return has been passed: the run can only go forward."
    if state.direction is Direction.BACKWARD or state.is_turning:
        return "The run is already turning round."
    if any(one.phase is Phase.ACTION and one.code == forward.OUTCOME_UNKNOWN for one in state.attention):
        return "Nobody knows yet whether a step happened: settle or retry it first, then cancel."
    return None


def _retry_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    if why := items.misnamed(definition, state, order.step):
        return why
    if state.is_unreadable:
        return None
    if state.is_paused:
        return "The run is paused: nothing is sent before it is resumed."
    targets = retriable(definition, state, order.step)
    if not targets and _waiting(state, order.step):
        return "What came before is being undone right now: retry when that has ended."
    if not targets:
        about = f"step {order.step}" if order.step else "the run"
        return f"Nothing of {about} waits for a retry: the run is {_words(state)}."
    return _edit_refusal(definition, state, order, targets) if order.has_arguments else None


def _edit_refusal(definition: Definition, state: RunState, order: m.TakeOrder, targets: Sequence[Target]) -> str | None:
    """Return why the targets cannot be tried again with the input that the order brings."""
    if len(targets) > 1:
        return "An edited input needs the name of one step."
    key, phase = targets[0]
    if phase is Phase.ACTION and items.is_whole(definition, key):
        return f"Step {key} makes a list of items: it has no input to edit."
    if phase is Phase.ACTION and definition.by_name[key.step].action is None:
        return f"Step {key} waits and calls nobody: it has no input to edit."
    half = state.step(key).half(phase)
    if phase is Phase.PROBE or half.is_unsettled:
        return "The outcome of an earlier attempt is unknown: its input cannot be edited before that is settled."
    asked = definition.by_name[key.step].half(phase)
    if asked is not None and isinstance(asked.action, HttpAction):
        fault = fault_of(unmasked(order.arguments, half.input), asked.action.method)
        if fault is not None:
            return f"This is no request that may be sent: {fault}."
    is_masked = definition.redaction and holds_mask(unmasked(order.arguments, half.input))
    return MASKED if is_masked else None


def _pause_refusal(_definition: Definition, state: RunState, _order: m.TakeOrder) -> str | None:
    return "The run is paused already." if state.is_paused else None


def _resume_refusal(_definition: Definition, state: RunState, _order: m.TakeOrder) -> str | None:
    return None if state.is_paused else "The run is not paused."


def _event_refusal(_definition: Definition, _state: RunState, _order: m.TakeOrder) -> str | None:
    return "The saga is no choreography: its runs take no events."


def _never(_definition: Definition, _state: RunState, _order: m.TakeOrder) -> str | None:
    return None


_REFUSALS: dict[Verb, Callable[[Definition, RunState, m.TakeOrder], str | None]] = {
    Verb.CANCEL: _cancel_refusal,
    Verb.RETRY: _retry_refusal,
    Verb.SKIP: settling.skip_refusal,
    Verb.SETTLE: settling.settle_refusal,
    Verb.GIVE_UP: settling.give_up_refusal,
    Verb.PAUSE: _pause_refusal,
    Verb.RESUME: _resume_refusal,
    Verb.TERMINATE: _never,
    Verb.SIGNAL: arrivals.signal_refusal,
    Verb.APPROVE: arrivals.approval_refusal,
    Verb.REPORT: children.report_refusal,
    Verb.EVENT: _event_refusal,
}

# ---- what they do ----------------------------------------------------------


def _arguments(draft: Draft, target: Target, order: m.TakeOrder) -> Json:
    """Return the edited input; what was shown as `•••` and left so is what it was."""
    if not order.has_arguments or not draft.definition.redaction:
        return order.arguments if order.has_arguments else None
    key, phase = target
    return unmasked(order.arguments, draft.step(key).half(phase).input)


def _retry(draft: Draft, target: Target, order: m.TakeOrder) -> None:
    key, phase = target
    half = draft.step(key).half(phase)
    needs_person = any((one.key, one.phase) == target for one in draft.state.attention)
    if needs_person or order.has_arguments:
        draft.emit(
            m.EditionStarted(
                step=key.step,
                item=key.item,
                phase=phase,
                edition=half.edition if half.is_unsettled else half.edition + 1,
                is_edited=order.has_arguments,
                input=_arguments(draft, target, order),
            )
        )
    if needs_person:
        draft.emit(m.AttentionCleared(step=key.step, item=key.item, phase=phase))
    if phase is Phase.PROBE or (phase is Phase.ACTION and half.is_unsettled and probing.may_ask(draft, key)):
        probing.start(draft, key)
    elif phase is Phase.ACTION:
        forward.start(draft, key)
    elif needs_person:
        draft.undo_candidates.add(key)  # pending again: it starts as soon as nothing after it is being undone
    else:
        backward.start(draft, key)


def _terminate(draft: Draft, order: m.TakeOrder) -> None:
    """End the run where it stands: what is in flight is written off, and nothing is undone."""
    message = "The run was terminated."
    for key, phase in sorted(draft.state.open):
        half = draft.step(key).half(phase)
        if half.is_wait:
            waiting.leave_out(draft, key, TERMINATED)
            continue
        if half.is_out:
            draft.emit(
                m.AttemptEnded(
                    step=key.step,
                    item=key.item,
                    phase=phase,
                    number=half.number,
                    outcome=OutcomeKind.FAILED if half.is_atomic else OutcomeKind.UNKNOWN,
                    code=TERMINATED,
                    message=message,
                    is_counted=False,
                )
            )
        if phase is Phase.ACTION and half.late is OutcomeKind.SUCCEEDED:
            draft.emit(
                m.StepSettled(
                    step=key.step,
                    item=key.item,
                    outcome=OutcomeKind.SUCCEEDED,
                    output=half.late_output,
                    passes_pivot=key.step == draft.definition.pivot,
                    is_late=True,
                )
            )
            continue
        said: dict[str, Any] = {"step": key.step, "item": key.item, "code": TERMINATED, "message": message}
        is_unsettled = draft.step(key).half(Phase.ACTION if phase is Phase.PROBE else phase).is_unsettled
        outcome = OutcomeKind.UNKNOWN if is_unsettled else OutcomeKind.FAILED
        if phase is Phase.COMPENSATION:
            draft.emit(m.CompensationFailed(**said, outcome=outcome))
        elif is_unsettled:
            draft.emit(m.StepInDoubt(**said))
        else:
            draft.emit(m.StepFailed(**said, outcome=outcome))
    items.join_all(draft, is_over=True)
    stays = tuple(
        key
        for key, step in sorted(draft.state.steps.items())
        if (step.status in {StepStatus.SUCCEEDED, StepStatus.IN_DOUBT} or _hangs(step))
        and step.compensation_status not in backward.DONE_UNDOING
        and not draft.state.is_list(key)
    )
    draft.emit(m.RunTerminated(stays=stays, by=order.by, message=order.reason))


def _hangs(step: StepState) -> bool:
    """Whether a step that was taken for failed happened after all, and is to be undone."""
    return step.compensation_status not in {CompensationStatus.NONE, CompensationStatus.NOT_NEEDED}
