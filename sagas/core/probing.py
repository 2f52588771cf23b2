"""Asking a probe whether an action happened, when an attempt of it ended unknown (rule 18 of the law).

A probe only reads, so it is asked in a drain too: it is how an attempt in flight
comes to its end. What follows from its answer is in `probe_answers.py`.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.definition import HttpAction
from sagas.core.expressions import ExpressionError
from sagas.core.outcome import OVERTAKEN, Failed, Outcome
from sagas.core.retry import LOST_IN_A_ROW_MAX, RETRY_AFTER_S_MAX, is_spent, wait_s
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey

if TYPE_CHECKING:
    from sagas.core.draft import Draft
    from sagas.core.outcome import Rejected, Unknown
    from sagas.core.vocabulary import Json


def may_ask(draft: Draft, key: StepKey) -> bool:
    """Whether the step has a probe that may still be asked about its last unknown outcome."""
    probe = draft.definition.by_name[key.step].probe
    step = draft.step(key)
    return probe is not None and not is_spent(probe.retry, step.probe.counted) and step.losses < LOST_IN_A_ROW_MAX


def ask(draft: Draft, key: StepKey) -> None:
    """Ask now; while the run is paused, as soon as it is resumed."""
    if draft.state.is_paused:
        draft.emit(m.RetryScheduled(step=key.step, item=key.item, phase=Phase.PROBE, at=draft.now))
    else:
        start(draft, key)


def ask_again(draft: Draft, key: StepKey, outcome: Rejected | Failed | Unknown) -> None:
    """Write down when to ask again; at once, or as it asks, when the probe was never sent, or lost with its worker."""
    probe = draft.half_of(key, Phase.PROBE)
    wait = min(getattr(outcome, "retry_after_s", None) or 0.0, RETRY_AFTER_S_MAX)
    if _is_counted(outcome):
        wait = wait_s(probe.retry, draft.step(key).probe.counted, dice=draft.dice)
    at = draft.now + timedelta(seconds=wait)
    draft.emit(m.RetryScheduled(step=key.step, item=key.item, phase=Phase.PROBE, at=at))


def start(draft: Draft, key: StepKey) -> None:
    """Start an attempt of the probe, which asks about the action's key.

    A Python one is given what the action was given; one over HTTP is a request of its own.
    Where that has no value nothing can be sent, and whoever carries it out says so.
    """
    step = draft.step(key)
    request: Json = None
    if isinstance(draft.half_of(key, Phase.PROBE).action, HttpAction):
        with suppress(ExpressionError):
            request = draft.half_of(key, Phase.PROBE).arguments.render(draft.scope(key, Phase.PROBE))
    draft.emit(
        m.AttemptStarted(
            step=key.step,
            item=key.item,
            phase=Phase.PROBE,
            number=step.probe.number + 1,
            edition=step.action.edition,
            timeout_s=draft.half_of(key, Phase.PROBE).timeout_s,
            is_first=request is not None,
            input=request,
        )
    )


def call_off(draft: Draft, key: StepKey) -> None:
    """Somebody else has said what became of the action: whatever the probe in flight answers is not waited for."""
    probe = draft.step(key).probe
    if probe.is_awaiting:
        draft.emit(
            m.AttemptEnded(
                step=key.step,
                item=key.item,
                phase=Phase.PROBE,
                number=probe.number,
                outcome=OutcomeKind.UNKNOWN,
                code=OVERTAKEN,
                message="The outcome became known meanwhile.",
                is_counted=False,
            )
        )


def _is_counted(outcome: Outcome) -> bool:
    return getattr(outcome, "is_counted", True)
