"""What the shop knows: payments, stock, reservations, shipments.

`key` is the idempotency key of the action that made the row, so that an action
asked twice is done once and its compensation finds what to undo.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Payment(models.Model):
    """Money taken for an order, in cents; `refunded` once it was given back."""

    TAKEN, REFUNDED = "taken", "refunded"

    key = models.CharField(max_length=200, unique=True)
    order_id = models.CharField(max_length=64, db_index=True)
    amount = models.PositiveBigIntegerField()
    status = models.CharField(max_length=8, choices=[(TAKEN, TAKEN), (REFUNDED, REFUNDED)], default=TAKEN)
    taken_at = models.DateTimeField(auto_now_add=True)
    refunded_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.amount} for {self.order_id}, {self.status}"


class StockItem(models.Model):
    """How many of one article lie on the shelf, free to be reserved."""

    sku = models.CharField(max_length=64, primary_key=True)
    on_hand = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.on_hand} of {self.sku}"


class Reservation(models.Model):
    """Articles taken off the shelf for an order; `released_at` once they were put back."""

    key = models.CharField(max_length=200)
    order_id = models.CharField(max_length=64, db_index=True)
    item = models.ForeignKey(StockItem, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="reservation_once_per_key", fields=["key", "item"]),
            models.CheckConstraint(name="reservation_of_something", condition=Q(quantity__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.quantity} of {self.item_id} for {self.order_id}"


class Shipment(models.Model):
    """A parcel booked for an order. Asking again under the same key finds the same parcel."""

    key = models.CharField(max_length=200, unique=True)
    order_id = models.CharField(max_length=64, db_index=True)
    tracking = models.CharField(max_length=32)
    booked_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.tracking} for {self.order_id}"
