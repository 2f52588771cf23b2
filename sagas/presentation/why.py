"""Why a run is not moving, or how it ended: one sentence, from an ordered table of rules.

Rules are asked in order, causes before symptoms; the first that holds speaks.
Evaluated when a page is read, stored nowhere. Sentences are whole and named
parameters are filled in last, so that they can be translated.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sagas.core.vocabulary import CompensationStatus, Direction, Phase, RunStatus, StepStatus, WaitingFor
from sagas.presentation import before_service, callbacks, choreographed, clauses, missing_code, probes, waits
from sagas.presentation.answer import Help, Why, help_about
from sagas.presentation.format import duration
from sagas.presentation.lists import done_words, undone_words
from sagas.presentation.sentence import Age, Left, Sentence, message_in, say
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from sagas.queries.run_detail import Attempt, RunDetail, StepDetail

ENGINE_SILENT = timedelta(seconds=15)
UNEXPLAINED = timedelta(seconds=60)


def why(detail: RunDetail, now: datetime) -> Why:
    """Return why the run is where it is."""
    for rule in _RULES:
        found = rule(detail, now)
        if found is not None:
            return probes.with_what_hangs(detail, found)
    return _unexplained(detail, now)


# ---- what has ended ---------------------------------------------------------


def _completed(detail: RunDetail, _now: datetime) -> Why | None:
    run = detail.run
    if run.status != RunStatus.COMPLETED.value:
        return None
    skipped = [step for step in detail.wholes if step.status == StepStatus.SKIPPED.value]
    template = ngettext(
        "Completed in %(took)s: the one step succeeded.",
        "Completed in %(took)s: all %(count)s steps succeeded.",
        run.steps_total,
    )
    if skipped:
        template = _("Completed in %(took)s: %(done)s of %(count)s steps succeeded.")
    took = duration((run.finished_at or run.updated_at) - run.created_at)
    sentences = [say(template, took=took, count=run.steps_total, done=run.steps_total - len(skipped))]
    sentences += clauses.left_out(detail)
    if (run.reason or {}).get("cause") == "output":
        sentences.append(say(_("Its output could not be made: %(message)s."), message=message_in(run.reason)))
    return Why("completed", tuple(sentences), Tone.SUCCESS, "circle-check")


def _compensated(detail: RunDetail, _now: datetime) -> Why | None:
    if detail.run.status != RunStatus.COMPENSATED.value:
        return None
    sentences = (clauses.cause(detail), *clauses.undone(detail), *clauses.stays(detail))
    return Why("compensated", sentences, Tone.COMPENSATION, "square-arrow-left", _help_step(detail))


def _partly(detail: RunDetail, _now: datetime) -> Why | None:
    if detail.run.status != RunStatus.PARTIALLY_COMPENSATED.value:
        return None
    sentences = (
        clauses.cause(detail),
        *clauses.undone(detail, says_nothing=False),
        clauses.given_up(detail),
        *clauses.stays(detail),
    )
    return Why("partially_compensated", sentences, Tone.FAILURE, "square-minus", _help_step(detail))


def _terminated(detail: RunDetail, _now: datetime) -> Why | None:
    if detail.run.status != RunStatus.TERMINATED.value:
        return None
    reason = detail.run.reason if isinstance(detail.run.reason, dict) else {}
    first = (
        say(_("Terminated by %(by)s: %(message)s."), by=reason.get("by") or "?", message=message_in(reason))
        if reason.get("message")
        else say(_("Terminated by %(by)s."), by=reason.get("by") or "?")
    )
    sentences = (first, *clauses.undone(detail, says_nothing=False), *clauses.left_behind(detail))
    return Why("terminated", sentences, Tone.NEUTRAL, "ban")


# ---- what stands still ------------------------------------------------------


def _undo_failed(detail: RunDetail, _now: datetime) -> Why | None:
    failed = CompensationStatus.FAILED.value
    step = next((step for step in (*detail.runs, *detail.wholes) if step.compensation_status == failed), None)
    if step is None:
        return None
    if (hanging := probes.hanging(detail, step)) is not None:
        sentences = (*hanging, *clauses.also_paused(detail))
        return Why("hanging", sentences, Tone.CRITICAL, "diamond", (help_about(detail, step),))
    template = ngettext(
        "“%(undo)s” failed and has stopped: %(message)s.",
        "“%(undo)s” failed %(count)s times and has stopped: %(message)s.",
        step.compensation_attempts,
    )
    sentences = (
        say(template, undo=step.undo_title, count=step.compensation_attempts, message=message_in(step.error)),
        say(_("What “%(step)s” did is still in place."), step=step.plan.title),
        say(_("Clear the cause and retry it; or undo it by hand and settle it; or give it up and let it stay.")),
        *clauses.also_paused(detail),
    )
    return Why("compensation_failed", sentences, Tone.CRITICAL, "diamond", (help_about(detail, step),))


def _decision(detail: RunDetail, _now: datetime) -> Why | None:
    if detail.run.status != RunStatus.NEEDS_ATTENTION.value:
        return None
    step = detail.find_named(next((one for one in detail.run.attention if isinstance(one, dict)), None))
    if step is None:
        return Why("attention", (say(_("A person must decide before this can go on.")),), Tone.CRITICAL, "diamond")
    if step.status == StepStatus.IN_DOUBT.value:
        template = _("Nobody can say whether “%(step)s” happened: %(message)s.")
        rest = _("Find out and settle it; or retry it, which asks again under the same key.")
    else:
        template = _("“%(step)s” failed past the point of no return: %(message)s.")
        rest = _(
            "The run can only go forward: clear the cause and retry it; or do it by hand and settle it; or skip it."
        )
        if step.plan.wait is not None:
            rest = _("The run can only go forward: retry it, and it waits anew; or settle it by hand; or skip it.")
    sentences = (
        say(template, step=step.plan.title, message=message_in(step.error)),
        say(rest),
        *clauses.also_paused(detail),
    )
    return Why("decision", sentences, Tone.CRITICAL, "diamond", (help_about(detail, step),))


def is_engine_silent(beat: datetime | None, now: datetime) -> bool:
    """Whether no pump has reported for so long that none is at work; `beat` is the last report."""
    return beat is None or now - beat >= ENGINE_SILENT


def _engine_down(detail: RunDetail, now: datetime) -> Why | None:
    beat = detail.last_beat_at
    if not is_engine_silent(beat, now):
        return None
    if beat is None:
        first = say(_("No engine is running."))
    else:
        first = say(_("The engine has not reported for %(age)s."), age=Age(beat, now))
    rest = say(_("No saga can move until one does. Nothing is lost."))
    return Why("engine_down", (first, rest), Tone.FAILURE, "octagon-x")


def _paused(detail: RunDetail, _now: datetime) -> Why | None:
    if not detail.run.is_paused:
        return None
    sentences = [clauses.paused_by(detail), say(_("Nothing new is sent until somebody resumes it."))]
    if detail.run.is_turning or detail.run.direction == Direction.BACKWARD.value:
        sentences.append(say(_("Undoing what was done waits for that too.")))
    sentences.append(say(_("Time-outs of attempts in flight and the deadline still count.")))
    sentences += waits.while_paused(detail)
    return Why("paused_run", tuple(sentences), Tone.NEUTRAL, "pause")


def _turning(detail: RunDetail, now: datetime) -> Why | None:
    if not detail.run.is_turning:
        return None
    flying = next(_in_flight(detail), None)
    rest: tuple[Sentence, ...]
    asking = probes.asking(detail, now)
    if asking is not None:
        rest = asking.sentences
    elif flying is None:
        rest = (say(_("Turning round to undo what was done.")),)
    elif clauses.is_waited_for(detail, flying[1], now):
        step, attempt = flying
        template = _("Waiting for “%(step)s” to end (%(left)s left at most), then what was done is undone.")
        rest = (say(template, step=step.plan.title, left=Left(attempt.times_out_at, now)),)
    else:
        step, attempt = flying
        rest = (*clauses.waited_for(detail, step.plan.title, attempt, now), say(_("Then what was done is undone.")))
    return Why("turning", (clauses.cause(detail), *rest), Tone.COMPENSATION, "undo-2")


def _retrying(detail: RunDetail, now: datetime) -> Why | None:
    for step in detail.runs:
        if step.compensation_status == CompensationStatus.RETRYING.value:
            return _backoff(detail, step, Phase.COMPENSATION, now)
        if step.status == StepStatus.RETRYING.value:
            return _backoff(detail, step, Phase.ACTION, now)
    return None


def _backoff(detail: RunDetail, step: StepDetail, phase: Phase, now: datetime) -> Why:
    is_undo = phase is Phase.COMPENSATION
    title = step.undo_title if is_undo else step.plan.title
    made = step.compensation_tries if is_undo else step.tries
    most = step.plan.compensation_attempts_max if is_undo else step.plan.attempts_max
    next_at = step.next_attempt_at or now
    params = {"step": title, "left": Left(next_at, now), "number": made + 1, "most": most}
    if detail.run.is_past_pivot and not is_undo:
        code = "past_pivot"
        template = (
            _(
                "“%(step)s” comes after the point of no return, so it is retried until it works."
                " Next try in %(left)s (try %(number)s)."
            )
            if most is None
            else _(
                "“%(step)s” comes after the point of no return, so it can only be retried."
                " Next try in %(left)s (%(number)s of %(most)s)."
            )
        )
    else:
        code = "retry_backoff"
        template = (
            _("Waiting to retry “%(step)s”. Next try in %(left)s (try %(number)s).")
            if most is None
            else _("Waiting to retry “%(step)s”. Next try in %(left)s (%(number)s of %(most)s).")
        )
    if next_at <= now:
        template = (
            _("Waiting to retry “%(step)s”. The next try is due (try %(number)s): the next free worker makes it.")
            if most is None
            else _("Waiting to retry “%(step)s”. The next try is due (%(number)s of %(most)s): a free worker makes it.")
        )
    attempts = step.compensations if is_undo else step.actions
    sentences = [say(template, **params)]
    last = attempts[-1] if attempts else None
    if last is not None and last.outcome == "unknown":
        sentences.append(
            say(_("The last try got no answer that can be relied on: %(message)s."), message=_message_of(last))
        )
    elif last is not None and last.outcome:
        sentences.append(say(_("The last try failed: %(message)s."), message=_message_of(last)))
    return Why(code, tuple(sentences), Tone.RETRY, "triangle", (help_about(detail, step),))


def _awaiting(detail: RunDetail, now: datetime) -> Why | None:
    flying = next(_in_flight(detail), None)
    if flying is None:
        return None
    step, attempt = flying
    is_undo = attempt.phase == Phase.COMPENSATION.value
    title = step.undo_title if is_undo else step.plan.title
    sentences: list[Sentence] = []
    if is_undo and step.status == StepStatus.IN_DOUBT.value:
        code = "outcome_unknown"
        sentences.append(
            say(
                _("Nobody could say whether “%(step)s” happened, so it is undone anyway; the undo must bear that."),
                step=step.plan.title,
            )
        )
    else:
        code = "await_reply"
        if is_undo:
            sentences.append(clauses.cause(detail))
    whole = detail.list_of(step)
    if whole is not None and whole.tally is not None:
        template = _("“%(list)s”: %(words)s.") if is_undo else _("%(words)s of “%(list)s” are done.")
        words = undone_words(whole.tally) if is_undo else done_words(whole.tally)
        sentences.append(say(template, list=whole.plan.title, words=words))
    sentences += clauses.waited_for(detail, title, attempt, now)
    tone = Tone.COMPENSATION if is_undo else Tone.PROGRESS
    return Why(code, tuple(sentences), tone, "undo-2" if is_undo else "circle-dot", (help_about(detail, step),))


def _within(detail: RunDetail, now: datetime) -> Why | None:
    """A sub-saga has the step in hand."""
    hands = ((step, one) for step in detail.runs if (one := step.in_other_hands()) is not None)
    held = next(((step, one) for step, one in hands if not one.is_called_back), None)
    if held is None:
        return None
    step, attempt = held
    is_undo = attempt.phase == Phase.COMPENSATION.value
    template = _("Waiting for the run that “%(step)s” started, for %(age)s.")
    if is_undo:
        template = _("Waiting for the run that “%(step)s” started to be undone, for %(age)s.")
    sentences = [clauses.cause(detail)] if is_undo or detail.run.is_turning else []
    sentences.append(say(template, step=step.plan.title, age=Age(attempt.started_at, now)))
    help_child = Help(_("See that run"), reverse("sagas:run-detail", args=[attempt.accepted_by]))
    tone = Tone.COMPENSATION if is_undo else Tone.PROGRESS
    return Why("child", tuple(sentences), tone, "undo-2" if is_undo else "circle-dot", (help_child,))


def _asking(detail: RunDetail, now: datetime) -> Why | None:
    return _waiting(detail, now, WaitingFor.APPROVAL, "decision")


def _waiting_for_signal(detail: RunDetail, now: datetime) -> Why | None:
    return _waiting(detail, now, WaitingFor.SIGNAL, "await_signal")


def _sleeping(detail: RunDetail, now: datetime) -> Why | None:
    return _waiting(detail, now, WaitingFor.TIMER, "timer")


def _waiting(detail: RunDetail, now: datetime, kind: WaitingFor, code: str) -> Why | None:
    step = next((step for step in detail.runs if step.wait is not None and step.wait.kind == kind.value), None)
    if step is None:
        return None
    return Why(code, waits.why_it_waits(detail, step, now), Tone.PROGRESS, "hourglass", (help_about(detail, step),))


def _queued(detail: RunDetail, now: datetime) -> Why | None:
    if detail.run.status != RunStatus.PENDING.value:
        return None
    sentence = say(
        _("Queued for %(age)s. The engine takes it up as soon as it has a hand free."),
        age=Age(detail.run.created_at, now),
    )
    return Why("queued", (sentence,), Tone.NEUTRAL, "circle-dashed")


def _moving(detail: RunDetail, now: datetime) -> Why | None:
    if now - detail.run.updated_at > UNEXPLAINED:
        return None
    if detail.run.status == RunStatus.COMPENSATING.value:
        return Why(
            "moving", (clauses.cause(detail), say(_("The next undo is about to start."))), Tone.COMPENSATION, "undo-2"
        )
    return Why("moving", (say(_("The next step is about to start.")),), Tone.PROGRESS, "circle-dot")


def _unexplained(detail: RunDetail, now: datetime) -> Why:
    sentence = say(
        _("We cannot tell why this is not moving. The last entry was written %(age)s ago. Please report this."),
        age=Age(detail.run.updated_at, now),
    )
    return Why("unknown", (sentence,), Tone.RETRY, "circle-question-mark")


Rule = Callable[["RunDetail", datetime], Why | None]
_RULES: tuple[Rule, ...] = (
    _completed,
    _compensated,
    _partly,
    _terminated,
    missing_code.why,
    _undo_failed,
    choreographed.attention,
    _decision,
    _engine_down,
    _paused,
    _turning,
    _asking,
    probes.asking,
    before_service.why,
    _retrying,
    _awaiting,
    _within,
    callbacks.why,
    choreographed.waiting,
    _waiting_for_signal,
    _sleeping,
    _queued,
    _moving,
)


def _in_flight(detail: RunDetail) -> Any:
    return ((step, attempt) for step in detail.runs if (attempt := step.in_flight()) is not None)


def _message_of(attempt: Attempt) -> str:
    return message_in({"message": attempt.message, "code": attempt.code})


def _help_step(detail: RunDetail) -> tuple[Help, ...]:
    step = detail.turned_at
    return (help_about(detail, step),) if step else ()
