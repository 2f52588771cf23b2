"""What the shop can do and undo.

Payments and stock are `atomic`: their rows commit together with the journal
entry that says so, exactly once. Booking a parcel stands for a call to a
carrier: its outcome can be unknown, so it is done once per key and answered
alike as often as it is asked. Compensations bear that the action never
happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils import timezone

from sagas import Rejected, action
from shop import faults
from shop.models import Payment, Reservation, Shipment, StockItem

if TYPE_CHECKING:
    from sagas.participants.base import Call

CREDIT_LIMIT = 100_000_000  # cents; whoever asks for more is refused


@action("shop.process_payment", atomic=True)
def process_payment(
    call: Call, order_id: str, amount: int, fault: faults.Fault | None = None, pace_ms: int | None = None
) -> dict[str, Any]:
    """Take `amount` cents for an order."""
    faults.pace(pace_ms)
    faults.before(call, fault)
    if amount > CREDIT_LIMIT:
        message = f"The card was declined: {amount} is more than {CREDIT_LIMIT}."
        raise Rejected(message, code="card_declined")
    payment = Payment.objects.create(key=call.idempotency_key, order_id=order_id, amount=amount)
    faults.after(call, fault)
    return {"payment_id": payment.pk, "amount": amount}


@action("shop.refund_payment", atomic=True)
def refund_payment(
    call: Call, order_id: str, fault: faults.Fault | None = None, pace_ms: int | None = None
) -> dict[str, Any]:
    """Give back what the action took; nothing, when it never did."""
    faults.pace(pace_ms)
    faults.before(call, fault)
    taken = Payment.objects.filter(key=call.action_key, status=Payment.TAKEN)
    refunded = taken.update(status=Payment.REFUNDED, refunded_at=timezone.now())
    faults.after(call, fault)
    return {"order_id": order_id, "refunded": bool(refunded)}


@action("shop.update_inventory", atomic=True)
def update_inventory(
    call: Call,
    order_id: str,
    items: list[dict[str, Any]],
    fault: faults.Fault | None = None,
    pace_ms: int | None = None,
) -> dict[str, Any]:
    """Reserve every article of an order, or none."""
    faults.pace(pace_ms)
    faults.before(call, fault)
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item["sku"]] = wanted.get(item["sku"], 0) + item.get("quantity", 1)
    for sku, quantity in sorted(wanted.items()):  # one order of locks, so that two orders never wait in a circle
        if not StockItem.objects.filter(sku=sku, on_hand__gte=quantity).update(on_hand=F("on_hand") - quantity):
            message = f"There are not {quantity} of {sku} left."
            raise Rejected(message, code="out_of_stock", details={"sku": sku})
        Reservation.objects.create(key=call.idempotency_key, order_id=order_id, item_id=sku, quantity=quantity)
    faults.after(call, fault)
    return {"reserved": wanted}


@action("shop.restore_inventory", atomic=True)
def restore_inventory(
    call: Call, order_id: str, fault: faults.Fault | None = None, pace_ms: int | None = None
) -> dict[str, Any]:
    """Put back what the action reserved; nothing, when it never did."""
    faults.pace(pace_ms)
    faults.before(call, fault)
    held = Reservation.objects.filter(key=call.action_key, released_at=None).order_by("item_id")
    restored = {one.item_id: one.quantity for one in held}
    for sku, quantity in restored.items():
        StockItem.objects.filter(sku=sku).update(on_hand=F("on_hand") + quantity)
    held.update(released_at=timezone.now())
    faults.after(call, fault)
    return {"order_id": order_id, "restored": restored}


@action("shop.create_shipment")
def create_shipment(
    call: Call, order_id: str, fault: faults.Fault | None = None, pace_ms: int | None = None
) -> dict[str, Any]:
    """Book a parcel, once per key."""
    faults.pace(pace_ms)
    faults.before(call, fault)
    shipment, _ = Shipment.objects.get_or_create(
        key=call.idempotency_key, defaults={"order_id": order_id, "tracking": f"PARCEL-{call.run_id[-12:].upper()}"}
    )
    faults.after(call, fault)
    return {"shipment_id": shipment.pk, "tracking": shipment.tracking}
