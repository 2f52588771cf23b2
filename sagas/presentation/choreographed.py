"""Why a choreographed run is where it is: what is expected, from whom, and what a person must look at."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.reactions import EVENT_LOOP, OVERDUE, SPENT, UNANSWERED
from sagas.core.vocabulary import CompensationStatus, RunStatus, StepStatus, WaitingFor
from sagas.presentation.answer import Help, Why, help_about
from sagas.presentation.format import duration
from sagas.presentation.sentence import Age, Sentence, listed, message_in, say
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from sagas.queries.run_detail import RunDetail, StepDetail


def cause(detail: RunDetail) -> Sentence | None:
    """Say which event turned the run; None when none did."""
    reason = detail.run.reason if isinstance(detail.run.reason, dict) else {}
    if reason.get("cause") != "event":
        return None
    step = detail.turned_at
    if step is None:
        return say(_("%(type)s came."), type=reason.get("code", "?"))
    template = _("“%(step)s” was refused (%(type)s): %(message)s.") if step.error else _("“%(step)s” told %(type)s.")
    return say(template, step=step.plan.title, type=reason.get("code", "?"), message=message_in(step.error))


def attention(detail: RunDetail, now: datetime) -> Why | None:
    """Say what a person must decide in a run that nobody commands."""
    run = detail.run
    if run.watch is None or run.status != RunStatus.NEEDS_ATTENTION.value:
        return None
    asked = [one for one in run.attention if isinstance(one, dict)]
    first = next((one for one in asked if one.get("step")), None)
    if first is None:
        if not any(one.get("code") == OVERDUE for one in asked):
            return None
        return Why("overdue", (say(_("It has not ended by its deadline.")), *missing(detail, now)), Tone.CRITICAL,
                   "diamond", (_events_of(detail),))  # fmt: skip
    step = detail.find_named(first)
    if step is None:
        return None
    return Why("decision", _asked(step, str(first.get("code", ""))), Tone.CRITICAL, "diamond",
               (help_about(detail, step),))  # fmt: skip


def _asked(step: StepDetail, code: str) -> tuple[Sentence, ...]:
    title, message = step.plan.title, message_in(step.error)
    if code == EVENT_LOOP:
        return (
            say(
                _("“%(step)s” was not begun: too many events follow from each other, so they seem to go round."),
                step=title,
            ),
            say(_("Retry it to let it go on all the same; or terminate the run.")),
        )
    if code == UNANSWERED:
        return (
            say(_("“%(step)s” was refused, and no event tells the others: %(message)s."), step=title, message=message),
            say(_("Retry it, or settle it by hand.")),
        )
    if code == SPENT:
        return (
            say(_("“%(step)s” failed and has stopped: %(message)s."), step=title, message=message),
            say(_("Retry it; or settle it: as succeeded or as refused, which is then told to the others.")),
        )
    return (
        say(_("Nobody can say whether “%(step)s” happened: %(message)s."), step=title, message=message),
        say(_("Find out and settle it, which is then told to the others; or retry it under the same key.")),
    )


def waiting(detail: RunDetail, now: datetime) -> Why | None:
    """Say which events are expected, and from whom."""
    if detail.run.watch is None or detail.run.finished_at is not None:
        return None
    found = missing(detail, now)
    if not found:
        return None
    is_back = detail.run.status == RunStatus.COMPENSATING.value
    first = cause(detail) if is_back else None
    sentences = (first, *found) if first is not None else found
    return Why("await_event", sentences, Tone.COMPENSATION if is_back else Tone.PROGRESS,
               "undo-2" if is_back else "hourglass", (_events_of(detail),))  # fmt: skip


def missing(detail: RunDetail, now: datetime) -> tuple[Sentence, ...]:
    """Say what is missing: events of services that act by themselves, undos, or the end itself."""
    waits = [step for step in detail.runs if step.wait is not None and step.wait.kind == WaitingFor.EVENT.value]
    if waits:
        return tuple(sentence for step in waits[:2] for sentence in _expected(step, now)) + _more(waits[2:])
    if any(step.in_flight() is not None or step.status == StepStatus.RETRYING.value for step in detail.runs):
        return ()
    watch: dict[str, Any] = detail.run.watch or {}
    left = [step.plan.title for step in detail.wholes if step.compensation_status == CompensationStatus.PENDING.value]
    if left and watch.get("is_compensated"):
        template = ngettext(
            "%(steps)s was done, and nobody has told that it is undone.",
            "%(steps)s were done, and nobody has told that they are undone.",
            len(left),
        )
        return (say(template, steps=listed(left)),)
    if watch.get("undone_first"):
        template = _("%(steps)s was undone, and nobody has told that it was done.")
        return (say(template, steps=listed([str(one) for one in watch["undone_first"]])),)
    if not any(step.status == StepStatus.PENDING.value and step.started_at for step in detail.runs):
        template = _("No reaction is under way, and no event has ended it. The last event came %(age)s ago.")
        return (say(template, age=Age(detail.run.updated_at, now)),)
    return ()


def _expected(step: StepDetail, now: datetime) -> list[Sentence]:
    plan, wait = step.plan.reaction, step.wait
    if plan is None or wait is None:
        return []
    kinds = _(" or ").join(kind for kind in plan.emits if kind)
    template = _("Waiting for %(types)s from %(service)s, for %(age)s.")
    found = [say(template, types=kinds, service=plan.service, age=Age(wait.since or now, now))]
    if plan.within_s is not None and wait.since is not None:
        left_s = plan.within_s - (now - wait.since).total_seconds()
        usual = say(_("It usually comes within %(within)s."), within=_length(plan.within_s))
        late = say(_("It usually comes within %(within)s: it is late."), within=_length(plan.within_s))
        found.append(usual if left_s > 0 else late)
    return found


def _length(seconds: float) -> str:
    return duration(timedelta(seconds=seconds))


def _more(steps: list[StepDetail]) -> tuple[Sentence, ...]:
    if not steps:
        return ()
    template = ngettext("%(count)s more is expected.", "%(count)s more are expected.", len(steps))
    return (say(template, count=len(steps)),)


def _events_of(detail: RunDetail) -> Help:
    return Help(_("See its events"), f"{reverse('sagas:event-list')}?run={detail.run.id}")
