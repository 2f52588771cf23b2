"""Events through RabbitMQ: one topic exchange on which services publish, read and written as CloudEvents.

A message is an event in structured mode (`application/cloudevents+json`), or in
binary mode: its attributes in headers that begin with `cloudEvents_` or
`cloudEvents:`, its data as the body. The routing key of what is published is the type.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import kombu

from sagas.core.cloud_event import STRUCTURED, is_json, opaque, read_binary, read_structured
from sagas.core.limits import PAYLOAD_BYTES_MAX
from sagas.core.problem import Problem
from sagas.participants.broker import CONFIRM_S, HEARTBEAT_S, Broker
from sagas.participants.broker_message import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sagas.core.cloud_event import CloudEvent
    from sagas.core.vocabulary import Json

EXCHANGE = "events"  # where the address names no other one
QUEUE = "sagaweb.events"
IN_HAND_MAX = 200  # read and not acknowledged yet: one transaction
_PREFIXES = ("cloudEvents_", "cloudEvents:")


@dataclass(frozen=True, slots=True)
class Heard:
    """A message: the event that it is, or what is wrong with it."""

    event: CloudEvent | None
    problems: tuple[Problem, ...]
    size_bytes: int
    accept: Callable[[], None] = field(repr=False)


def exchange_of(url: str) -> tuple[str, str]:
    """Return an address without its query, and the exchange that `?exchange=` names there.

    >>> exchange_of("amqp://host/v?exchange=shop")
    ('amqp://host/v', 'shop')
    """
    parts = urlsplit(url)
    named = parse_qs(parts.query).get("exchange", [EXCHANGE])[0]
    return urlunsplit(parts._replace(query="")), named


class EventBus(Broker):
    """One connection to the exchange. For one thread."""

    def __init__(self, url: str) -> None:
        """Speak to the exchange that `url` names; whoever runs this installation has chosen it."""
        address, name = exchange_of(url)
        super().__init__(address, allow_private=True)
        self._exchange = kombu.Exchange(name, type="topic", durable=True)

    def publish(self, events: Sequence[Mapping[str, Json]]) -> None:
        """Publish events in structured mode; return when the broker has all of them.

        Raises:
            BrokerError: it may have some of them.
        """
        with self._errors():
            producer = self._producer or self._make_producer()
            for event in events:
                producer.publish(
                    json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(),
                    exchange=self._exchange,
                    declare=[self._exchange],
                    routing_key=str(event["type"]),
                    content_type=STRUCTURED,
                    content_encoding="utf-8",
                    delivery_mode=2,
                    message_id=str(event["id"])[:255],
                    timeout=CONFIRM_S,
                    confirm_timeout=CONFIRM_S,
                )

    def listen(self, take: Callable[[list[Heard]], None], is_over: Callable[[], bool]) -> None:
        """Give what comes to `take`, many at a time, until `is_over`; what is not accepted is delivered again.

        Raises:
            BrokerError: the connection is lost.
        """
        with self._errors():
            connection = self._connect()
            channel = open_channel(connection)
            queue = kombu.Queue(QUEUE, exchange=self._exchange, routing_key="#", durable=True)(channel)
            queue.declare()
            heard: list[Heard] = []
            consumer = kombu.Consumer(
                channel, queues=[queue], on_message=lambda message: heard.append(read(message)), auto_declare=False,
                accept=None,
            )  # fmt: skip
            consumer.qos(prefetch_count=IN_HAND_MAX)
            checked_at = time.monotonic()
            with consumer:
                while not is_over():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.02 if heard else 0.5)
                        if len(heard) < IN_HAND_MAX:
                            continue
                    if heard:
                        take(heard)
                        heard.clear()
                    if time.monotonic() - checked_at > HEARTBEAT_S / 4:
                        connection.heartbeat_check()
                        checked_at = time.monotonic()


def read(message: Any) -> Heard:
    """Return the event of one message."""
    body = message.body
    raw = body.encode() if isinstance(body, str) else bytes(body)
    if len(raw) > 2 * PAYLOAD_BYTES_MAX:
        problem = Problem("The message is larger than an event may be.", pointer="")
        return Heard(None, (problem,), len(raw), message.ack)
    event, problems = _event(message, raw)
    return Heard(event, problems, len(raw), message.ack)


def _event(message: Any, raw: bytes) -> tuple[CloudEvent | None, tuple[Problem, ...]]:
    content_type = str(message.content_type or "")
    headers = {
        str(name).removeprefix(prefix): _text(value)
        for name, value in (message.headers or {}).items()
        for prefix in _PREFIXES
        if str(name).startswith(prefix) and value is not None
    }
    try:
        if not headers:
            return read_structured(json.loads(raw.decode()))
        data = json.loads(raw.decode()) if raw and is_json(content_type) else opaque(raw)
        return read_binary(headers, data, content_type)
    except (ValueError, RecursionError):
        return None, (Problem("The message is not JSON in UTF-8.", pointer=""),)


def _text(value: Any) -> str:
    """Return a header as text; a timestamp of AMQP is in UTC and comes without its zone."""
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else str(value)
