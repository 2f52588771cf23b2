"""Command messages through a broker (RabbitMQ by AMQP, or Redis): handing them over, and hearing the replies.

The broker is a URL; kombu speaks to it. What a service behind a broker is sent
and must answer: docs/reference/participants-broker.md.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import kombu
from amqp.exceptions import MessageNacked
from kombu.exceptions import KombuError

from sagas.core.limits import PAYLOAD_BYTES_MAX
from sagas.participants.broker_message import open_channel
from sagas.participants.network import AddressRefusedError, check_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sagas.core.vocabulary import Json
    from sagas.participants.known_services import KnownService

logger = logging.getLogger(__name__)

REPLIES = "sagaweb.replies"
CONFIRM_S = 10.0  # until the broker has said that it has a command
CONNECT_S = 5.0
HEARTBEAT_S = 10.0
IN_HAND_MAX = 50  # replies taken from the broker and not acknowledged yet
REDELIVERY_S = 60  # Redis: after so long a reply in the hands of a dead courier is given out again
CONTENT_TYPE = "application/json"

AMQP, REDIS = ("amqp", "amqps"), ("redis", "rediss")


class BrokerError(Exception):
    """The broker does not answer, or refuses. The message names no password."""


@dataclass(frozen=True, slots=True)
class CommandMessage:
    """One command, as it is handed over.

    Attributes:
        id: the same however often it is handed over.
        name: which command.
        headers: those of a participant over HTTP, with the idempotency key.
        body: the arguments.
        correlation: what the reply must carry; nobody can guess it.
        expires_in_s: after so long the broker need not deliver it any more.
    """

    id: str
    name: str
    headers: Mapping[str, str]
    body: Json
    correlation: str
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """A message in the queue of replies, unread. `raw` is empty when it was larger than a payload may be."""

    correlation: str
    raw: bytes
    size_bytes: int
    accept: Callable[[], None] = field(repr=False)  # says to the broker that it is dealt with


def queue_of(service: str) -> str:
    """Return the queue from which a service takes its commands."""
    return f"sagaweb.{service}"


def address(service: KnownService) -> str:
    """Return where the broker of a service is, with the password. Not to be shown."""
    parts = urlsplit(service.base_url)
    if not service.password:
        return service.base_url
    user = quote(parts.username or "", safe="")
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(service.password, safe='')}@{host}"))


class Broker:
    """One connection to one broker. For one thread; it connects when it is first used."""

    def __init__(self, url: str, *, allow_private: bool = False) -> None:
        """Speak to the broker at `url`.

        Args:
            url: `amqp://`, `amqps://`, `redis://` or `rediss://`; it may hold a password.
            allow_private: whether it may be on this machine or in a private network.
        """
        self._url = url
        self._host = urlsplit(url).hostname or ""
        self._allow_private = allow_private
        self._connection: kombu.Connection | None = None
        self._producer: kombu.Producer | None = None
        self._declared: set[str] = set()

    def hand_over(self, service: str, message: CommandMessage) -> None:
        """Give the broker a command for a service; return when the broker has it.

        Raises:
            BrokerError: it may or may not have it.
        """
        with self._errors():
            producer = self._producer or self._make_producer()
            queue = _queue(queue_of(service))
            for each in (queue, _queue(REPLIES)):  # no command leaves before there is a place for its reply
                if each.name not in self._declared:
                    each(producer.channel).declare()
                    self._declared.add(each.name)
            producer.publish(
                json.dumps(message.body, ensure_ascii=False, separators=(",", ":")).encode(),
                exchange="",
                routing_key=queue.name,
                content_type=CONTENT_TYPE,
                content_encoding="utf-8",
                delivery_mode=2,
                headers={**message.headers, "Saga-Command": message.name},
                message_id=message.id,
                correlation_id=message.correlation,
                reply_to=REPLIES,
                type=message.name,
                expiration=max(0.001, message.expires_in_s),
                timeout=CONFIRM_S,
                confirm_timeout=CONFIRM_S,
            )

    def hear(self, take: Callable[[Reply], None], is_over: Callable[[], bool]) -> None:
        """Give every reply to `take` until `is_over`; what is not accepted is delivered again.

        Raises:
            BrokerError: the connection is lost.
        """
        with self._errors():
            connection = self._connect()
            channel = open_channel(connection)
            queue = _queue(REPLIES)(channel)
            queue.declare()

            faults: list[Exception] = []  # of `take`: they are not the message's

            def give(reply: Reply) -> None:
                try:
                    take(reply)
                except Exception as error:
                    faults.append(error)
                    raise

            def heard(message: Any) -> None:
                give(_reply(message))

            consumer = kombu.Consumer(channel, queues=[queue], on_message=heard, auto_declare=False)
            consumer.qos(prefetch_count=IN_HAND_MAX)
            checked_at = time.monotonic()
            with consumer:
                while not is_over():
                    try:
                        connection.drain_events(timeout=0.5)
                    except TimeoutError:
                        pass
                    except (ValueError, RecursionError) as error:
                        if error in faults:
                            raise
                        give(_NO_MESSAGE)
                    if connection.supports_heartbeats and time.monotonic() - checked_at > HEARTBEAT_S / 4:
                        connection.heartbeat_check()
                        checked_at = time.monotonic()

    def rest(self) -> None:
        """Keep the connection alive while there is nothing to hand over.

        Raises:
            BrokerError: it is lost.
        """
        if self._connection is not None and self._connection.supports_heartbeats:
            with self._errors():
                self._connection.heartbeat_check()

    def close(self) -> None:
        """Let go of the connection; it is made anew when it is needed."""
        connection, self._connection, self._producer = self._connection, None, None
        self._declared.clear()
        if connection is not None:
            try:
                connection.release()
            except Exception:  # a broken connection may break again at its end
                logger.debug("A connection to %s broke while it was closed", self._host, exc_info=True)

    def _make_producer(self) -> kombu.Producer:
        self._producer = kombu.Producer(self._connect().channel(), auto_declare=False)
        return self._producer

    def _connect(self) -> kombu.Connection:
        if self._connection is None:
            check_host(self._host, allow_private=self._allow_private)
            scheme = urlsplit(self._url).scheme
            connection = kombu.Connection(
                self._url,
                connect_timeout=CONNECT_S,
                heartbeat=HEARTBEAT_S if scheme in AMQP else 0,
                transport_options=_AMQP_OPTIONS if scheme in AMQP else _REDIS_OPTIONS,
            )
            connection.connect()
            self._connection = connection
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        known = (KombuError, OSError, socket.timeout, *_library_errors(self._url))
        try:
            yield
        except BrokerError:
            self.close()
            raise
        except known as error:
            self.close()
            why = str(error) if isinstance(error, AddressRefusedError) else f"{self._host}: {type(error).__name__}"
            raise BrokerError(why) from None


_AMQP_OPTIONS = {"confirm_publish": True, "read_timeout": 2 * HEARTBEAT_S, "write_timeout": HEARTBEAT_S}
_REDIS_OPTIONS = {
    "visibility_timeout": REDELIVERY_S,
    "socket_connect_timeout": CONNECT_S,
    "socket_timeout": 2 * HEARTBEAT_S,
    "retry_on_timeout": False,
    "health_check_interval": int(HEARTBEAT_S),
    "brpop_timeout": 1,
    "unacked_restore_limit": IN_HAND_MAX,
}


_NO_MESSAGE = Reply("", b"", 0, accept=lambda: None)  # Redis has forgotten it already


def _library_errors(url: str) -> tuple[type[BaseException], ...]:
    transport = kombu.Connection(url).get_transport_cls()
    return (*transport.connection_errors, *transport.channel_errors, MessageNacked)


def _queue(name: str) -> kombu.Queue:
    return kombu.Queue(name, exchange=kombu.Exchange("", type="direct"), routing_key=name, durable=True)


def _reply(message: Any) -> Reply:
    body = message.body
    raw = body.encode() if isinstance(body, str) else bytes(body)
    correlation = message.properties.get("correlation_id")
    return Reply(
        correlation=correlation if isinstance(correlation, str) else "",
        raw=raw if len(raw) <= 2 * PAYLOAD_BYTES_MAX else b"",
        size_bytes=len(raw),
        accept=message.ack,
    )
