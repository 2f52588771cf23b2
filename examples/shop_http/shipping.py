"""CreateShipment, which calls back, and CancelShipment: `python -m shop_http.shipping --port 8103`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop_http.participant import Participant
from shop_http.store import Answer, Call

if TYPE_CHECKING:
    import sqlite3

SCHEMA = "CREATE TABLE IF NOT EXISTS shipment (key TEXT PRIMARY KEY, order_id TEXT, tracking TEXT, status TEXT)"


def create_shipment(db: sqlite3.Connection, call: Call, said: dict[str, Any]) -> Answer:
    """Take the parcel on: 202 means that the outcome is called back to the address in `Saga-Callback`."""
    tracking = f"PARCEL-{call.run[-12:].upper()}"
    db.execute("INSERT INTO shipment VALUES (?, ?, ?, 'booked')", (call.key, said["order_id"], tracking))
    return Answer(202, {"tracking": tracking})


def cancel_shipment(db: sqlite3.Connection, call: Call, _said: dict[str, Any]) -> Answer:
    booked = db.execute("UPDATE shipment SET status = 'cancelled' WHERE key = ?", (call.action_key,))
    return Answer(200, {"cancelled": bool(booked.rowcount)})


shipping = Participant(
    "shipping",
    SCHEMA,
    {("POST", "/shipments"): create_shipment, ("POST", "/cancellations"): cancel_shipment},
)
app = shipping.app

if __name__ == "__main__":
    shipping.serve()
