"""One line to one broker: a thread that hands commands over, and a thread that hears replies."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from sagas.engine import outbox, replies
from sagas.participants.broker import Broker, BrokerError, CommandMessage, Reply
from sagas.queries.commands import broker_shown
from sagas.sealing import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sagas.models import OutgoingCommand
    from sagas.participants.known_services import KnownService

log = logging.getLogger(__name__)

IDLE_S = 0.05  # between two looks at an empty outbox
PAUSE_S, PAUSE_S_MAX = 0.25, 5.0  # between two tries to reach a broker or the database


class CommandLine:
    """Both directions of the traffic with one broker."""

    def __init__(self, url: str, *, allow_private: bool) -> None:
        """`url` holds the password, and is never shown."""
        self.shown = broker_shown(url)
        self._url = url
        self._allow_private = allow_private
        self._services: tuple[str, ...] = ()
        self._is_over = threading.Event()
        self._turned = dict.fromkeys(("hand-over", "replies"), time.monotonic())
        self._threads = [
            threading.Thread(target=self._keep, args=(name, work), name=name, daemon=True)
            for name, work in (("hand-over", self._hand_over), ("replies", self._hear))
        ]

    def serve(self, services: Sequence[KnownService]) -> None:
        """Carry commands for these services from now on."""
        self._services = tuple(service.name for service in services)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End soon."""
        self._is_over.set()

    def join(self, wait_s: float) -> None:
        """Wait for the end, so long at most."""
        for thread in self._threads:
            thread.join(wait_s)

    def still_s(self) -> float:
        """Return for how long the slower of the two threads has not come round, in seconds."""
        return time.monotonic() - min(self._turned.values())

    def _keep(self, name: str, work: Callable[[], None]) -> None:
        """Do one kind of work until the end, again and again after a broken connection."""
        pause_s = PAUSE_S
        while not self._is_over.is_set():
            began = time.monotonic()
            try:
                work()
            except BrokerError as error:
                log.warning("The broker at %s cannot be reached for %s: %s", self.shown, name, error)
            except (DatabaseError, InterfaceError):
                log.warning("The database cannot be reached for %s of %s", name, self.shown, exc_info=True)
            except Exception:
                log.exception("The %s of %s broke; it starts again", name, self.shown)
            finally:
                connections.close_all()
            if time.monotonic() - began > PAUSE_S_MAX:
                pause_s = PAUSE_S
            until = time.monotonic() + pause_s
            while time.monotonic() < until and not self._is_over.wait(0.1):
                self._turned[name] = time.monotonic()
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

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
