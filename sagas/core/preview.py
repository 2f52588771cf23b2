"""What a cancel would do now: which compensations, in which order, with which input, and what stays behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core import backward
from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.draft import Draft
from sagas.core.expressions import ExpressionError
from sagas.core.orders import refusal
from sagas.core.redaction import input_of
from sagas.core.secret_text import scrubbed, secrets_of
from sagas.core.vocabulary import CompensationStatus, Json, Phase, StepKey, Verb

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.core.definition import Definition
    from sagas.core.state import RunState


@dataclass(frozen=True, slots=True)
class PlannedUndo:
    """One compensation that would run."""

    key: StepKey
    action: str
    input: Json = None
    error: str = ""  # why the input has no value, so that this compensation would fail
    is_certain: bool = True  # false: only if the attempt in flight turns out to have happened, or may have


@dataclass(frozen=True, slots=True)
class CancelPlan:
    """What would follow. `refusal` says why nothing would; then the rest is empty."""

    refusal: str = ""
    in_flight: tuple[StepKey, ...] = ()  # actions that are waited for first, or asked about by a probe
    undo: tuple[
        PlannedUndo, ...
    ] = ()  # in the order of starting; those with no order between them run beside each other
    stays: tuple[StepKey, ...] = ()  # happened, or may have, and has no compensation


def plan_cancel(definition: Definition, state: RunState, now: datetime) -> CancelPlan:
    """Return what cancelling the run would do if it were ordered `now`. Changes nothing."""
    order = m.TakeOrder(number=state.inbox_done + 1, verb=Verb.CANCEL, by="", now=now)
    why = refusal(definition, state, order)
    if why is not None:
        return CancelPlan(refusal=why)
    turned = decide(definition, state, order).state
    in_flight = tuple(sorted(key for key, phase in turned.open if phase is not Phase.COMPENSATION))
    if not turned.is_turning:
        happened = {
            key
            for key, step in turned.steps.items()
            if step.compensation_status is not CompensationStatus.NONE and not turned.is_list(key)
        }
    else:
        happened = set(backward.happened(turned, definition))
    draft = Draft(definition, turned, now, 0.5)
    by_name = definition.by_name
    ordered = sorted(happened | set(in_flight), key=lambda key: (-definition.rank[key.step], -key.item))
    undo = tuple(_planned(draft, key, is_certain=key in happened) for key in ordered if by_name[key.step].compensation)
    stays = tuple(key for key in reversed(ordered) if by_name[key.step].compensation is None)
    return CancelPlan(in_flight=in_flight, undo=undo, stays=stays)


def _planned(draft: Draft, key: StepKey, *, is_certain: bool) -> PlannedUndo:
    half = draft.half_of(key, Phase.COMPENSATION)
    known = draft.step(key).compensation
    redaction, root = draft.definition.redaction, input_of(key.step, Phase.COMPENSATION)
    if known.has_input:
        shown = redaction.masked(root, known.input)
        return PlannedUndo(key, half.action.name, shown, is_certain=is_certain)
    if not is_certain:  # its input may need what the action has yet to answer
        return PlannedUndo(key, half.action.name, is_certain=False)
    try:
        rendered = half.arguments.render(draft.scope(key, Phase.COMPENSATION))
        return PlannedUndo(key, half.action.name, redaction.masked(root, rendered))
    except ExpressionError as error:
        secrets = secrets_of(redaction, draft.state) if redaction else ()
        return PlannedUndo(key, half.action.name, error=scrubbed(str(error), secrets))
