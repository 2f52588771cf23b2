"""Parts that several answers of `why.py` share: why a run turned, what was undone, what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.arrivals import DECLINED
from sagas.core.outcome import TIMED_OUT
from sagas.core.vocabulary import CompensationStatus, StepStatus, Verb
from sagas.presentation import choreographed
from sagas.presentation.lists import titles_of
from sagas.presentation.sentence import Age, Left, Sentence, listed, message_in, say
from sagas.queries.plan import Undo

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from typing import Any

    from sagas.queries.run_detail import Attempt, RunDetail, StepDetail

_UNDONE = {CompensationStatus.SUCCEEDED.value, CompensationStatus.SETTLED.value}
_DECIDED = _UNDONE | {CompensationStatus.GIVEN_UP.value}


def cause(detail: RunDetail) -> Sentence:
    """Say why the run turned round."""
    return choreographed.cause(detail) or _cause(detail)


def _cause(detail: RunDetail) -> Sentence:
    reason = detail.run.reason if isinstance(detail.run.reason, dict) else {}
    step = detail.turned_at
    title = step.plan.title if step else str(reason.get("step", ""))
    match reason.get("cause"):
        case "cancel":
            return say(_("Cancelled by %(by)s."), by=reason.get("by", "?"))
        case "deadline":
            return say(_("The deadline of the run passed."))
        case "parent":
            return say(_("Undone with %(by)s, which it belongs to."), by=reason.get("by", "?"))
        case "in_doubt":
            return say(_("Nobody could say whether “%(step)s” happened."), step=title)
        case "terminate":
            return say(_("Terminated by %(by)s."), by=reason.get("by") or "?")
        case "step_failed" if reason.get("code") == "settled":
            return say(_("A person said that “%(step)s” did not happen: %(message)s."), step=title,
                       message=message_in(reason))  # fmt: skip
        case "step_failed" if step is not None and step.plan.wait is not None:
            return _wait_cause(step, reason)
        case "step_failed" if reason.get("outcome") == "rejected":
            return say(_("“%(step)s” was rejected: %(message)s."), step=title, message=message_in(reason))
        case "step_failed":
            return say(_("“%(step)s” failed: %(message)s."), step=title, message=message_in(reason))
        case _:
            return say(_("The run turned round."))


def _wait_cause(step: StepDetail, reason: Mapping[str, Any]) -> Sentence:
    """Say how a wait came to nothing: nothing came in time, somebody declined, or nobody could say until when."""
    title = step.plan.title
    if reason.get("code") == DECLINED:
        comment = message_in(reason).partition(": ")[2]
        by = step.waited.by if step.waited is not None else ""
        if not by:
            return say(_("“%(step)s” was declined: %(message)s."), step=title, message=message_in(reason))
        template = _("%(by)s declined “%(step)s”: %(comment)s.") if comment else _("%(by)s declined “%(step)s”.")
        return say(template, by=by, step=title, comment=comment)
    if reason.get("code") != TIMED_OUT or step.plan.wait is None:
        return say(_("“%(step)s” failed: %(message)s."), step=title, message=message_in(reason))
    if step.plan.wait.signal:
        template = _("The signal “%(signal)s” did not come in time for “%(step)s”.")
        return say(template, signal=step.plan.wait.signal, step=title)
    return say(_("Nobody answered “%(step)s” in time."), step=title)


def undone(detail: RunDetail, *, says_nothing: bool = True) -> tuple[Sentence, ...]:
    """Say what was undone, in the order of undoing; that it was nothing, unless `says_nothing` is false."""
    found = sorted(detail.wholes, key=lambda step: _undone_at(detail, step))
    by_hand = titles_of(found, lambda _status, undo: undo == CompensationStatus.SETTLED.value)
    by_us = titles_of(found, lambda _status, undo: undo == CompensationStatus.SUCCEEDED.value)
    sentences = []
    if by_us:
        template = ngettext("%(steps)s was undone.", "%(steps)s were undone.", len(by_us))
        sentences.append(say(template, steps=listed(by_us)))
    if by_hand:
        template = ngettext("%(steps)s was undone by hand.", "%(steps)s were undone by hand.", len(by_hand))
        sentences.append(say(template, steps=listed(by_hand)))
    if not by_hand and not by_us and says_nothing:
        sentences.append(say(_("Nothing had been done, so nothing was left to undo.")))
    return tuple(sentences)


def left_out(detail: RunDetail) -> tuple[Sentence, ...]:
    """Say which steps were left out, and why: a person said so, none was needed, nothing came in time."""
    titles: dict[str, list[str]] = {}
    for whole in detail.wholes:
        titles.setdefault(_why_left_out(detail, whole), []).extend(
            titles_of([whole], lambda status, _undo: status == StepStatus.SKIPPED.value)
            if whole.status != StepStatus.SKIPPED.value
            else [whole.plan.title]
        )
    return tuple(say(_left_out_words(why, len(found)), steps=listed(found)) for why, found in titles.items() if found)


def _why_left_out(detail: RunDetail, whole: StepDetail) -> str:
    """Return why a step was left out, or the items of a list."""
    if whole.tally is None or whole.status == StepStatus.SKIPPED.value:
        return whole.left_out
    items = (one.left_out for one in detail.runs if one.plan.name == whole.plan.name and one.left_out)
    return next(items, TIMED_OUT if whole.plan.wait is not None else "person")


def _left_out_words(cause: str, count: int) -> str:
    match cause:
        case "person":
            return ngettext("%(steps)s was skipped by a person.", "%(steps)s were skipped by a person.", count)
        case "condition":
            return ngettext("%(steps)s was not needed.", "%(steps)s were not needed.", count)
        case "timed_out":
            return ngettext(
                "Nothing came for %(steps)s in time, so the run went on without it.",
                "Nothing came for %(steps)s in time, so the run went on without them.",
                count,
            )
    return ngettext("%(steps)s was left out.", "%(steps)s were left out.", count)


def _undone_at(detail: RunDetail, step: StepDetail) -> datetime:
    """Return when undoing a step was last begun; of a list, the first of the items that are shown."""
    runs = [one for one in detail.runs if one.plan.name == step.plan.name]
    return min((one.compensations[-1].started_at for one in runs if one.compensations), default=detail.run.created_at)


def given_up(detail: RunDetail) -> Sentence:
    """Say what stays because a person gave up undoing it, and who."""
    given = titles_of(detail.wholes, lambda _status, undo: undo == CompensationStatus.GIVEN_UP.value)
    titles = listed(given)
    order = _last_order(detail, Verb.GIVE_UP)
    template = _("Undoing %(steps)s was given up by %(by)s: %(message)s. What it did stays behind.")
    if not order.get("reason"):
        template = _("Undoing %(steps)s was given up by %(by)s. What it did stays behind.")
    return say(
        template,
        steps=titles,
        by=order.get("by") or _("a person"),
        message=message_in({"message": order.get("reason")}),
    )


def stays(detail: RunDetail) -> tuple[Sentence, ...]:
    """Say what stays in place because nothing undoes it."""
    certain, perhaps = _by_certainty(detail, _DECIDED)
    sentences = []
    if certain:
        template = ngettext(
            "%(steps)s has no compensation and stays.", "%(steps)s have no compensation and stay.", len(certain)
        )
        sentences.append(say(template, steps=listed(certain)))
    if perhaps:
        template = _("If %(steps)s happened after all, it stays: it has no compensation.")
        sentences.append(say(template, steps=listed(perhaps)))
    return tuple(sentences)


def left_behind(detail: RunDetail) -> tuple[Sentence, ...]:
    """Say what stays in place because the run was stopped."""
    certain, perhaps = _by_certainty(detail, _UNDONE)
    sentences = []
    if certain:
        template = ngettext("%(steps)s stays behind.", "%(steps)s stay behind.", len(certain))
        sentences.append(say(template, steps=listed(certain)))
    if perhaps:
        template = _("Nobody knows whether %(steps)s happened; if so, it stays behind too.")
        sentences.append(say(template, steps=listed(perhaps)))
    return tuple(sentences) or (say(_("Nothing stays behind.")),)


def paused_by(detail: RunDetail) -> Sentence:
    """Say who paused the run, and why."""
    order = _last_order(detail, Verb.PAUSE)
    if not order.get("by"):
        return say(_("Paused by a person."))
    if not order.get("reason"):
        return say(_("Paused by %(by)s."), by=order["by"])
    return say(_("Paused by %(by)s: %(message)s."), by=order["by"], message=message_in({"message": order["reason"]}))


def also_paused(detail: RunDetail) -> tuple[Sentence, ...]:
    """Say of a run that needs a person that it is paused too."""
    if not detail.run.is_paused:
        return ()
    return (say(_("The run is paused too: nothing is sent before it is resumed.")),)


def _by_certainty(detail: RunDetail, gone: Collection[str]) -> tuple[list[str], list[str]]:
    """Return what surely and what perhaps happened and is not in one of the compensation statuses `gone`.

    What only reads, or waits, leaves nothing.
    """
    wrote = [whole for whole in detail.wholes if whole.plan.undo is not Undo.READS_ONLY and not _only_waits(whole)]
    certain = titles_of(wrote, lambda status, undo: status == StepStatus.SUCCEEDED.value and undo not in gone)
    return certain, titles_of(wrote, lambda status, undo: status == StepStatus.IN_DOUBT.value and undo not in gone)


def _only_waits(whole: StepDetail) -> bool:
    return whole.plan.wait is not None and not whole.plan.compensation


def _last_order(detail: RunDetail, verb: Verb) -> Mapping[str, Any]:
    """Return the newest order of this kind that was taken, from the journal."""
    taken = (entry.data for entry in reversed(detail.journal) if entry.kind == "order_taken")
    return next((data for data in taken if data.get("verb") == verb.value), {})


def is_waited_for(detail: RunDetail, attempt: Attempt, now: datetime) -> bool:
    """Whether somebody still holds the run and waits for the answer: neither time is up."""
    lease_until = detail.run.lease_until
    return attempt.times_out_at > now and (lease_until is None or lease_until > now)


def waited_for(detail: RunDetail, title: str, attempt: Attempt, now: datetime) -> list[Sentence]:
    """Say how long an answer has been waited for, and who takes over when nobody waits any more."""
    sent = {"step": title, "age": Age(attempt.started_at, now)}
    if is_waited_for(detail, attempt, now):
        template = _("“%(step)s” was sent %(age)s ago. Times out in %(left)s.")
        return [say(template, **sent, left=Left(attempt.times_out_at, now))]
    lease_until = detail.run.lease_until
    if lease_until is not None and lease_until > now:
        return [
            say(_("“%(step)s” was sent %(age)s ago and its time is up."), **sent),
            say(
                _("Its worker writes that down at once; if it has died, another takes the run over in %(left)s."),
                left=Left(lease_until, now),
            ),
        ]
    first = _("“%(step)s” was sent %(age)s ago, and no worker waits for its answer any more.")
    return [say(first, **sent), say(_("The next free worker takes the run over."))]
