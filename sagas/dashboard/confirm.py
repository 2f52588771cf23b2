"""What each confirm page says before anything is done: what will happen, what will not, what stays, what is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import CompensationStatus, Direction, OutcomeKind, Phase, StepStatus, Verb
from sagas.dashboard import confirm_answer
from sagas.dashboard.confirmed import Confirm, name_of, what_is_undone, what_stops_waiting
from sagas.presentation import missing_code, offers
from sagas.presentation.lists import named
from sagas.presentation.sentence import listed
from sagas.presentation.status import Tone
from sagas.queries.plan import Undo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagas.queries.run_detail import RunDetail, StepDetail

_HAPPENED = {StepStatus.SUCCEEDED.value, StepStatus.IN_DOUBT.value}
_UNDONE = {CompensationStatus.SUCCEEDED.value, CompensationStatus.SETTLED.value}
_FAILED_UNDO = CompensationStatus.FAILED.value


def confirm(
    detail: RunDetail, verb: Verb, step: StepDetail | None, phase: Phase = Phase.ACTION, outcome: str = ""
) -> Confirm:
    """Return what is said before an order; skip, settle and a yes or no are about one step, which must be given."""
    if verb is Verb.APPROVE and step is not None:
        found = confirm_answer.answer(detail, step, OutcomeKind(outcome))
    else:
        found = _confirm(detail, verb, step, phase)
    if not detail.run.is_paused or verb in {Verb.RESUME, Verb.TERMINATE}:
        return found
    held = _("Send anything before the run is resumed: it is paused.")
    return replace(found, will_not=(*found.will_not, held))


def _confirm(detail: RunDetail, verb: Verb, step: StepDetail | None, phase: Phase) -> Confirm:
    match verb:
        case Verb.SIGNAL:
            return confirm_answer.signal(detail)
        case Verb.CANCEL:
            return _cancel(detail)
        case Verb.RETRY:
            return _retry(detail, step)
        case Verb.GIVE_UP:
            return _give_up(detail, step)
        case Verb.PAUSE:
            return _pause(detail)
        case Verb.RESUME:
            return _resume(detail)
        case Verb.TERMINATE:
            return _terminate(detail)
    if step is None:
        raise ValueError(verb)
    if verb is Verb.SKIP:
        return _skip(step)
    return _settle_undo(detail, step) if phase is Phase.COMPENSATION else _settle(detail, step)


def _cancel(detail: RunDetail) -> Confirm:
    will, will_not = what_is_undone(detail)
    return Confirm(
        heading=_("Cancel and undo “%(run)s”?") % {"run": name_of(detail)},
        button=_("Cancel and undo"),
        keep=_("Keep it running"),
        will=will,
        will_not=will_not,
        taken_back=_("It cannot be taken back. A new run can be started."),
        tone=Tone.COMPENSATION,
    )


def _retry(detail: RunDetail, chosen: StepDetail | None) -> Confirm:
    if missing_code.is_of_version(detail):
        return _retry_code(detail)
    titles: list[str] = []
    for step in [chosen] if chosen else detail.runs:
        if offers.applies(detail, step, Verb.RETRY, Phase.COMPENSATION):
            titles.append(step.undo_title)
        elif offers.applies(detail, step, Verb.RETRY):
            titles.append(step.plan.title)
    will = [_("Try “%(what)s” again, at once.") % {"what": title} for title in titles]
    heading = _("Retry %(what)s now?") % {"what": listed(titles or [name_of(detail)])}
    return Confirm(
        heading=heading,
        button=_("Retry now"),
        keep=_("Keep waiting"),
        will=tuple([*will, _("Give it a fresh set of tries.")] if will else [_("Nothing: no step waits for a try.")]),
        will_not=(
            _("Repeat a step that has succeeded."),
            _("Change its input."),
        ),
        taken_back=_("It cannot be taken back."),
    )


def _retry_code(detail: RunDetail) -> Confirm:
    return Confirm(
        heading=_("Retry “%(run)s” with the code that is here now?") % {"run": name_of(detail)},
        button=_("Retry now"),
        keep=_("Keep waiting"),
        will=(_("Go on from where the run stands, as soon as a worker can read its version."),),
        will_not=(
            _("Repeat a step that has succeeded."),
            _("Move the run while no worker can: then it asks for a person again."),
        ),
        taken_back=_("It cannot be taken back."),
    )


def _skip(step: StepDetail) -> Confirm:
    title = {"step": step.plan.title}
    will = (
        _("Go on without “%(step)s”, as if it were done.") % title,
        _("Give the steps after it what you write below as its output; nothing if you leave that empty."),
    )
    will_not = [_("Do what “%(step)s” would have done.") % title]
    if step.plan.undo is Undo.DECLARED:
        will_not.append(_("Run “%(undo)s” if the run turns round later.") % {"undo": step.undo_title})
    return Confirm(
        heading=_("Skip “%(step)s”?") % title,
        button=_("Skip this step"),
        will=will,
        will_not=tuple(will_not),
        taken_back=_("It cannot be taken back: a skipped step is never run in this run."),
        tone=Tone.RETRY,
        takes_output=True,
    )


def _settle(detail: RunDetail, step: StepDetail) -> Confirm:
    title = {"step": step.plan.title, "undo": step.undo_title}
    is_known_failed = step.status == StepStatus.FAILED.value  # then only the other answer says anything new
    if not _goes_back(detail):
        happened = _("If it happened: go on with what comes after it.")
        if step.plan.is_pivot:
            happened = _("If it happened: pass the point of no return. From there the run only goes forward.")
        elif detail.run.is_overdue and not detail.run.is_past_pivot:
            happened = _("If it happened: turn round all the same, because the deadline has passed.")
        otherwise = (
            _("If it did not happen: count it as failed. It can then be retried or skipped.")
            if detail.run.is_past_pivot
            else _("If it did not happen: turn round, and undo what was done before it.")
        )
    else:
        otherwise = _("If it did not happen: leave it out. There is nothing of it to undo.")
        happened = _("If it happened: let it stay. It has no compensation.")
        if step.plan.is_pivot:
            happened = _("If it happened: go forward after all. It is the point of no return.")
        elif step.plan.undo is Undo.DECLARED:
            happened = _("If it happened: run “%(undo)s”.") % title
    yes, no = (OutcomeKind.SUCCEEDED.value, _("It happened")), (OutcomeKind.REJECTED.value, _("It did not happen"))
    written = _("Write down your answer, your name and your reason.")
    can_retry = offers.applies(detail, step, Verb.RETRY) and not is_known_failed
    return Confirm(
        heading=(
            _("Settle “%(step)s”: was it done after all?")
            if is_known_failed
            else _("Settle “%(step)s”: did it happen?")
        )
        % title,
        button=_("Settle it"),
        will=(written, happened) if is_known_failed else (written, happened, otherwise),
        will_not=(
            _("Call the participant again."),
            _("Check whether your answer is true."),
        ),
        taken_back=_("It cannot be taken back. Look where it can be seen, before you answer."),
        tone=Tone.RETRY,
        outcomes=(yes,) if is_known_failed else (yes, no),
        outcomes_help=_("If you cannot tell, retry instead: that asks again under the same key.") if can_retry else "",
        takes_output=True,
        takes_reference=True,
    )


def _settle_undo(detail: RunDetail, step: StepDetail) -> Confirm:
    title = {"step": step.plan.title, "undo": step.undo_title}
    return Confirm(
        heading=_("Settle “%(step)s”: was it undone by hand?") % title,
        button=_("It was undone by hand"),
        will=(
            _("Count “%(step)s” as undone by hand, with your name, reason and reference.") % title,
            *_rest_of_undo(detail, [step], end=_("End the run as compensated, if nothing else was given up.")),
        ),
        will_not=(
            _("Run “%(undo)s” again.") % title,
            _("Check whether it was truly undone."),
        ),
        taken_back=_("It cannot be taken back. Undo it first, then come here."),
        tone=Tone.COMPENSATION,
        takes_reference=True,
        needs_reference=True,
    )


def _give_up(detail: RunDetail, chosen: StepDetail | None) -> Confirm:
    given_up = [step for step in [chosen] if step] or [
        step for step in detail.runs if step.compensation_status == _FAILED_UNDO
    ]
    heading = (
        _("Give up undoing “%(step)s”?") % {"step": chosen.plan.title}
        if chosen
        else _("Give up what could not be undone of “%(run)s”?") % {"run": name_of(detail)}
    )
    stays = [step for step in detail.runs if step.compensation_status == CompensationStatus.GIVEN_UP.value]
    return Confirm(
        heading=heading,
        button=_("Give up and let it stay"),
        will=(
            *(_("Leave what “%(step)s” did in place.") % {"step": step.plan.title} for step in given_up),
            *_rest_of_undo(detail, given_up, end=_("End the run as partially compensated.")),
        ),
        will_not=(
            *(_("Run “%(undo)s” again.") % {"undo": step.undo_title} for step in given_up),
            _("Undo it in any other way: that is left to people."),
        ),
        taken_back=_("It cannot be taken back: the run can never end as compensated after this."),
        tone=Tone.FAILURE,
        stays=tuple(step.plan.title for step in detail.runs if step in given_up or step in stays or _is_kept(step)),
        stays_words=_("This stays behind"),
    )


def _pause(detail: RunDetail) -> Confirm:
    will = [_("Send nothing new, forward or backward, until somebody resumes it.")]
    will += [
        _("Let “%(what)s” end, which is in flight, and write down what came of it.") % {"what": _flying_title(step)}
        for step in _flying(detail)
    ]
    will_not = [
        _("Stop the clock: time-outs of what is in flight, of waits, and the deadline still count."),
        _("Undo anything."),
    ]
    return Confirm(
        heading=_("Pause “%(run)s”?") % {"run": name_of(detail)},
        button=_("Pause"),
        will=tuple(will),
        will_not=tuple(will_not),
        taken_back=_("It can be taken back at any time: resume the run."),
        tone=Tone.NEUTRAL,
    )


def _resume(detail: RunDetail) -> Confirm:
    will = [
        _("Go on undoing, from where it was paused.") if _goes_back(detail) else _("Go on from where it was paused.")
    ]
    for step in detail.runs:
        if step.compensation_status == CompensationStatus.RETRYING.value:
            will.append(_("Try “%(what)s” again when its time has come.") % {"what": step.undo_title})
        elif step.status == StepStatus.RETRYING.value and not _goes_back(detail):
            will.append(_("Try “%(what)s” again when its time has come.") % {"what": step.plan.title})
    will_not = [_("Repeat what was done.")]
    if detail.run.deadline_at is not None:
        will_not.append(_("Give back the time it was paused: the deadline went on counting."))
    return Confirm(
        heading=_("Resume “%(run)s”?") % {"run": name_of(detail)},
        button=_("Resume"),
        keep=_("Keep it paused"),
        will=tuple(will),
        will_not=tuple(will_not),
        taken_back=_("It can be paused again; what was sent by then cannot be called back."),
    )


def _terminate(detail: RunDetail) -> Confirm:
    will = [_("End the run now, where it stands.")]
    will += what_stops_waiting(detail)
    for step in detail.runs:
        attempt = step.in_flight()
        if attempt is not None and attempt.is_atomic:
            will.append(_("Drop “%(what)s”, which is in flight: it leaves no trace.") % {"what": _flying_title(step)})
        elif attempt is not None or _is_waiting_unsettled(step):
            will.append(
                _("Write off “%(what)s” as unknown: nobody will say whether it happened.")
                % {"what": _flying_title(step)}
            )
    return Confirm(
        heading=_("Terminate “%(run)s” and undo nothing?") % {"run": name_of(detail)},
        button=_("Terminate, undo nothing"),
        will=tuple(will),
        will_not=(
            _("Undo anything."),
            _("Start or finish any other step."),
        ),
        taken_back=_("It cannot be taken back: a terminated run never moves again."),
        tone=Tone.FAILURE,
        stays=tuple(title for step in detail.wholes if step.plan.wait is None for title in _left_by(detail, step)),
        stays_words=_("This stays behind"),
    )


# ---- parts ------------------------------------------------------------------


def _left_by(detail: RunDetail, whole: StepDetail) -> Iterator[str]:
    """Yield what of a step stays in place when nothing is undone: what happened, and what may have."""
    is_left = {StepStatus.SUCCEEDED.value: 0, StepStatus.IN_DOUBT.value: 0}
    for status in is_left:
        is_left[status] = whole.count(lambda now, undo, status=status: now == status and undo not in _UNDONE)
    certain, perhaps = is_left.values()
    runs = [step for step in detail.runs if step.plan.name == whole.plan.name]
    perhaps += sum(_may_have_happened(step) for step in runs if step.status not in is_left)
    title = whole.plan.title
    if certain:
        yield title if whole.tally is None else named(title, certain)
    if perhaps:
        unsure = title if whole.tally is None else named(title, perhaps)
        yield _("%(step)s (perhaps: nobody knows whether it happened)") % {"step": unsure}


def _flying(detail: RunDetail) -> list[StepDetail]:
    return [step for step in detail.runs if step.in_flight() is not None]


def _flying_title(step: StepDetail) -> str:
    """Name the half that is under way: the backward one once it has begun."""
    return step.undo_title if step.compensations else step.plan.title


def _may_have_happened(step: StepDetail) -> bool:
    """Whether the action is under way, or waits after a try that nobody knows the end of."""
    attempt = step.in_flight()
    is_flying = attempt is not None and attempt.phase == Phase.ACTION.value and not attempt.is_atomic
    return is_flying or (not step.compensations and _is_waiting_unsettled(step))


def _is_waiting_unsettled(step: StepDetail) -> bool:
    """Whether a half waits for its next try after one that nobody knows the end of."""
    if step.compensation_status == CompensationStatus.RETRYING.value:
        return _is_undo_unsettled(step)
    return step.is_asking or (step.status == StepStatus.RETRYING.value and step.is_unsettled)


def _is_undo_unsettled(step: StepDetail) -> bool:
    """Whether a try of the compensation under the present key ended with nobody knowing what became of it."""
    present = step.compensations[-1].edition if step.compensations else 0
    return any(one.outcome == OutcomeKind.UNKNOWN.value for one in step.compensations if one.edition == present)


def _is_kept(step: StepDetail) -> bool:
    """Whether the step happened and nothing undoes it."""
    is_kept = step.status in _HAPPENED and step.compensation_status == CompensationStatus.NOT_NEEDED.value
    return is_kept and step.plan.wait is None


def _goes_back(detail: RunDetail) -> bool:
    return detail.run.is_turning or detail.run.direction == Direction.BACKWARD.value


def _rest_of_undo(detail: RunDetail, settled: Iterable[StepDetail], *, end: str) -> list[str]:
    """Say what is undone next once `settled` holds nothing up any more, or how the run ends."""
    failed = [step for step in detail.runs if step not in settled and step.compensation_status == _FAILED_UNDO]
    said = []
    for step in reversed([step for step in detail.wholes if step not in settled]):
        if waiting := step.count(lambda _status, undo: undo == CompensationStatus.PENDING.value):
            undo = step.undo_title if step.tally is None else named(step.undo_title, waiting)
            said.append(_("Go on and run “%(undo)s”.") % {"undo": undo})
    said += [_("Wait for somebody to decide about “%(undo)s” too.") % {"undo": step.undo_title} for step in failed]
    return said or [end]
