"""One service of the choreographed shop: a process with a database of its own, which knows nobody but the exchange.

    python -m choreography.shop payments --broker amqp://guest@127.0.0.1:5672// --database /tmp/payments.sqlite3

It takes events from its queue, does what it has to do once for each (an inbox in
its own database), and publishes what it did from an outbox in the same database. It
may be killed at any moment: an event that was not dealt with is delivered again,
and one that was is known.
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import kombu
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable

EXCHANGE = kombu.Exchange("events", type="topic", durable=True)
TABLES = """
CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, event TEXT NOT NULL);
"""
Said = tuple[str, str]  # what was done, empty for nothing; which event tells of it


def payments(kind: str, data: dict[str, Any]) -> Said:
    """Take the money; give it back when the goods are not to be had, or are back."""
    if kind == "order.placed":
        return ("", "payment.refused") if data.get("fails_at") == "payment" else ("taken", "payment.taken")
    return "refunded", "payment.refunded"


def inventory(kind: str, data: dict[str, Any]) -> Said:
    """Set the goods aside; put them back when they cannot be sent."""
    if kind == "payment.taken":
        return ("", "stock.short") if data.get("fails_at") == "stock" else ("reserved", "stock.reserved")
    return "restored", "stock.restored"


def shipping(_kind: str, data: dict[str, Any]) -> Said:
    """Send the parcel."""
    return ("", "shipment.failed") if data.get("fails_at") == "shipment" else ("shipped", "order.shipped")


SERVICES: dict[str, tuple[tuple[str, ...], Callable[[str, dict[str, Any]], Said]]] = {
    "payments": (("order.placed", "stock.short", "stock.restored"), payments),
    "inventory": (("payment.taken", "shipment.failed"), inventory),
    "shipping": (("stock.reserved",), shipping),
}


class Service:
    """The process of one service."""

    def __init__(self, name: str, broker: str, database: str) -> None:
        """Do what `name` does."""
        self.name = name
        self.kinds, self.act = SERVICES[name]
        self.broker = broker
        self.is_over = False
        self.database = sqlite3.connect(database, isolation_level=None)
        self.database.execute("PRAGMA journal_mode = wal")
        self.database.executescript(TABLES)

    def stop(self, _number: int = 0, _frame: object = None) -> None:
        """End soon."""
        self.is_over = True

    def work(self) -> None:
        """Work until told to stop; a broker that goes away is waited for."""
        while not self.is_over:
            with (
                suppress(OperationalError, OSError),
                kombu.Connection(
                    self.broker, connect_timeout=2, transport_options={"confirm_publish": True}
                ) as connection,
            ):
                self._serve(connection)
            time.sleep(0.2)

    def _serve(self, connection: kombu.Connection) -> None:
        producer = kombu.Producer(connection.channel())
        queue = kombu.Queue(
            f"shop.{self.name}", exchange=EXCHANGE, durable=True,
            bindings=[kombu.binding(EXCHANGE, routing_key=kind) for kind in self.kinds],
        )  # fmt: skip
        with kombu.Consumer(connection.channel(), [queue], on_message=self._take, prefetch_count=10, accept=None):
            while not self.is_over:
                self._publish(producer)
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)

    def _take(self, message: Any) -> None:
        """Do what an event asks for, once; the effect and the event that tells of it commit together."""
        event = json.loads(message.body)
        self.database.execute("BEGIN IMMEDIATE")
        is_new = self.database.execute("INSERT OR IGNORE INTO inbox VALUES (?)", (event["id"],)).rowcount
        if is_new:
            data = event["data"]
            done, tells = self.act(event["type"], data)
            if done:
                self.database.execute("INSERT INTO effect (order_id, what) VALUES (?, ?)", (data["order_id"], done))
            told = {
                "specversion": "1.0",
                "id": f"{event['id']}/{tells}",
                "source": f"/shop/{self.name}",
                "type": tells,
                "causationid": event["id"],
                "data": data,
            }
            self.database.execute("INSERT INTO outbox (event) VALUES (?)", (json.dumps(told),))
        self.database.execute("COMMIT")
        message.ack()

    def _publish(self, producer: kombu.Producer) -> None:
        """Publish what the outbox holds; what the broker has confirmed is taken out."""
        for number, text in self.database.execute("SELECT id, event FROM outbox ORDER BY id").fetchall():
            publish(producer, json.loads(text))
            self.database.execute("DELETE FROM outbox WHERE id = ?", (number,))


def publish(producer: kombu.Producer, event: dict[str, Any]) -> None:
    """Publish one event, and wait until the broker has it."""
    producer.publish(
        json.dumps(event).encode(), exchange=EXCHANGE, declare=[EXCHANGE], routing_key=event["type"], delivery_mode=2,
        content_type="application/cloudevents+json", content_encoding="utf-8", timeout=5,
    )  # fmt: skip


def main() -> None:
    """Be one service."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=SERVICES)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    service = Service(options.name, options.broker, options.database)
    signal.signal(signal.SIGTERM, service.stop)
    service.work()


if __name__ == "__main__":
    main()
