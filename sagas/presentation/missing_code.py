"""What is said of a run that cannot go on because the code is not there that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from sagas.core.outcome import CODE_MISSING, NO_CALLBACK_ADDRESS, NOT_CARRIED_OUT, SERVICE_KIND, SERVICE_UNKNOWN
from sagas.core.state import VERSION_UNREADABLE
from sagas.presentation import clauses
from sagas.presentation.answer import Why, help_about
from sagas.presentation.sentence import message_in, say
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from sagas.queries.run_detail import RunDetail


_PUT_BACK = gettext_noop("Put that code back, then retry. Or settle the step by hand; or skip it; or cancel the run.")
_REMEDIES = {
    SERVICE_UNKNOWN: gettext_noop(
        "Register the service, then retry. Or settle the step by hand; or skip it; or cancel the run."
    ),
    SERVICE_KIND: gettext_noop(
        "Mend the registration of the service, then retry. Or settle the step by hand; or skip it; or cancel the run."
    ),
    NO_CALLBACK_ADDRESS: gettext_noop(
        "Set it where the workers run, then retry. Or settle the step by hand; or skip it; or cancel the run."
    ),
    NOT_CARRIED_OUT: gettext_noop(
        "Start a worker that can, then retry. Or settle the step by hand; or skip it; or cancel the run."
    ),
}


def why(detail: RunDetail, _now: datetime) -> Why | None:
    """Return what is missing and what a person can do about it; None when nothing is."""
    return _version(detail) or _action(detail)


def is_of_version(detail: RunDetail) -> bool:
    """Whether the run as a whole waits for the code of its version."""
    return _attention_with(detail, VERSION_UNREADABLE) is not None


def _version(detail: RunDetail) -> Why | None:
    found = _attention_with(detail, VERSION_UNREADABLE)
    if found is None:
        return None
    number = detail.run.version.number
    first = say(_("Version %(number)s cannot be carried out: %(message)s."), number=number, message=message_in(found))
    rest = say(_("Put that code back, then retry the run. Or terminate it, which undoes nothing."))
    return Why(VERSION_UNREADABLE, (first, rest, *clauses.also_paused(detail)), Tone.CRITICAL, "diamond")


def _action(detail: RunDetail) -> Why | None:
    """Of a step before the point of no return; of one behind it, `why` says what is left to do."""
    found = _attention_with(detail, *CODE_MISSING)
    step = detail.find_named(found)
    if found is None or step is None:
        return None
    template = _("“%(step)s” cannot be carried out: %(message)s.")
    first = say(template, step=step.plan.title, message=message_in(step.error))
    rest = say(_(_REMEDIES.get(str(found.get("code")), _PUT_BACK)))
    sentences = (first, rest, *clauses.also_paused(detail))
    return Why(str(found.get("code")), sentences, Tone.CRITICAL, "diamond", (help_about(detail, step),))


def _attention_with(detail: RunDetail, *codes: str) -> dict[str, Any] | None:
    found = (one for one in detail.run.attention or () if isinstance(one, dict) and one.get("code") in codes)
    return next(found, None)
