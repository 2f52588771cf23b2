"""The outbox of commands: what a pump writes down, couriers hand over to brokers.

The attempt is in the journal before its command is here, and the command is here
before the attempt counts as taken on. Couriers take rows for a while; one that dies
leaves them to others, and so a command may be handed over twice, under one id and key.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from django.db import transaction
from django.db.models import F

from sagas.models import OutgoingCommand
from sagas.participants.base import Accepted
from sagas.participants.contract import contract_headers
from sagas.sealing import seal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from sagas.core.definition import CommandAction
    from sagas.engine.clock import Clock
    from sagas.participants.base import Call
    from sagas.participants.known_services import KnownService

TAKEN_MAX = 100  # at a time
TAKEN = timedelta(seconds=30)  # longer than a broker's confirmation may take
PAUSES_S = (0.25, 0.5, 1.0, 2.0, 5.0)  # until the next try, by tries; the last one is repeated
ERROR_LENGTH_MAX = 300


Result = TypeVar("Result")


class InThread(Protocol):
    """Does work in the thread that reads and writes the database."""

    def __call__(self, work: Callable[[], Result]) -> Awaitable[Result]:
        """Return what `work` returns."""


class OutboxCommands:
    """Hands the commands of one pump over: each is safe in the outbox before it counts as taken on."""

    def __init__(self, in_thread: InThread, clock: Clock) -> None:
        """Write in the thread that has the database, where `in_thread` does work."""
        self._in_thread = in_thread
        self._clock = clock

    async def perform(self, action: CommandAction, call: Call, service: KnownService) -> Accepted:
        """Write one command down. Its reply comes by the inbox, or the attempt's time is up."""
        await self._in_thread(partial(put, action, call, self._clock.carried()))
        return Accepted(service.name)

    async def close(self) -> None:
        """Hold nothing."""


def put(action: CommandAction, call: Call, now: datetime) -> None:
    """Write a command down; what a saga redacts is sealed until a courier hands it over."""
    body = seal(call.arguments) if call.is_redacted else call.arguments
    OutgoingCommand.objects.create(
        run_id=call.run_id,
        service=action.service,
        message={
            "name": action.command,
            "headers": contract_headers(call),
            "body": body,
            "correlation": call.correlation,
        },
        due_at=now,
        expires_at=now + timedelta(seconds=call.timeout_s),
        created_at=now,
    )


def take(services: Collection[str], now: datetime, *, limit: int = TAKEN_MAX) -> list[OutgoingCommand]:
    """Take commands that are due for some of `services`, oldest first; nobody else takes them for a while.

    `tries` of what is returned counts the tries before this one.
    """
    due = OutgoingCommand.objects.filter(service__in=services, due_at__lte=now)
    if not due.exists():  # on SQLite a transaction takes the write lock even when there is nothing to do
        return []
    with transaction.atomic():
        rows = list(due.select_for_update(skip_locked=True).order_by("due_at", "id")[:limit])
        for row in rows:
            row.due_at = now + TAKEN
        taken = OutgoingCommand.objects.filter(id__in=[row.id for row in rows])
        taken.update(due_at=now + TAKEN, tries=F("tries") + 1)
    return rows


def dismiss(ids: Sequence[UUID]) -> None:
    """Forget commands that the broker has, or that nobody waits for any more."""
    OutgoingCommand.objects.filter(id__in=ids).delete()


def put_back(rows: Sequence[OutgoingCommand], error: str, now: datetime) -> None:
    """Leave commands that could not be handed over for another try, a little later."""
    for row in rows:
        pause = PAUSES_S[min(row.tries, len(PAUSES_S) - 1)]
        row.due_at, row.last_error = now + timedelta(seconds=pause), error[:ERROR_LENGTH_MAX]
    OutgoingCommand.objects.bulk_update(rows, ["due_at", "last_error"])
