"""What is said of a run that waits before a service: held by a person, sick, or as busy as it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.outcome import BEFORE_SERVICE, SERVICE_HELD
from sagas.core.vocabulary import CompensationStatus, StepStatus
from sagas.presentation.answer import Why
from sagas.presentation.sentence import Left, message_in, say
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.queries.run_detail import RunDetail, StepDetail

_RETRYING = (StepStatus.RETRYING.value, CompensationStatus.RETRYING.value)


def why(detail: RunDetail, now: datetime) -> Why | None:
    """Return which service is waited for and why; None when no step waits before one."""
    step = next((one for one in detail.runs if _waits(one)), None)
    if step is None:
        return None
    title = step.undo_title if step.compensation_status == CompensationStatus.RETRYING.value else step.plan.title
    first = say(_("“%(step)s” waits before its service: %(message)s."), step=title, message=message_in(step.error))
    next_at = step.next_attempt_at or now
    if step.error["code"] == SERVICE_HELD:
        rest = say(_("It was not sent, and goes on by itself soon after the service is released."))
    elif next_at > now:
        rest = say(_("It was not sent, and comes again in %(left)s."), left=Left(next_at, now))
    else:
        rest = say(_("It was not sent, and its turn has come again."))
    return Why(str(step.error["code"]), (first, rest), Tone.RETRY, "hourglass")


def _waits(step: StepDetail) -> bool:
    is_retrying = step.status == _RETRYING[0] or step.compensation_status == _RETRYING[1]
    return is_retrying and isinstance(step.error, dict) and step.error.get("code") in BEFORE_SERVICE
