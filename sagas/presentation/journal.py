"""One plain sentence for each line of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

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


_TEMPLATES = {
    "run_started": gettext_noop("Started by %(by)s"),
    "attempt_started": gettext_noop("Sent “%(step)s” (try %(number)s)"),
    "retry_scheduled": gettext_noop("“%(step)s” is tried again at %(time)s"),
    "step_failed": gettext_noop("“%(step)s” failed for good: %(message)s"),
    "step_in_doubt": gettext_noop("Nobody can say whether “%(step)s” happened: %(message)s"),
    "compensation_failed": gettext_noop("Undoing “%(step)s” gave up: %(message)s"),
    "turn_dropped": gettext_noop("The pivot “%(step)s” succeeded meanwhile: the run goes on forward"),
    "turned_round": gettext_noop("Undoing began, last step first"),
    "attention_needed": gettext_noop("A person is needed for “%(step)s”"),
    "attention_cleared": gettext_noop("A person has decided about “%(step)s”"),
    "order_taken": gettext_noop("%(by)s ordered: %(verb)s"),
    "order_refused": gettext_noop("The order “%(verb)s” of %(by)s no longer applied: %(why)s"),
    "edition_started": gettext_noop("“%(step)s” gets a fresh set of tries"),
    "deadline_passed": gettext_noop("The deadline passed"),
    "run_completed": gettext_noop("Completed"),
    "run_compensated": gettext_noop("Everything that was done is undone"),
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
    if kind in _TEMPLATES:
        return _(_TEMPLATES[kind])
    return kind.replace("_", " ").replace("%", "%%")


def _clock(moment: str) -> str:
    return moment[11:19] if "T" in moment else moment
