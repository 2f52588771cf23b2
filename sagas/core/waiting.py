"""Waits: beginning one, and ending one because the run turns or ends. What else ends them is in `arrivals.py`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.definition import Approval, SignalWait, Timer, Wait
from sagas.core.expressions import ExpressionError
from sagas.core.limits import DEADLINE_S_MAX, PROMPT_LENGTH_MAX
from sagas.core.outcome import EXPRESSION_ERROR, Error
from sagas.core.problem import found_text
from sagas.core.vocabulary import Json, Phase, StepKey, WaitingFor

if TYPE_CHECKING:
    from sagas.core.draft import Draft


def start(draft: Draft, key: StepKey, wait: Wait) -> Error | None:
    """Begin to wait; the error when nobody can say for what or until when."""
    try:
        match wait:
            case Timer():
                _emit(draft, key, WaitingFor.TIMER, _ring_at(draft, key, wait))
            case SignalWait():
                _emit(draft, key, WaitingFor.SIGNAL, _up_at(draft, wait), {"signal": wait.signal})
            case Approval():
                about = {"group": wait.group, "prompt": _prompt(draft, key, wait)}
                _emit(draft, key, WaitingFor.APPROVAL, _up_at(draft, wait), about)
    except ExpressionError as error:
        return Error(EXPRESSION_ERROR, str(error))
    return None


def _emit(draft: Draft, key: StepKey, waits_for: WaitingFor, until: datetime | None, about: Json = None) -> None:
    draft.emit(m.WaitStarted(step=key.step, item=key.item, waits_for=waits_for, until=until, about=about))


def _up_at(draft: Draft, wait: SignalWait | Approval) -> datetime | None:
    return None if wait.timeout_s is None else draft.now + timedelta(seconds=wait.timeout_s)


def _ring_at(draft: Draft, key: StepKey, timer: Timer) -> datetime:
    """Return when a timer rings: at once when its moment has gone by.

    Raises:
        ExpressionError: the expression gives no moment, or one too far away.
    """
    if timer.until is None:
        return draft.now + timedelta(seconds=timer.length_s)
    value = timer.until.render(draft.scope(key, Phase.ACTION))
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = "`sleep_until` must give a time with its zone, such as 2026-07-01T09:00:00Z; it is "
        raise ExpressionError(message + f"{found_text(value)}.")
    if moment - draft.now > timedelta(seconds=DEADLINE_S_MAX):
        raise ExpressionError(f"`sleep_until` gives {value}, more than {DEADLINE_S_MAX / 86_400:.0f} days away.")
    return max(moment.astimezone(draft.now.tzinfo), draft.now)


def _prompt(draft: Draft, key: StepKey, approval: Approval) -> str:
    value = approval.prompt.render(draft.scope(key, Phase.ACTION))
    return (value if isinstance(value, str) else str(value))[:PROMPT_LENGTH_MAX]


def leave_out(draft: Draft, key: StepKey, cause: str) -> None:
    """Stop waiting: the run goes on without the step, turns round, or ends."""
    draft.emit(m.StepSkipped(step=key.step, item=key.item, cause=cause))
