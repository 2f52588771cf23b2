"""The shop over an exchange of RabbitMQ: its services know nobody else, and nothing of Sagaweb."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import kombu
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from choreography.shop import Event, Service

EXCHANGE = kombu.Exchange("events", type="topic", durable=True)
TOLD_MAX = 100  # between two looks at what came


def work(service: Service, broker: str) -> None:
    """Work until told to stop; a broker that goes away is waited for."""
    while not service.is_over:
        with (
            suppress(OperationalError, OSError),
            kombu.Connection(broker, connect_timeout=2, transport_options={"confirm_publish": True}) as connection,
        ):
            _serve(service, connection)
        time.sleep(0.2)


def _serve(service: Service, connection: kombu.Connection) -> None:
    def take(message: Any) -> None:
        service.take(json.loads(message.body))
        message.ack()  # after it is dealt with: what is not acknowledged is delivered again

    producer = kombu.Producer(connection.channel())
    queue = kombu.Queue(
        f"shop.{service.name}", exchange=EXCHANGE, durable=True,
        bindings=[kombu.binding(EXCHANGE, routing_key=kind) for kind in service.kinds],
    )  # fmt: skip
    with kombu.Consumer(connection.channel(), [queue], on_message=take, prefetch_count=10, accept=None):
        while not service.is_over:
            for number, event in service.to_tell(TOLD_MAX):
                publish(producer, event)
                service.told(number)
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.1)


def publish(producer: kombu.Producer, event: Event) -> None:
    """Publish one event, and wait until the broker has it."""
    producer.publish(
        json.dumps(event).encode(), exchange=EXCHANGE, declare=[EXCHANGE], routing_key=event["type"], delivery_mode=2,
        content_type="application/cloudevents+json", content_encoding="utf-8", timeout=5,
    )  # fmt: skip
