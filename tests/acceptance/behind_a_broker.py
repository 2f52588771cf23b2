"""A service behind a broker, as somebody else would write it: kombu and a SQLite file, nothing of ours.

    python behind_a_broker.py URL QUEUE BOOK

It honours the idempotency key: an effect is written down once, before the reply.
An order whose number is divisible by five cannot be shipped.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time

import kombu

QUEUE_OPTIONS = {"durable": True}


def effect(book: sqlite3.Connection, message: kombu.Message) -> dict:
    """Carry a command out, once for each key, and return the reply."""
    key, name = message.headers["Idempotency-Key"], message.headers["Saga-Command"]
    body = json.loads(message.body)
    with book:
        book.execute("INSERT INTO deliveries VALUES (?)", (key,))
        known = book.execute("SELECT reply FROM effects WHERE key = ?", (key,)).fetchone()
        if known:
            return json.loads(known[0])
        if name == "ship" and body["number"] % 5 == 0:
            reply = {"outcome": "rejected", "error": {"code": "no_address", "message": "Nobody lives there."}}
        else:
            reply = {"outcome": "succeeded", "output": {"done": name}}
        happened = reply["outcome"] == "succeeded"
        row = (key, name, body["number"], happened, json.dumps(reply))
        book.execute("INSERT INTO effects VALUES (?, ?, ?, ?, ?)", row)
    return reply


def serve(url: str, name: str, book: sqlite3.Connection) -> None:
    """Take commands until the connection breaks."""
    options = {"visibility_timeout": 5} if url.startswith("redis") else {}
    with kombu.Connection(url, heartbeat=10, transport_options=options, connect_timeout=3) as connection:
        channel = connection.channel()
        queue = kombu.Queue(name, kombu.Exchange(""), name, **QUEUE_OPTIONS)(channel)
        queue.declare()
        producer = kombu.Producer(channel)

        def take(message: kombu.Message) -> None:
            reply = effect(book, message)
            producer.publish(
                json.dumps(reply).encode(),
                exchange="",
                routing_key=message.properties["reply_to"],
                correlation_id=message.properties["correlation_id"],
                content_type="application/json",
                delivery_mode=2,
            )
            message.ack()

        consumer = kombu.Consumer(channel, [queue], on_message=take, auto_declare=False)
        consumer.qos(prefetch_count=20)
        with consumer:
            while True:
                try:
                    connection.drain_events(timeout=1)
                except TimeoutError:
                    connection.heartbeat_check()


def main() -> None:
    """Serve for ever, whatever becomes of the broker."""
    url, name, path = sys.argv[1:]
    book = sqlite3.connect(path)
    with book:
        book.execute("CREATE TABLE IF NOT EXISTS deliveries (key TEXT)")
        book.execute(
            "CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, name TEXT, number INT, happened INT, reply TEXT)"
        )
    while True:
        try:
            serve(url, name, book)
        except Exception as error:  # noqa: BLE001 - the broker is away, however it says so: come again
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            time.sleep(0.3)


if __name__ == "__main__":
    main()
