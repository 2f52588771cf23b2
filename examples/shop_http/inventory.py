"""UpdateInventory and RestoreInventory: `python -m shop_http.inventory --port 8102`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop_http.participant import Participant
from shop_http.store import Answer, Call, refused

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, on_hand INTEGER NOT NULL CHECK (on_hand >= 0));
INSERT OR IGNORE INTO stock VALUES ('teapot', 1000000), ('cup', 1000000), ('moon-rock', 0);
CREATE TABLE IF NOT EXISTS reservation (key TEXT, order_id TEXT, sku TEXT, quantity INTEGER, status TEXT)
"""


def update_inventory(db: sqlite3.Connection, call: Call, said: dict[str, Any]) -> Answer:
    """Reserve every article of an order, or none."""
    wanted: dict[str, int] = {}
    for item in said["items"]:
        wanted[item["sku"]] = wanted.get(item["sku"], 0) + item.get("quantity", 1)
    there = dict(db.execute("SELECT sku, on_hand FROM stock").fetchall())
    if short := [sku for sku, quantity in sorted(wanted.items()) if there.get(sku, 0) < quantity]:
        return refused(f"There are not {wanted[short[0]]} of {short[0]} left.")
    for sku, quantity in wanted.items():
        db.execute("UPDATE stock SET on_hand = on_hand - ? WHERE sku = ?", (quantity, sku))
        db.execute("INSERT INTO reservation VALUES (?, ?, ?, ?, 'held')", (call.key, said["order_id"], sku, quantity))
    return Answer(200, {"reserved": wanted})


def restore_inventory(db: sqlite3.Connection, call: Call, _said: dict[str, Any]) -> Answer:
    """Put back what the action reserved. 404 says that there is nothing to put back, and a DELETE may say so."""
    mine = "FROM reservation WHERE key = ? AND status = 'held'"
    held = db.execute(f"SELECT sku, quantity {mine}", (call.action_key,)).fetchall()
    for sku, quantity in held:
        db.execute("UPDATE stock SET on_hand = on_hand + ? WHERE sku = ?", (quantity, sku))
    db.execute("UPDATE reservation SET status = 'released' WHERE key = ?", (call.action_key,))
    return Answer(200, {"restored": dict(held)}) if held else Answer(404, {"title": "Nothing was reserved"})


inventory = Participant(
    "inventory",
    SCHEMA,
    {("POST", "/reservations"): update_inventory, ("DELETE", "/reservations/{order_id}"): restore_inventory},
)
app = inventory.app

if __name__ == "__main__":
    inventory.serve()
