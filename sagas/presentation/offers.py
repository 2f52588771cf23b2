"""Orders in words, and which of them a page offers at one half of one step.

An offer is a hint, drawn from what a page has read anyway; whether an order
applies is decided by `sagas.core.orders`. A test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sagas.core import choreographed
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    OutcomeKind,
    Phase,
    RunStatus,
    StepStatus,
    Verb,
    WaitingFor,
)
from sagas.presentation import missing_code
from sagas.presentation.questions import mark_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagas.queries.run_detail import RunDetail, StepDetail

WORDS = {
    Verb.CANCEL: gettext_lazy("cancel"),
    Verb.RETRY: gettext_lazy("retry"),
    Verb.SKIP: gettext_lazy("skip"),
    Verb.SETTLE: gettext_lazy("settle"),
    Verb.GIVE_UP: gettext_lazy("give up"),
    Verb.PAUSE: gettext_lazy("pause"),
    Verb.RESUME: gettext_lazy("resume"),
    Verb.TERMINATE: gettext_lazy("terminate"),
    Verb.SIGNAL: gettext_lazy("signal"),
    Verb.APPROVE: gettext_lazy("answer"),
    Verb.REPORT: gettext_lazy("report"),
    Verb.UNDO: gettext_lazy("undo"),
    Verb.EVENT: gettext_lazy("event"),
}
ADDRESS_WORDS = {verb: verb.value.replace("_", "-") for verb in Verb}
_FINAL = {status.value for status in RunStatus if status.is_final}
_NOT_UNDONE_YET = {
    CompensationStatus.NONE.value,
    CompensationStatus.PENDING.value,
    CompensationStatus.NOT_NEEDED.value,
}
_ENDED = {StepStatus.SUCCEEDED.value, StepStatus.SKIPPED.value}
_SKIPPABLE = {StepStatus.PENDING.value, StepStatus.FAILED.value, StepStatus.RETRYING.value}


@dataclass(frozen=True, slots=True)
class Offer:
    """A button: what it says, where it leads; `asks` is the mark of the group whom it is for, else operators."""

    verb: Verb
    phase: Phase
    label: str
    url: str
    asks: str = ""


def verb_words(verb: object) -> str:
    """Name an order as people do; one of a later release is shown by its raw name."""
    text = str(verb)
    return str(WORDS[Verb(text)]) if text in set(Verb) else text.replace("_", " ")


def likeliest(detail: RunDetail, allowed: Sequence[Verb]) -> str:
    """Return the one order that most likely helps, as its address has it; empty when the run needs no help."""
    is_unknown = any(step.status == StepStatus.IN_DOUBT.value for step in detail.steps if _is_open(detail, step))
    by_need: tuple[Verb, ...]
    by_need = (Verb.SETTLE, Verb.RESUME, Verb.RETRY) if is_unknown else (Verb.RESUME, Verb.RETRY, Verb.SETTLE)
    if detail.run.status != RunStatus.NEEDS_ATTENTION.value and not detail.run.is_paused:
        by_need = (Verb.APPROVE, *by_need)  # what is retried goes on by itself; a question does not
    return next((ADDRESS_WORDS[verb] for verb in by_need if verb in allowed), "")


def offers_of(detail: RunDetail, step: StepDetail) -> tuple[Offer, ...]:
    """Return what a person may order for this step alone, the likeliest first."""
    labels = {
        Verb.RETRY: _("Retry now"),
        Verb.SETTLE: _("Settle…"),
        Verb.SKIP: _("Skip…"),
        Verb.GIVE_UP: _("Give up…"),
        Verb.SIGNAL: _("Send signal…"),
    }
    found: list[Offer] = []
    for phase in (Phase.ACTION, Phase.COMPENSATION):
        for verb, label in labels.items():
            if applies(detail, step, verb, phase):
                query = {"step": step.key} | ({"phase": phase.value} if verb is Verb.SETTLE else {})
                if verb is Verb.SIGNAL and step.wait is not None:
                    query = {"signal": step.wait.signal}
                url = f"{reverse('sagas:run-action', args=[detail.run.id, ADDRESS_WORDS[verb]])}?{urlencode(query)}"
                found.append(Offer(verb, phase, label, url))
    return tuple(found)


def answers_of(detail: RunDetail, step: StepDetail) -> tuple[Offer, ...]:
    """Return the yes and the no to what a step asks, for whom it asks; nothing of a step that asks nobody."""
    if not applies(detail, step, Verb.APPROVE):
        return ()
    labels = {OutcomeKind.SUCCEEDED: _("Approve…"), OutcomeKind.REJECTED: _("Decline…")}
    return tuple(
        Offer(Verb.APPROVE, Phase.ACTION, label, answer_address(detail, outcome.value, step), mark_of(detail, step))
        for outcome, label in labels.items()
    )


def answer_address(detail: RunDetail, outcome: str, step: StepDetail) -> str:
    """Return where a yes or a no to one step is confirmed."""
    query = urlencode({"step": step.key, "outcome": outcome})
    return f"{reverse('sagas:run-action', args=[detail.run.id, ADDRESS_WORDS[Verb.APPROVE]])}?{query}"


def applies(detail: RunDetail, step: StepDetail, verb: Verb, phase: Phase = Phase.ACTION) -> bool:
    """Whether an order about one half of one step seems to apply."""
    if detail.run.status in _FINAL or missing_code.is_of_version(detail):
        return False
    is_undo = phase is Phase.COMPENSATION
    if detail.run.watch is not None and choreographed.refusal(verb):
        return False
    if step.tally is not None:
        return _applies_to_list(detail, step, verb, is_undo=is_undo)
    match verb:
        case Verb.RETRY:
            return not detail.run.is_paused and (_waits_for_undo(step) if is_undo else _waits(detail, step))
        case Verb.SETTLE:
            return step.compensation_status == CompensationStatus.FAILED.value if is_undo else _is_open(detail, step)
        case Verb.SKIP:
            return not is_undo and _can_skip(detail, step)
        case Verb.GIVE_UP:
            return is_undo and _needs_person(detail, step, phase)
        case Verb.APPROVE:
            return not is_undo and _waits_for(step, WaitingFor.APPROVAL)
        case Verb.SIGNAL:
            return not is_undo and _waits_for(step, WaitingFor.SIGNAL)
    return False


def _waits_for(step: StepDetail, kind: WaitingFor) -> bool:
    return step.wait is not None and step.wait.kind == kind.value


def _applies_to_list(detail: RunDetail, step: StepDetail, verb: Verb, *, is_undo: bool) -> bool:
    """Whether an order about a list as a whole seems to apply: most are about one of its items."""
    match verb:
        case Verb.RETRY:
            return not detail.run.is_paused and any(
                one.item != NO_ITEM
                and one.plan.name == step.plan.name
                and (_waits_for_undo(one) if is_undo else _waits(detail, one))
                for one in detail.steps
            )
        case Verb.SKIP:
            in_doubt = step.count(lambda status, _undo: status == StepStatus.IN_DOUBT.value)
            return not is_undo and step.status == StepStatus.FAILED.value and not in_doubt and _can_skip(detail, step)
        case Verb.GIVE_UP:
            return is_undo and any(
                one.item != NO_ITEM
                and one.plan.name == step.plan.name
                and _needs_person(detail, one, Phase.COMPENSATION)
                for one in detail.steps
            )
    return False


def _waits(detail: RunDetail, step: StepDetail) -> bool:
    if detail.run.is_turning:
        return False
    is_retrying = step.status == StepStatus.RETRYING.value and detail.run.direction == Direction.FORWARD.value
    return is_retrying or _needs_person(detail, step, Phase.ACTION)


def _waits_for_undo(step: StepDetail) -> bool:
    return step.compensation_status in {CompensationStatus.RETRYING.value, CompensationStatus.FAILED.value}


def _is_open(detail: RunDetail, step: StepDetail) -> bool:
    """Whether only a person can say what became of the action."""
    if step.compensation_status not in _NOT_UNDONE_YET or step.compensations:
        return False
    return (
        step.status == StepStatus.IN_DOUBT.value
        or (step.status == StepStatus.RETRYING.value and step.is_unsettled)
        or (step.status == StepStatus.RUNNING.value and step.is_asking)
        or (step.status == StepStatus.FAILED.value and _needs_person(detail, step, Phase.ACTION))
    )


def _can_skip(detail: RunDetail, step: StepDetail) -> bool:
    run = detail.run
    if run.is_turning or run.direction != Direction.FORWARD.value or step.plan.is_pivot:
        return False
    if run.status != RunStatus.NEEDS_ATTENTION.value and not run.is_paused:
        return False
    is_unknown = step.status == StepStatus.RETRYING.value and step.is_unsettled
    if step.item != NO_ITEM and any(
        whole.status in _ENDED for whole in detail.wholes if whole.plan.name == step.plan.name
    ):
        return False
    return step.status in _SKIPPABLE and not is_unknown


def _needs_person(detail: RunDetail, step: StepDetail, phase: Phase) -> bool:
    return any(
        (one.get("step"), one.get("item", NO_ITEM), one.get("phase")) == (step.plan.name, step.item, phase.value)
        for one in detail.run.attention or ()
        if isinstance(one, dict)
    )
