"""ProcessPayment and RefundPayment: `python -m shop_http.payments --port 8101`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shop_http.participant import Participant
from shop_http.store import Answer, Call, refused

if TYPE_CHECKING:
    import sqlite3

CREDIT_LIMIT = 100_000_000  # cents; whoever asks for more is refused
SCHEMA = "CREATE TABLE IF NOT EXISTS payment (key TEXT PRIMARY KEY, order_id TEXT, amount INTEGER, status TEXT)"


def process_payment(db: sqlite3.Connection, call: Call, said: dict[str, Any]) -> Answer:
    if said["amount"] > CREDIT_LIMIT:
        return refused(f"The card was declined: {said['amount']} is more than {CREDIT_LIMIT}.")
    db.execute("INSERT INTO payment VALUES (?, ?, ?, 'taken')", (call.key, said["order_id"], said["amount"]))
    return Answer(200, {"payment": call.key[-20:], "amount": said["amount"]})


def refund_payment(db: sqlite3.Connection, call: Call, said: dict[str, Any]) -> Answer:
    """Give back what the action took; nothing, when it never did."""
    taken = "key = ? AND status = 'taken'"
    done = db.execute(f"UPDATE payment SET status = 'refunded' WHERE {taken}", (call.action_key,))  # noqa: S608 - ours
    return Answer(200, {"order_id": said["order_id"], "refunded": bool(done.rowcount)})


payments = Participant(
    "payments",
    SCHEMA,
    {("POST", "/payments"): process_payment, ("POST", "/refunds"): refund_payment},
    probe="/payments/{order_id}",
)
app = payments.app

if __name__ == "__main__":
    payments.serve()
