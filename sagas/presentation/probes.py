"""In words: what a probe is asked and says, what came too late, and what hangs because of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from sagas.core.late_reports import HANGING
from sagas.core.limits import PROBE_TRIES_MAX
from sagas.core.vocabulary import NO_ITEM, OutcomeKind, Phase
from sagas.presentation import clauses
from sagas.presentation.answer import Why, help_about
from sagas.presentation.format import duration
from sagas.presentation.sentence import Left, Sentence, listed, say
from sagas.presentation.status import Look, Tone, outcome_look

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sagas.queries.run_detail import Attempt, RunDetail, StepDetail

_ANSWERS = {
    OutcomeKind.SUCCEEDED.value: gettext_lazy("It happened"),
    OutcomeKind.REJECTED.value: gettext_lazy("Rejected"),
    OutcomeKind.FAILED.value: gettext_lazy("Never happened"),
    OutcomeKind.UNKNOWN.value: gettext_lazy("Cannot say"),
}
_ENTRIES = {
    OutcomeKind.SUCCEEDED.value: gettext_noop("The probe says that “%(step)s” happened (asked %(number)s)"),
    OutcomeKind.REJECTED.value: gettext_noop("The probe says that “%(step)s” was rejected: %(message)s"),
    OutcomeKind.FAILED.value: gettext_noop("The probe says that “%(step)s” never happened (asked %(number)s)"),
    OutcomeKind.UNKNOWN.value: gettext_noop("The probe could not say whether “%(step)s” happened: %(message)s"),
}
_LATE = {
    OutcomeKind.SUCCEEDED.value: gettext_noop("“%(step)s” answered late: it succeeded (try %(number)s)"),
    OutcomeKind.REJECTED.value: gettext_noop("“%(step)s” answered late: it was rejected (try %(number)s): %(message)s"),
    OutcomeKind.FAILED.value: gettext_noop("“%(step)s” answered late: it had no effect (try %(number)s): %(message)s"),
}


def attempt_look(attempt: Attempt) -> Look:
    """Return how the end of an attempt looks: what a probe said is in words of its own."""
    look = outcome_look(attempt.outcome)
    if attempt.phase != Phase.PROBE.value:
        return look
    return Look(look.value, _ANSWERS.get(attempt.outcome, look.label), look.tone, look.icon)


# ---- lines of the journal ----------------------------------------------------


def started_template(data: Mapping[str, Any]) -> str:
    """Return the sentence of an attempt that began."""
    if data.get("phase") == Phase.PROBE.value:
        return _("Asked the probe whether “%(step)s” happened (asked %(number)s)")
    return _("Sent “%(step)s” (try %(number)s)")


def answered_template(data: Mapping[str, Any]) -> str:
    """Return the sentence of an answer of a probe."""
    return _(_ENTRIES.get(str(data.get("outcome")), _ENTRIES[OutcomeKind.UNKNOWN.value]))


def again_template(data: Mapping[str, Any]) -> str:
    """Return the sentence of a next attempt."""
    if data.get("phase") == Phase.PROBE.value:
        return _("The probe is asked about “%(step)s” again at %(time)s")
    return _("“%(step)s” is tried again at %(time)s")


def late_template(data: Mapping[str, Any]) -> str:
    """Return the sentence of a late report: what it says, and what is made of it."""
    said = _(_LATE.get(str(data.get("outcome")), _LATE[OutcomeKind.FAILED.value]))
    if data.get("settles"):
        return said
    if data.get("is_hanging"):
        return said + ". " + _("It hangs: the run had gone on as if it had not happened")
    return said + ". " + _("Kept as evidence: it changes nothing")


def settled_template(data: Mapping[str, Any]) -> str:
    """Return the sentence of a step that a late report settled."""
    if data.get("outcome") == OutcomeKind.SUCCEEDED.value:
        return _("“%(step)s” is settled by its late answer: it happened")
    return _("“%(step)s” is settled by its late answer: it did not happen")


# ---- why the run is where it is ------------------------------------------------


def asking(detail: RunDetail, now: datetime) -> Why | None:
    """Say that a probe is asked, or will be again; None when none is."""
    step = next((step for step in detail.runs if step.is_asking), None)
    if step is None:
        return None
    first = say(_("Nobody knows whether “%(step)s” happened, so its probe is asked."), step=step.plan.title)
    then = (say(_("Then what was done is undone.")),) if detail.run.is_turning else ()
    sentences = (first, *_waited_for(detail, step, now), *then)
    return Why("asking_probe", sentences, Tone.RETRY, "triangle", (help_about(detail, step),))


def _waited_for(detail: RunDetail, step: StepDetail, now: datetime) -> list[Sentence]:
    """Say how long its answer is waited for, or when it is asked next."""
    attempt = step.in_flight()
    if attempt is not None and clauses.is_waited_for(detail, attempt, now):
        return [say(_("It has %(left)s left to answer."), left=Left(attempt.times_out_at, now))]
    if attempt is not None:
        return clauses.waited_for(detail, _("Probe of %(step)s") % {"step": step.plan.title}, attempt, now)
    next_at = step.next_attempt_at or now
    params = {"left": Left(next_at, now), "number": step.probe_tries + 1, "most": PROBE_TRIES_MAX}
    if next_at > now:
        return [say(_("It could not say yet, and is asked again in %(left)s (%(number)s of %(most)s)."), **params)]
    return [say(_("It is due to be asked (%(number)s of %(most)s): the next free worker does."), **params)]


def policy_words(timeout_s: float | None) -> str:
    """Say when a probe is asked, and how often."""
    words = _("Asked when nobody knows whether the action happened, at most %(count)s times.") % {
        "count": PROBE_TRIES_MAX
    }
    return words if timeout_s is None else f"{words} " + _("Each time it has %(time)s.") % {"time": duration(timeout_s)}


def next_question(next_at: datetime, now: datetime) -> tuple[Sentence, ...]:
    """Say in the table of steps when the probe is asked next."""
    if next_at <= now:
        return (say(_("the probe is due to be asked")),)
    return (say(_("the probe is asked again in %(left)s"), left=Left(next_at, now)),)


def hanging(detail: RunDetail, step: StepDetail) -> tuple[Sentence, ...] | None:
    """Say of a failed undo that it hangs; None when it failed by itself."""
    needed = (step.plan.name, step.item, Phase.COMPENSATION.value, HANGING)
    if not any(
        (one.get("step"), one.get("item", NO_ITEM), one.get("phase"), one.get("code")) == needed
        for one in detail.run.attention or ()
        if isinstance(one, dict)
    ):
        return None
    return (
        say(_("“%(step)s” happened after all: its answer came when the run had gone back."), step=step.plan.title),
        say(_("So what it did is still in place, whatever an earlier undo came to.")),
        say(_("Retry undoes it again; or undo it by hand and settle it; or give it up and let it stay.")),
    )


def with_what_hangs(detail: RunDetail, why: Why) -> Why:
    """Add what a late answer says of a run that nothing moves any more."""
    if not detail.run.is_hanging:
        return why
    titles = [step.plan.title for step in detail.runs if step.hangs]
    named = listed(titles) if titles else _("a step")
    template = _(
        "%(steps)s happened after all: the answer came too late, and nothing undoes it. Look after it by hand."
    )
    return Why(why.code, (*why.sentences, say(template, steps=named)), Tone.CRITICAL, why.icon, why.helps)
