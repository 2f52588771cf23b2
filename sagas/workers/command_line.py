"""One line to one broker: a thread that hands commands over, and a thread that hears replies."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.utils import timezone

from sagas.engine import outbox, replies
from sagas.participants.broker import Broker, BrokerError, CommandMessage, Reply
from sagas.queries.commands import broker_shown
from sagas.sealing import opened
from sagas.workers.line import BrokerLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagas.models import OutgoingCommand
    from sagas.participants.known_services import KnownService

log = logging.getLogger(__name__)

IDLE_S = 0.05  # between two looks at an empty outbox


class CommandLine(BrokerLine):
    """Both directions of the traffic with one broker."""

    def __init__(self, url: str, *, allow_private: bool) -> None:
        """`url` holds the password, and is never shown."""
        super().__init__(broker_shown(url), {"hand-over": self._hand_over, "replies": self._hear})
        self._url = url
        self._allow_private = allow_private
        self._services: tuple[str, ...] = ()

    def serve(self, services: Sequence[KnownService]) -> None:
        """Carry commands for these services from now on."""
        self._services = tuple(service.name for service in services)

    # ---- out -------------------------------------------------------------------

    def _hand_over(self) -> None:
        broker = Broker(self._url, allow_private=self._allow_private)
        try:
            while not self._is_over.is_set():
                self._turned["hand-over"] = time.monotonic()
                if not self._hand_over_some(broker):
                    broker.rest()
                    self._is_over.wait(IDLE_S)
        finally:
            broker.close()

    def _hand_over_some(self, broker: Broker) -> bool:
        """Hand over what is due; whether there was something.

        Where the broker does not take what is for one service, such as for a full queue, the others' turn comes
        all the same; where it does so for two, it is the broker that is away.
        """
        now = timezone.now()
        rows = outbox.take(self._services, now)
        done = [row for row in rows if row.expires_at <= now]
        for row in done:
            replies.not_sent(row)
        errors: dict[str, BrokerError] = {}
        for row in rows:
            if row.expires_at <= now or row.service in errors:
                continue
            try:
                broker.hand_over(row.service, _message(row))
            except BrokerError as error:
                errors[row.service] = error
                if len(errors) > 1:
                    break
                continue
            done.append(row)
            self._turned["hand-over"] = time.monotonic()
        outbox.dismiss([row.id for row in done])
        if errors:
            *_, last = errors.values()
            outbox.put_back([row for row in rows if row not in done], str(last), timezone.now())
            if len(errors) > 1 or len(self._services) == 1:
                raise last
            log.warning("The broker at %s takes nothing for %s: %s", self.shown, *errors, last)
        return bool(rows)

    # ---- in --------------------------------------------------------------------

    def _hear(self) -> None:
        broker = Broker(self._url, allow_private=self._allow_private)

        def is_over() -> bool:
            self._turned["replies"] = time.monotonic()
            return self._is_over.is_set()

        def take(reply: Reply) -> None:
            replies.take(reply.correlation, reply.raw, size_bytes=reply.size_bytes, broker=self.shown)
            reply.accept()  # after it is stored: what is not acknowledged is delivered again

        try:
            broker.hear(take, is_over)
        finally:
            broker.close()


def _message(row: OutgoingCommand) -> CommandMessage:
    said = row.message
    return CommandMessage(
        id=str(row.id),
        name=said["name"],
        headers=said["headers"],
        body=opened(said["body"]),
        correlation=said["correlation"],
        expires_in_s=(row.expires_at - timezone.now()).total_seconds(),
    )
