"""What only a person can say: this happened, that did not, go on without it, let it stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import backward, forward, items, probing
from sagas.core import messages as m
from sagas.core.outcome import Error
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    StepStatus,
)

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.draft import Draft
    from sagas.core.state import RunState, StepState
    from sagas.core.vocabulary import Json

SETTLED = "settled"  # the code of a failure that a person stated
NOTHING_TO_SAY = Error("", "")
_ENDED = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})
_SKIPPABLE = frozenset({StepStatus.PENDING, StepStatus.RETRYING, StepStatus.FAILED})
_NOT_UNDONE_YET = frozenset({CompensationStatus.NONE, CompensationStatus.PENDING, CompensationStatus.NOT_NEEDED})


def _key(step: str | None) -> StepKey:
    """Return the step run that an order names, which was looked at before: `pay`, or `pay[3]`."""
    return StepKey.parse(step or "") or StepKey(step or "")


def _needs_person(state: RunState, key: StepKey, phase: Phase) -> bool:
    return any((one.key, one.phase) == (key, phase) for one in state.attention)


def _clear(draft: Draft, key: StepKey, phase: Phase) -> None:
    if _needs_person(draft.state, key, phase):
        draft.emit(m.AttentionCleared(step=key.step, item=key.item, phase=phase))


# ---- skip ------------------------------------------------------------------


def skip_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why a step cannot be skipped."""
    if order.step is None:
        return "Say which step to skip."
    if why := items.misnamed(definition, state, order.step):
        return why
    key = _key(order.step)
    step = state.step(key)
    if state.direction is Direction.BACKWARD or state.is_turning:
        return "The run is being undone: there is nothing to go on to."
    if state.status is not RunStatus.NEEDS_ATTENTION and not state.is_paused:
        return "A step is skipped only while the run is paused or needs a person."
    if definition.by_name[key.step].is_pivot:
        return "The point of no return cannot be skipped."
    if why := _list_refusal(state, key):
        return why
    if step.status is StepStatus.IN_DOUBT or step.action.is_unsettled:
        return f"Nobody knows whether {key} happened: settle it instead."
    if step.status not in _SKIPPABLE:
        return f"Step {key} is {step.status}: only a step that is pending, retrying or failed can be skipped."
    return None


def skip(draft: Draft, order: m.TakeOrder) -> None:
    """Go on without a step."""
    key = _key(order.step)
    for one in _broken_items(draft.state, key):
        _clear(draft, one, Phase.ACTION)
    _clear(draft, key, Phase.ACTION)
    draft.emit(m.StepSkipped(step=key.step, item=key.item, output=order.output))
    draft.candidates.update(draft.definition.successors[key.step])


def _list_refusal(state: RunState, key: StepKey) -> str | None:
    """Return why a list as a whole, or an item of one, cannot be skipped."""
    if key.item != NO_ITEM:
        whole = state.step(StepKey(key.step)).status
        return f"Step {key.step} is {whole}: its items are not gone through any more." if whole in _ENDED else None
    if not state.is_list(key):
        return None
    if state.lists[key.step].actions[StepStatus.IN_DOUBT]:
        return f"Nobody knows whether some items of {key} happened: settle them first."
    if state.step(key).status is not StepStatus.FAILED:
        return f"Step {key} is a list under way: skip its items one by one, such as {key}[0]."
    return None


def _broken_items(state: RunState, key: StepKey) -> list[StepKey]:
    """Return the items of a list that wait for a person to say how their action goes on."""
    keys = [one.key for one in state.attention if one.phase is Phase.ACTION and one.step == key.step]
    return keys if state.is_list(key) else []


# ---- settle ----------------------------------------------------------------


