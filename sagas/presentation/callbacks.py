"""What is said of a service that has taken an attempt on and is to call back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import Phase
from sagas.presentation import clauses
from sagas.presentation.answer import Why, help_about
from sagas.presentation.sentence import At, Left, say
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.queries.run_detail import RunDetail


def why(detail: RunDetail, now: datetime) -> Why | None:
    """Say who is waited for, since when, and until when at most."""
    hands = ((step, one) for step in detail.runs if (one := step.in_other_hands()) is not None)
    held = next(((step, one) for step, one in hands if one.is_called_back), None)
    if held is None:
        return None
    step, attempt = held
    is_undo = attempt.phase == Phase.COMPENSATION.value
    until = step.next_attempt_at or attempt.times_out_at
    template = _("“%(step)s” waits for %(by)s to call back, since %(at)s.")
    title = step.undo_title if is_undo else step.plan.title
    sentences = [clauses.cause(detail)] if is_undo or detail.run.is_turning else []
    sentences.append(say(template, step=title, by=attempt.accepted_by, at=At(attempt.started_at, now)))
    if until > now:
        template = _("It does so at most until %(at)s (%(left)s left); then nobody knows whether it happened.")
        sentences.append(say(template, at=At(until, now), left=Left(until, now)))
    else:
        sentences.append(say(_("Its time is up: the next free worker ends the wait.")))
    tone = Tone.COMPENSATION if is_undo else Tone.PROGRESS
    icon = "undo-2" if is_undo else "hourglass"
    return Why("await_callback", tuple(sentences), tone, icon, (help_about(detail, step),))
