"""Sub-sagas: starting the run that a step asks for, and having it undone. In the journal's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from sagas.core import messages as m
from sagas.core.children import outcome_of
from sagas.core.limits import DEPTH_MAX
from sagas.core.outcome import SAGA_UNREADABLE, Error, Failed, Outcome, Succeeded
from sagas.core.vocabulary import Direction, Phase, RunStatus, Verb
from sagas.engine import inbox
from sagas.engine.commands import Within, start_run
from sagas.engine.errors import (
    InputInvalidError,
    KeyReusedError,
    SagaArchivedError,
    SagaUnknownError,
    SagaUnreadableError,
)
from sagas.models import SagaRun
from sagas.participants.local import CODE_AWAITED_S
from sagas.sealing import opened

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sagas.core.vocabulary import Json

CHILD_NOT_STARTED = "child_not_started"


class NotOursError(Exception):
    """The parent is driven by somebody else now: nothing was started, nothing is undone."""


def start(parent_id: UUID, token: int, saga: str, value: Json, *, key: str, step: str, depth: int) -> Outcome | str:
    """Start the sub-saga of a step, or find the one that was started before.

    Args:
        parent_id: the run that the step belongs to.
        token: the right to drive it; looked at in the same transaction, so that a
            driver that slept past its lease starts nothing after the step was undone.
        saga: which saga.
        value: its input.
        key: the step's idempotency key, which is the key of the child.
        step: the step, `ship` or `ship[3]`.
        depth: of the parent.

    Returns:
        The id of the child when it is under way; what became of the attempt when
        the child has ended, or cannot be started.

    Raises:
        NotOursError: the token is old.
    """
    if depth >= DEPTH_MAX:
        return _refused(f"Sagas run within each other at most {DEPTH_MAX} deep.")
    try:
        with transaction.atomic():
            _hold(parent_id, token)
            within = Within(parent_id, step, depth + 1)
            run = start_run(saga, value, by=f"run {parent_id}", key=key, within=within).run
    except SagaUnreadableError as error:
        return Failed(Error(SAGA_UNREADABLE, str(error)), retry_after_s=CODE_AWAITED_S)
    except InputInvalidError as error:
        return _refused(f"The saga {saga!r} does not take this input: {error}.")
    except (SagaUnknownError, SagaArchivedError, KeyReusedError) as error:
        return _refused(str(error))
    return _seen(run, Phase.ACTION)


def undo(parent_id: UUID, token: int, *, key: str, now: datetime) -> Outcome | str:
    """Have the sub-saga that was started under `key` undone; one that never was needs nothing.

    Returns and raises as `start` does.
    """
    with transaction.atomic():
        _hold(parent_id, token)
        run = SagaRun.objects.select_for_update(of=("self",)).filter(parent_id=parent_id, start_key=key).first()
        if run is None:
            return Succeeded()
        is_moving_forward = run.direction == Direction.FORWARD.value and not run.is_turning
        if run.status == RunStatus.COMPLETED.value and not run.is_past_pivot:
            _order(run, Verb.UNDO, parent_id, now)
            return str(run.id)
        if not RunStatus(run.status).is_final and is_moving_forward:
            _order(run, Verb.CANCEL, parent_id, now)
    return _seen(run, Phase.COMPENSATION)


def _hold(parent_id: UUID, token: int) -> None:
    if not SagaRun.objects.select_for_update().filter(id=parent_id, token=token).exists():
        raise NotOursError


def _order(run: SagaRun, verb: Verb, parent_id: UUID, now: datetime) -> None:
    by, reason = f"run {parent_id}", "The run that it belongs to is undone."
    inbox.put(run, m.TakeOrder(number=run.inbox_last + 1, verb=verb, by=by, now=now, reason=reason), now)


def _seen(run: SagaRun, phase: Phase) -> Outcome | str:
    status = RunStatus(run.status)
    if not status.is_final:
        return str(run.id)
    return outcome_of(m.ChildEnd(str(run.id), status, opened(run.output), run.is_past_pivot), phase)


def _refused(message: str) -> Failed:
    return Failed(Error(CHILD_NOT_STARTED, message), is_retriable=False)