def settle_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why a half cannot be settled."""
    if order.step is None:
        return "Say which step to settle."
    if why := items.misnamed(definition, state, order.step):
        return why
    key = _key(order.step)
    if state.is_list(key):
        return f"Step {key} is a list: settle its items one by one, such as {key}[0]."
    if order.phase is Phase.COMPENSATION:
        return _compensation_refusal(state, key, order)
    step = state.step(key)
    if not is_still_open_to_settling(step):
        return f"Step {key} is being undone: what became of its action cannot be changed any more."
    is_between = step.status is StepStatus.RETRYING and step.action.is_unsettled
    if step.status is StepStatus.IN_DOUBT or is_between or step.is_probing:
        return None
    if step.status is StepStatus.FAILED and _needs_person(state, key, Phase.ACTION):
        is_news = order.outcome is OutcomeKind.SUCCEEDED or definition.choreography is not None  # the others hear of it
        return None if is_news else f"Step {key} has failed: that is known already."
    return f"Step {key} is {step.status.replace('_', ' ')}: its outcome is not in question."


def _compensation_refusal(state: RunState, key: StepKey, order: m.TakeOrder) -> str | None:
    status = state.step(key).compensation_status
    if status is not CompensationStatus.FAILED:
        return f"The compensation of {key} is {status.replace('_', ' ')}: only a failed one is settled by hand."
    if order.outcome is not OutcomeKind.SUCCEEDED:
        return "A compensation is settled only as succeeded; otherwise retry it, or give it up."
    return None


def settle(draft: Draft, order: m.TakeOrder) -> None:
    """Write down what truly happened, and go on from there."""
    key = _key(order.step)
    if order.phase is Phase.COMPENSATION:
        _clear(draft, key, order.phase)
        draft.emit(m.CompensationSettled(step=key.step, item=key.item, reference=order.reference))
        backward.consider_earlier(draft, key)
        return
    settle_action(
        draft, key, order.outcome, output=order.output, reference=order.reference, error=Error(SETTLED, order.reason)
    )


def is_still_open_to_settling(step: StepState) -> bool:
    """Whether nothing is being undone of the step, so that what became of its action may still be said."""
    return step.compensation_status in _NOT_UNDONE_YET and step.compensation.is_fresh


def settle_action(
    draft: Draft,
    key: StepKey,
    outcome: OutcomeKind,
    *,
    output: Json = None,
    reference: str = "",
    error: Error = NOTHING_TO_SAY,
    is_late: bool = False,
) -> None:
    """Write down what became of an action, and go on from there; `error` says why it did not happen."""
    has_happened = outcome is OutcomeKind.SUCCEEDED
    _clear(draft, key, Phase.ACTION)
    probing.call_off(draft, key)
    draft.emit(
        m.StepSettled(
            step=key.step,
            item=key.item,
            outcome=outcome,
            output=output if has_happened else None,
            reference=reference,
            passes_pivot=has_happened and key.step == draft.definition.pivot,
            is_late=is_late,
        )
    )
    if has_happened:
        forward.after_success(draft, key)
        return
    if draft.state.direction is Direction.FORWARD or draft.definition.choreography is not None:
        forward.fail(draft, key, outcome, error)
        return
    draft.emit(m.StepFailed(step=key.step, item=key.item, outcome=outcome, code=error.code, message=error.message))
    backward.consider_earlier(draft, key)


# ---- give up ---------------------------------------------------------------


def give_up_refusal(definition: Definition, state: RunState, order: m.TakeOrder) -> str | None:
    """Return why nothing can be given up."""
    if why := items.misnamed(definition, state, order.step):
        return why
    if not _failed_compensations(state, order.step):
        about = f" of {order.step}" if order.step else ""
        return f"No compensation{about} has failed: there is nothing to give up."
    return None


def give_up(draft: Draft, order: m.TakeOrder) -> None:
    """Let stay behind what could not be undone."""
    for key in _failed_compensations(draft.state, order.step):
        _clear(draft, key, Phase.COMPENSATION)
        draft.emit(m.CompensationGivenUp(step=key.step, item=key.item))
        backward.consider_earlier(draft, key)


def _failed_compensations(state: RunState, step: str | None) -> list[StepKey]:
    return sorted(
        one.key
        for one in state.attention
        if one.phase is Phase.COMPENSATION and (step is None or step in {one.step, str(one.key)})
    )
