"""A run's steps as its table shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import NO_ITEM, CompensationStatus, Phase, StepStatus, Verb
from sagas.presentation import lists, probes
from sagas.presentation.format import duration
from sagas.presentation.offers import answers_of, offers_of
from sagas.presentation.sentence import Left, Sentence, say
from sagas.presentation.status import Look, compensation_look, step_look
from sagas.presentation.waits import card_words
from sagas.queries.plan import Undo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sagas.presentation.offers import Offer
    from sagas.queries.run_detail import Attempt, RunDetail, StepDetail

STEPS_SHOWN_MAX = 200  # of one run on its page; the API has them all
_MATTERS = {
    StepStatus.RUNNING.value, StepStatus.WAITING.value, StepStatus.RETRYING.value, StepStatus.FAILED.value,
    StepStatus.IN_DOUBT.value,
}  # fmt: skip
_UNDO_MATTERS = {
    CompensationStatus.RUNNING.value, CompensationStatus.WAITING.value, CompensationStatus.RETRYING.value,
    CompensationStatus.FAILED.value,
}  # fmt: skip
ATTEMPTS_SHOWN = 4  # of one half, the newest; the step's own page has them all


@dataclass(frozen=True, slots=True)
class ShownHalf:
    """The action or the compensation of one step."""

    look: Look | None
    words: str
    attempts: tuple[Attempt, ...]
    hidden: int
    told: tuple[Sentence, ...]  # when it is tried next; what it waits for, or how the wait ended
    offers: tuple[Offer, ...] = ()
    answers: tuple[Offer, ...] = ()  # to what it asks, for those whom it asks


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step."""

    step: StepDetail
    anchor: str
    action: ShownHalf
    undo: ShownHalf
    is_item: bool = False
    hidden_behind: int = 0  # items of the same list that are not shown, told behind the last one that is


def shown(step: StepDetail, now: datetime, offers: Sequence[Offer] = (), *, is_paused: bool = False) -> ShownStep:
    """Return how a step is shown in the table, with what may be ordered for it but for a retry."""
    offered = [offer for offer in offers if offer.verb is not Verb.RETRY]  # that button is above, for the whole run
    next_try = _next_try(step, now, is_paused=is_paused)
    waits = card_words(step, now, is_paused=is_paused)
    is_retrying = step.status == StepStatus.RETRYING.value
    is_undo_retrying = step.compensation_status == CompensationStatus.RETRYING.value
    return ShownStep(
        step,
        step.key.replace("[", "-").replace("]", ""),
        _half(
            step_look(step.status, step.last_outcome),
            "" if step.tally is None else lists.done_words(step.tally),
            tuple(sorted((*step.actions, *step.probes), key=lambda one: one.started_at)),
            next_try if is_retrying else waits,
            tuple(offer for offer in offered if offer.phase is Phase.ACTION),
        ),
        _half(
            compensation_look(step.compensation_status, step.last_undo_outcome) if step.is_undoing else None,
            undo_words(step) if step.item == NO_ITEM or step.is_undoing else "",  # else its list says that above
            step.compensations,
            next_try if is_undo_retrying else (),
            tuple(offer for offer in offered if offer.phase is Phase.COMPENSATION),
        ),
        is_item=step.item != NO_ITEM,
    )


def all_shown(detail: RunDetail, now: datetime) -> list[ShownStep]:
    """Return the rows of the table of a run; behind the last item of a list, how many more there are."""
    names = _names_shown(detail)
    steps = [step for step in detail.steps if names is None or step.plan.name in names]
    offered = ((step, (*offers_of(detail, step), *answers_of(detail, step))) for step in steps)
    rows = [shown(step, now, offers, is_paused=detail.run.is_paused) for step, offers in offered]
    hidden = 0
    for place, row in enumerate(rows):
        hidden = row.step.items_hidden or hidden
        is_last = place + 1 == len(rows) or not rows[place + 1].is_item
        if hidden and is_last:
            rows[place] = replace(row, hidden_behind=hidden)
            hidden = 0
    return rows


def _names_shown(detail: RunDetail) -> set[str] | None:
    """Return which steps are shown: of a long run those that matter and those around where it is; None: all."""
    wholes = detail.wholes
    if len(wholes) <= STEPS_SHOWN_MAX:
        return None
    matter = [place for place, step in enumerate(wholes) if _matters(step)][: STEPS_SHOWN_MAX // 2]
    moved = [(at, place) for place, step in enumerate(wholes) if (at := step.ended_at or step.started_at) is not None]
    newest = max(moved)[1] if moved else 0
    left = STEPS_SHOWN_MAX - len(matter)
    begin = max(0, min(newest - left // 2, len(wholes) - left))
    return {wholes[place].plan.name for place in (*matter, *range(begin, begin + left))}


def _matters(step: StepDetail) -> bool:
    return step.status in _MATTERS or step.compensation_status in _UNDO_MATTERS


def hidden_count(detail: RunDetail) -> int:
    """Return how many steps of a long run its page does not show."""
    return max(0, len(detail.wholes) - STEPS_SHOWN_MAX)


def undo_words(step: StepDetail) -> str:
    """Say what undoes a step, or why nothing does."""
    match step.plan.undo:
        case Undo.DECLARED if step.tally is not None and step.is_undoing:
            return f"{step.undo_title}: {lists.undone_words(step.tally)}"
        case Undo.DECLARED:
            return step.undo_title
        case Undo.AFTER_PIVOT if step.plan.is_pivot:
            return _("Cannot be undone: the point of no return")
        case _ if step.plan.wait is not None:
            return _("Nothing to undo: it only waits")
        case Undo.AFTER_PIVOT:
            return _("Cannot be undone: after the pivot")
        case _ if step.plan.reaction is not None and step.plan.reaction.undoes:
            return _("It undoes another one itself")
        case Undo.READS_ONLY:
            return _("No compensation declared: it changes nothing")
        case _:
            return _("No compensation needed")


def policy_words(attempts_max: int | None, timeout_s: float | None) -> str:
    """Say a retry policy in words."""
    tries = (
        _("Tried until it works.")
        if attempts_max is None
        else _("Tried at most %(count)s times.") % {"count": attempts_max}
    )
    return tries if timeout_s is None else f"{tries} " + _("Each try has %(time)s.") % {"time": duration(timeout_s)}


def _next_try(step: StepDetail, now: datetime, *, is_paused: bool) -> tuple[Sentence, ...]:
    if is_paused:
        return (say(_("held: the run is paused")),)
    if step.next_attempt_at is None:
        return ()
    if step.is_asking:
        return probes.next_question(step.next_attempt_at, now)
    if step.next_attempt_at <= now:
        return (say(_("next try is due")),)
    return (say(_("next try in %(left)s"), left=Left(step.next_attempt_at, now)),)


def _half(
    look: Look | None,
    words: str,
    attempts: tuple[Attempt, ...],
    told: tuple[Sentence, ...],
    offers: tuple[Offer, ...],
) -> ShownHalf:
    return ShownHalf(
        look, words, attempts[-ATTEMPTS_SHOWN:], max(len(attempts) - ATTEMPTS_SHOWN, 0), told, *_sorted(offers)
    )


def _sorted(offers: tuple[Offer, ...]) -> tuple[tuple[Offer, ...], tuple[Offer, ...]]:
    """Tell what operators may order from what those who are asked may answer."""
    return tuple(offer for offer in offers if not offer.asks), tuple(offer for offer in offers if offer.asks)
