"""What a participant is told of one attempt: made from the run's state, which holds all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from sagas.core.definition import CommandAction, HttpAction
from sagas.core.vocabulary import CompensationStatus, Phase, StepStatus, idempotency_key
from sagas.engine.callback_token import callback_url, make_token
from sagas.participants.base import Call

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.definition import Definition
    from sagas.core.state import RunState
    from sagas.core.vocabulary import AttemptKey, Json
    from sagas.core.watch import Reacting

_PLAIN = "/:?&=+,;@~[]!$'()*#"


def reaction_key(event: Json, reaction: str, edition: int) -> str:
    """Return `<event source>/<event id>:<reaction>`, in the characters that a header may hold."""
    text = f"{quote(str(event['source']), safe=_PLAIN)}/{quote(str(event['id']), safe=_PLAIN)}:{reaction}"
    return text if edition == 1 else f"{text}#{edition}"


def _undone_key(state: RunState, reacting: Reacting) -> str:
    """Return the key of what a reaction is to undo; empty when it undoes nothing, or nothing is known to be done."""
    for key, step in state.steps.items() if reacting.undoes else ():
        is_left = step.compensation_status is CompensationStatus.PENDING and key.step == reacting.undoes
        if is_left and step.reacting is not None:
            return reaction_key(step.reacting.event, key.step, step.action.edition)
    return ""


def call_of(run_id: UUID, definition: Definition, state: RunState, key: AttemptKey) -> Call:
    """Return one attempt, as its participant sees it."""
    step, planned = state.step(key.step_key), definition.by_name[key.step]
    half = step.half(key.phase)
    is_undo, is_probe = key.phase is Phase.COMPENSATION, key.phase is Phase.PROBE
    part = planned.half(key.phase)
    action = None if part is None else part.action
    has_request = not is_probe or isinstance(action, HttpAction)
    is_async = isinstance(action, HttpAction) and action.is_async
    is_command = isinstance(action, CommandAction)
    run = str(run_id)
    action_key = idempotency_key(run, key.step_key, Phase.ACTION, step.action.edition)
    if step.reacting is not None:
        own_key = reaction_key(step.reacting.event, key.step, step.action.edition)
        action_key = own_key if is_probe else _undone_key(state, step.reacting)
    else:
        own_key = action_key if is_probe else idempotency_key(run, key.step_key, key.phase, half.edition)
    outcome = "unknown" if step.status is StepStatus.IN_DOUBT else "succeeded"
    return Call(
        run_id=run,
        saga=definition.saga,
        step=key.step,
        item=key.item,
        phase=key.phase,
        attempt=key.number,
        idempotency_key=own_key,
        action_key=action_key if is_undo or is_probe or step.reacting is not None else "",
        outcome=outcome if is_undo else "",
        arguments=half.input if has_request else step.action.input,
        timeout_s=half.timeout_s,
        deadline_at=state.deadline_at,
        is_unsettled=step.action.is_unsettled if is_probe else half.is_unsettled,
        callback_url=callback_url(run_id, key, half.edition) if is_async else "",
        correlation=make_token(run_id, key, half.edition) if is_command else "",
        is_redacted=definition.redaction.is_of(key.step),
    )
