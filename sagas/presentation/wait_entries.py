"""Lines of a journal that tell of waits: the sentence of each, and what it is filled with."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from sagas.core.arrivals import DECLINED
from sagas.core.vocabulary import Verb
from sagas.presentation.format import moment_words
from sagas.presentation.questions import asked_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.queries.run_detail import Entry


def parameters(entry: Entry) -> dict[str, str]:
    """Return what the sentences below are filled with beside the step, who and why."""
    data = entry.data
    about = data.get("about") if isinstance(data.get("about"), dict) else {}
    output = data.get("output") if isinstance(data.get("output"), dict) else {}
    return {
        "until": _moment(data.get("until"), entry.at),
        "signal": str((about or {}).get("signal") or ""),
        "prompt": str((about or {}).get("prompt") or ""),
        "who": asked_words(str((about or {}).get("group") or "")),
        "comment": str((output or {}).get("comment") or ""),
    }


def started(data: Mapping[str, Any]) -> str:
    """Say that a step begins to wait."""
    has_end = bool(data.get("until"))
    match data.get("waits_for"):
        case "timer":
            return _("“%(step)s” sleeps until %(until)s")
        case "signal" if has_end:
            return _("“%(step)s” waits for the signal “%(signal)s”, until %(until)s")
        case "signal":
            return _("“%(step)s” waits for the signal “%(signal)s”")
        case "approval" if has_end:
            return _("“%(step)s” asks %(who)s: “%(prompt)s”, until %(until)s")
        case "approval":
            return _("“%(step)s” asks %(who)s: “%(prompt)s”")
    return _("“%(step)s” waits")


def ended(data: Mapping[str, Any]) -> str:
    """Say that what a step waited for has come; `waits_for` is what that was, from the document."""
    output = data.get("output")
    match data.get("waits_for"):
        case "timer":
            return _("“%(step)s” has slept long enough")
        case "signal":
            return _("“%(step)s” has its signal, from %(by)s")
        case "approval" if isinstance(output, dict) and output.get("comment"):
            return _("%(by)s approved “%(step)s”: %(comment)s")
        case "approval":
            return _("%(by)s approved “%(step)s”")
    return _("“%(step)s” has what it waited for")


def failed(data: Mapping[str, Any]) -> str:
    """Say that a step failed for good, or that somebody said no."""
    if data.get("code") == DECLINED:
        return _("“%(step)s” was declined: %(message)s")
    return _("“%(step)s” failed for good: %(message)s")


def left_out(data: Mapping[str, Any]) -> str:
    """Say why a step does not wait any longer, though nothing came."""
    match data.get("cause"):
        case "timed_out":
            return _("“%(step)s” is left out: nothing came in time, and the run goes on")
        case "turn":
            return _("“%(step)s” stopped waiting: the run turns round")
        case "terminated":
            return _("“%(step)s” stopped waiting: the run was terminated")
    return _("“%(step)s” is left out")


def ordered(data: Mapping[str, Any]) -> str:
    """Say that somebody sent a signal or answered; the next line has what it was."""
    if data.get("verb") == Verb.SIGNAL.value:
        return _("%(by)s sent a signal (%(reason)s)") if data.get("reason") else _("%(by)s sent a signal")
    return _("%(by)s answered “%(step)s”: %(reason)s") if data.get("reason") else _("%(by)s answered “%(step)s”")


def _moment(text: object, at: datetime) -> str:
    try:
        return moment_words(datetime.fromisoformat(str(text)), at) if text else ""
    except ValueError:
        return str(text)
