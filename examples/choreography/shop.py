"""One service of the choreographed shop: what it does on which event, and a database of its own.

An event is dealt with once: its source and id go into an inbox, what was done into a
table, and the event that tells of it into an outbox, all in one transaction. So the
process may be killed at any moment: an event that was not dealt with comes again, and
one that was is known. How events come and go is another module's business:
`over_api.py` or `over_rabbitmq.py`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = """
CREATE TABLE IF NOT EXISTS inbox (source TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (source, id));
CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, order_id TEXT NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, event TEXT NOT NULL);
"""
Event = dict[str, Any]  # a CloudEvent in structured mode
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
    """One service and its database, for any number of threads."""

    def __init__(self, name: str, database: str) -> None:
        """Do what `name` does."""
        self.name = name
        self.kinds, self._act = SERVICES[name]
        self.is_over = False
        self._lock = threading.Lock()
        self._database = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = wal")
        self._database.executescript(TABLES)

    def stop(self, _number: int = 0, _frame: object = None) -> None:
        """End soon."""
        self.is_over = True

    def take(self, event: Event) -> None:
        """Do what an event asks for, once; the effect and the event that tells of it commit together."""
        if event["type"] not in self.kinds:
            return
        with self._lock, self._database as database:
            database.execute("BEGIN IMMEDIATE")
            key = (event["source"], event["id"])
            if not database.execute("INSERT OR IGNORE INTO inbox VALUES (?, ?)", key).rowcount:
                return
            data = event["data"]
            done, tells = self._act(event["type"], data)
            if done:
                database.execute("INSERT INTO effect (order_id, what) VALUES (?, ?)", (data["order_id"], done))
            told = {
                "specversion": "1.0",
                "id": f"{event['id']}/{tells}",
                "source": f"/shop/{self.name}",
                "type": tells,
                "causationid": event["id"],
                "data": data,
            }
            database.execute("INSERT INTO outbox (event) VALUES (?)", (json.dumps(told),))

    def to_tell(self, limit: int) -> list[tuple[int, Event]]:
        """Return what the outbox holds, oldest first, each with its number there."""
        with self._lock:
            rows = self._database.execute("SELECT id, event FROM outbox ORDER BY id LIMIT ?", (limit,)).fetchall()
        return [(number, json.loads(text)) for number, text in rows]

    def told(self, number: int) -> None:
        """Take out of the outbox what has arrived: it is stored where it was sent."""
        with self._lock:
            self._database.execute("DELETE FROM outbox WHERE id = ?", (number,))
