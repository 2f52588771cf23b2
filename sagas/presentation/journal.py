"""One plain sentence for each line of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sagas.queries.run_detail import Entry, StepDetail

_TONES = {
    "succeeded": Tone.SUCCESS,
    "rejected": Tone.FAILURE,
    "failed": Tone.FAILURE,
    "unknown": Tone.RETRY,
}
_KIND_TONES = {
    "retry_scheduled": Tone.RETRY,
    "step_failed": Tone.FAILURE,
    "step_in_doubt": Tone.RETRY,
    "compensation_failed": Tone.CRITICAL,
    "attention_needed": Tone.CRITICAL,
    "turn_requested": Tone.COMPENSATION,
    "turned_round": Tone.COMPENSATION,
    "run_completed": Tone.SUCCESS,
    "run_compensated": Tone.COMPENSATION,
    "deadline_passed": Tone.FAILURE,
    "order_refused": Tone.FAILURE,
}


def tone_of(entry: Entry) -> Tone:
    """Return the colour family of one entry."""
    if entry.kind == "attempt_ended":
        return _TONES.get(str(entry.data.get("outcome")), Tone.NEUTRAL)
    return _KIND_TONES.get(entry.kind, Tone.NEUTRAL)


def sentence(entry: Entry, steps: Mapping[str, StepDetail]) -> str:
    """Say what one entry records; one of an unknown kind is shown by that name."""
    data = entry.data
    step = steps.get(str(data.get("step", "")))
    is_undo = data.get("phase") == "compensation"
    title = str(data.get("step", "")) if step is None else (step.undo_title if is_undo else step.plan.title)
    params = {
        "step": title,
        "number": data.get("number"),
        "message": data.get("message") or data.get("code") or _("no reason was given"),
        "by": data.get("by") or "?",
        "verb": data.get("verb"),
        "why": data.get("why"),
        "time": _clock(str(data.get("at", ""))),
    }
    return _template(entry.kind, data) % params


def _template(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "attempt_ended":
        match data.get("outcome"):
            case "succeeded":
                return _("“%(step)s” succeeded (try %(number)s)")
            case "rejected":
                return _("“%(step)s” was rejected (try %(number)s): %(message)s")
            case "unknown":
                return _("The outcome of “%(step)s” is unknown (try %(number)s): %(message)s")
            case _:
                return _("“%(step)s” failed without effect (try %(number)s): %(message)s")
    if kind == "turn_requested":
        match data.get("cause"):
            case "cancel":
                return _("Cancelled by %(by)s")
            case "deadline":
                return _("The deadline passed: the run turns round")
            case _:
                return _("The run turns round because of “%(step)s”")
    templates = {
        "run_started": _("Started by %(by)s"),
        "attempt_started": _("Sent “%(step)s” (try %(number)s)"),
        "retry_scheduled": _("“%(step)s” is tried again at %(time)s"),
        "step_failed": _("“%(step)s” failed for good: %(message)s"),
        "step_in_doubt": _("Nobody can say whether “%(step)s” happened: %(message)s"),
        "compensation_failed": _("Undoing “%(step)s” gave up: %(message)s"),
        "turn_dropped": _("The pivot “%(step)s” succeeded meanwhile: the run goes on forward"),
        "turned_round": _("Undoing began, last step first"),
        "attention_needed": _("A person is needed for “%(step)s”"),
        "attention_cleared": _("A person has decided about “%(step)s”"),
        "order_taken": _("%(by)s ordered: %(verb)s"),
        "order_refused": _("The order “%(verb)s” of %(by)s no longer applied: %(why)s"),
        "edition_started": _("“%(step)s” gets a fresh set of tries"),
        "deadline_passed": _("The deadline passed"),
        "run_completed": _("Completed"),
        "run_compensated": _("Everything that was done is undone"),
    }
    return templates.get(kind) or kind.replace("_", " ").replace("%", "%%")


def _clock(moment: str) -> str:
    return moment[11:19] if "T" in moment else moment
