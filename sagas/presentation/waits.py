"""What a step waits for, in words: why its run rests, on its card, on its node, in a definition."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.vocabulary import Direction, StepStatus, Verb, WaitingFor
from sagas.presentation.format import duration, length
from sagas.presentation.lists import named
from sagas.presentation.questions import asked_words
from sagas.presentation.sentence import At, Left, Sentence, listed, message_in, say

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sagas.core.vocabulary import Json
    from sagas.queries.plan import WaitPlan
    from sagas.queries.run_detail import RunDetail, StepDetail
    from sagas.queries.waits import Wait

QUESTIONS_TOLD_MAX = 2  # beside the first
KEPT_CHARACTERS_MAX = 120  # of the names of kept signals, in the head of a page
TIMER, SIGNAL, APPROVAL = WaitingFor.TIMER.value, WaitingFor.SIGNAL.value, WaitingFor.APPROVAL.value
ICONS: Mapping[str, str] = {TIMER: "timer", SIGNAL: "radio", APPROVAL: "user-round-check"}


# ---- why a run rests ---------------------------------------------------------


def why_it_waits(detail: RunDetail, step: StepDetail, now: datetime) -> tuple[Sentence, ...]:
    """Say what one step waits for, until when, what happens then, and what waits beside it."""
    wait = step.wait
    if wait is None:
        return ()
    return (
        *_what(detail, step, wait, now),
        *_how_long(detail, step, wait, now),
        *([say(_("The deadline of the run has passed."))] if detail.run.is_overdue else []),
        *_beside(detail, step),
    )


def _what(detail: RunDetail, step: StepDetail, wait: Wait, now: datetime) -> list[Sentence]:
    title = step.plan.title
    match wait.kind:
        case "approval":
            return [say(_("Waiting for a person to decide: “%(prompt)s”"), prompt=wait.prompt), _who(detail, wait)]
        case "signal":
            return [say(_("“%(step)s” waits for the signal “%(signal)s”."), step=title, signal=wait.signal)]
        case "timer" if wait.until is not None and wait.until > now:
            template = _("“%(step)s” sleeps until %(at)s, as the definition has it: %(left)s left.")
            rest = say(_("Then the run goes on by itself."))
            return [say(template, step=title, at=At(wait.until, now), left=Left(wait.until, now)), rest]
        case "timer":
            return [say(_("“%(step)s” has slept long enough. The next free worker goes on with the run."), step=title)]
    return [say(_("“%(step)s” waits: %(kind)s."), step=title, kind=wait.kind)]


def _beside(detail: RunDetail, step: StepDetail) -> list[Sentence]:
    """Say what else a run waits for; of many questions only how many."""
    titles: list[str] = []
    questions = 0
    for whole in detail.wholes:
        plan = whole.plan
        count = whole.count(lambda status, _undo: status == StepStatus.WAITING.value) if plan.wait else 0
        count -= plan.name == step.plan.name
        if plan.wait is not None and plan.wait.kind == APPROVAL:
            questions += max(count, 0)
        elif count > 0:
            titles.append(plan.title if whole.tally is None else named(plan.title, count))
    asked = [one.wait for one in detail.runs if one.wait and one.wait.kind == APPROVAL and one is not step]
    said = [_asks_too(wait) for wait in asked]
    if questions > QUESTIONS_TOLD_MAX:
        said = [say(_("%(count)s more questions wait too."), count=questions)]
    if titles:
        said.append(say(ngettext("%(steps)s waits too.", "%(steps)s wait too.", len(titles)), steps=listed(titles)))
    return said


def _asks_too(wait: Wait) -> Sentence:
    template = _("Another question waits too: “%(prompt)s” That takes %(who)s.")
    return say(template, prompt=wait.prompt, who=asked_words(wait.group))


def _who(detail: RunDetail, wait: Wait) -> Sentence:
    answer = next((order for order in detail.orders if order.verb == Verb.APPROVE.value), None)
    if answer is not None:
        return say(_("%(by)s has answered; the next free worker takes that up."), by=answer.by)
    return say(_("It takes %(who)s. Nobody has answered yet."), who=asked_words(wait.group))


def _how_long(detail: RunDetail, step: StepDetail, wait: Wait, now: datetime) -> list[Sentence]:
    if wait.kind == TIMER:
        return _deadline_first(detail, wait, now)
    if wait.until is None:
        return _deadline_first(detail, wait, now) or [say(_("It waits as long as it takes."))]
    if wait.until <= now:
        return [say(_("Its time is up: the next free worker ends the wait."))]
    first = say(_at_the_end(detail, step, wait), at=At(wait.until, now), left=Left(wait.until, now))
    return [first, *_deadline_first(detail, wait, now)]


def _at_the_end(detail: RunDetail, step: StepDetail, wait: Wait) -> str:
    is_signal = wait.kind == SIGNAL
    if step.plan.wait is not None and step.plan.wait.goes_on:
        return (
            _("If none comes by %(at)s (%(left)s left), the run goes on without it.")
            if is_signal
            else _("If nobody answers by %(at)s (%(left)s left), the run goes on without an answer.")
        )
    if detail.run.is_past_pivot:
        return (
            _("If none comes by %(at)s (%(left)s left), a person is asked how to go on: nothing is undone any more.")
            if is_signal
            else _("If nobody answers by %(at)s (%(left)s left), the run needs attention: nothing is undone any more.")
        )
    return (
        _("If none comes by %(at)s (%(left)s left), what was done is undone.")
        if is_signal
        else _("If nobody answers by %(at)s (%(left)s left), what was done is undone.")
    )


def _deadline_first(detail: RunDetail, wait: Wait, now: datetime) -> list[Sentence]:
    """Say that the run's deadline ends the wait, when it comes before the wait's own end."""
    run = detail.run
    deadline = run.deadline_at
    is_forward = run.direction == Direction.FORWARD.value and not run.is_past_pivot
    if deadline is None or deadline <= now or not is_forward or (wait.until is not None and wait.until <= deadline):
        return []
    template = _("The deadline of the run comes at %(at)s (%(left)s left): then what was done is undone.")
    return [say(template, at=At(deadline, now), left=Left(deadline, now))]


def while_paused(detail: RunDetail) -> list[Sentence]:
    """Say what a pause does to the waits of a run."""
    waits = [step.wait for step in detail.runs if step.wait is not None]
    said = [
        say(_("It still asks: “%(prompt)s” An answer is taken."), prompt=wait.prompt)
        for wait in waits
        if wait.kind == APPROVAL
    ][: QUESTIONS_TOLD_MAX + 1]
    if any(wait.until is not None and wait.kind != WaitingFor.CALLBACK.value for wait in waits):
        said.append(say(_("A wait whose time is up meanwhile ends when the run is resumed.")))
    return said


# ---- on the card of a step ---------------------------------------------------


def card_words(step: StepDetail, now: datetime, *, is_paused: bool = False) -> tuple[Sentence, ...]:
    """Say what a step waits for now, or how its wait ended; nothing of a step that neither waits nor was left out."""
    if step.wait is not None:
        return (_now(step.wait), *_until(step.wait, now, is_paused=is_paused))
    if step.status == StepStatus.SKIPPED.value:
        return _left_out(step)
    if step.waited is None:
        return ()
    if step.status == StepStatus.FAILED.value:
        return (say("%(message)s.", message=message_in(step.error)),)
    return _came(step, step.waited) if step.status == StepStatus.SUCCEEDED.value else ()


def _now(wait: Wait) -> Sentence:
    match wait.kind:
        case "approval":
            return say(_("“%(prompt)s” It takes %(who)s."), prompt=wait.prompt, who=asked_words(wait.group))
        case "signal":
            return say(_("for the signal “%(signal)s”"), signal=wait.signal)
        case "callback":
            return say(_("for %(by)s to call back"), by=wait.by or "?")
        case "timer":
            return say(_("sleeping"))
    return say("%(kind)s", kind=wait.kind)


def _until(wait: Wait, now: datetime, *, is_paused: bool) -> list[Sentence]:
    if wait.until is None:
        return [say(_("no time-out"))]
    if wait.until > now:
        return [say(_("until %(at)s, %(left)s left"), at=At(wait.until, now), left=Left(wait.until, now))]
    return [say(_("its time is up; held: the run is paused") if is_paused else _("its time is up"))]


def _left_out(step: StepDetail) -> tuple[Sentence, ...]:
    match step.left_out:
        case "condition":
            return (say(_("its condition is false")),)
        case "person":
            return (say(_("a person went on without it")),)
        case "timed_out":
            return (say(_("nothing came in time, and the run went on without it")),)
        case "turn":
            return (say(_("stopped waiting: the run turned round")),)
        case "terminated":
            return (say(_("stopped waiting: the run was terminated")),)
    return ()


def _came(step: StepDetail, waited: Wait) -> tuple[Sentence, ...]:
    match waited.kind:
        case "timer":
            return ()
        case "signal":
            return (say(_("the signal “%(signal)s” came from %(by)s"), signal=waited.signal, by=waited.by or "?"),)
        case "event":
            return (say(_("%(by)s published it"), by=waited.by or "?"),)
    comment = str(step.output.get("comment") or "") if isinstance(step.output, dict) else ""
    template = _("approved by %(by)s: %(comment)s") if comment else _("approved by %(by)s")
    return (say(template, by=waited.by or "?", comment=comment),)


def kept_words(signals: Json) -> str:
    """Say which signals no step has taken yet; empty when there are none."""
    found = signals if isinstance(signals, list) else []
    names = Counter(str(one.get("name")) for one in found if isinstance(one, dict))
    if not names:
        return ""
    listed_names = ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in names.items())
    template = ngettext("%(count)d signal kept: %(names)s", "%(count)d signals kept: %(names)s", names.total())
    return Truncator(template % {"count": names.total(), "names": listed_names}).chars(KEPT_CHARACTERS_MAX)


# ---- in the picture ----------------------------------------------------------


def node_words(wait: Wait) -> str:
    """Name the state of a step that waits, in a word or two."""
    match wait.kind:
        case "approval":
            return _("Waits for answer")
        case "signal":
            return _("Waits for signal")
        case "callback":
            return _("Waits for callback")
        case "timer":
            return _("Sleeping")
    return _("Waiting")


def waited_words(step: StepDetail) -> str:
    """Say how long a wait took that is over; nothing for another step."""
    if step.waited is None or step.waited.since is None or step.ended_at is None:
        return ""
    return duration(step.ended_at - step.waited.since)


def plan_facts(plan: WaitPlan) -> tuple[str, ...]:
    """Return the second line of a node of a definition: what is waited for, and how long."""
    kinds = {TIMER: _("timer"), SIGNAL: _("signal"), APPROVAL: _("approval")}
    kind = kinds.get(plan.kind, plan.kind)
    if plan.kind == TIMER:
        return (kind, _("until a moment") if plan.length_s is None else length(plan.length_s))
    if plan.timeout_s is None:
        return (kind, _("no time-out"))
    return (kind, _("%(time)s at most") % {"time": length(plan.timeout_s)})


# ---- in a definition ---------------------------------------------------------


def plan_words(plan: WaitPlan) -> str:
    """Say what a step waits for by its document, how long, and what happens then."""
    match plan.kind:
        case "timer" if plan.length_s is not None:
            return _("Sleeps %(time)s; no worker is held.") % {"time": length(plan.length_s)}
        case "timer":
            return _("Sleeps until %(moment)s; no worker is held.") % {"moment": plan.moment}
        case "signal":
            first = _("Waits for the signal “%(signal)s”.") % {"signal": plan.signal}
        case _:
            first = _("Asks %(who)s.") % {"who": asked_words(plan.group)}
    return f"{first} {_timeout_words(plan)}"


def _timeout_words(plan: WaitPlan) -> str:
    if plan.timeout_s is None:
        return _("It waits as long as the run may last.")
    if plan.goes_on:
        return _("After %(time)s the run goes on without it.") % {"time": length(plan.timeout_s)}
    return _("After %(time)s it fails.") % {"time": length(plan.timeout_s)}
