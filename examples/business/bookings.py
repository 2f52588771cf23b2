"""Seats, rooms, articles, couriers: there is a number of them, and one booking takes some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import F

from business import effects
from business.models import Booking, Supply
from sagas import Rejected, action

if TYPE_CHECKING:
    from sagas.participants.base import Call


@action("bookings.book")
def book(call: Call, ref: str, supply: str, quantity: int = 1) -> Any:
    """Take `quantity` of a supply, or be refused."""

    def take() -> dict[str, Any]:
        if not Supply.objects.filter(name=supply, free__gte=quantity).update(free=F("free") - quantity):
            raise Rejected(f"There are not {quantity} of {supply} left.", code="sold_out")
        row = Booking.objects.create(**effects.named(call, ref), supply_id=supply, quantity=quantity)
        return {"booking": f"B-{row.pk}", "quantity": quantity}

    return effects.once(call, ref, take)


@action("bookings.cancel")
def cancel(call: Call, ref: str) -> Any:
    """Give back what the action took."""

    def give_back() -> dict[str, Any]:
        row = effects.undo(Booking, call)
        if row is not None:
            Supply.objects.filter(name=row.supply_id).update(free=F("free") + row.quantity)
        return {"quantity": row.quantity if row else 0}

    return effects.once(call, ref, give_back)


@action("bookings.free", reads_only=True)
def free(call: Call, ref: str, supply: str, quantity: int = 1) -> Any:
    """Look how much is free; refuse when it is less than `quantity`."""
    with effects.on_purpose(call, ref):
        found = Supply.objects.filter(name=supply).first()
        if found is None or found.free < quantity:
            raise Rejected(f"There are not {quantity} of {supply} left.", code="sold_out")
        return {"free": found.free}
