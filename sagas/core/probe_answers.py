"""What follows from a probe's answer: the action happened, was refused, never happened, or nobody knows still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import forward, probing
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import OutcomeKind, StepKey

if TYPE_CHECKING:
    from sagas.core.draft import Draft


def after_attempt(draft: Draft, key: StepKey, outcome: Outcome) -> None:
    """Decide what follows from an attempt of a probe."""
    match outcome:
        case Succeeded():
            forward.after_success(draft, key)
        case Rejected() if outcome.is_explicit:
            forward.fail(draft, key, OutcomeKind.REJECTED, outcome.error)
        case Failed() if outcome.settles:
            forward.retry_or_end(draft, key, outcome)
        case Rejected() | Failed() | Unknown() if probing.may_ask(draft, key):
            probing.ask_again(draft, key, outcome)
        case _:
            _go_on_without(draft, key)


def _go_on_without(draft: Draft, key: StepKey) -> None:
    """The probe could not say: go on as if there were none, from where the action's last attempt ended unknown."""
    step = draft.step(key)
    last = step.error or {}
    error = Error(last.get("code", ""), last.get("message", ""))
    forward.retry_or_end(draft, key, Unknown(error, is_counted=step.action.lost_in_a_row == 0))
