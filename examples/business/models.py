"""What the example companies know: money on accounts, places that can be taken, records that stand.

Whatever a step does is one row of `Movement`, `Booking` or `Record`; undoing it
dates the row's `undone_at`. So it can be asked at any time which effects of a run
stand, and the sums must agree with them.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class Account(models.Model):
    """Money (cents) or points of somebody. Only an account of the house may go below zero."""

    name = models.CharField(max_length=64, primary_key=True)
    opening = models.BigIntegerField()
    balance = models.BigIntegerField()
    is_house = models.BooleanField(default=False)

    class Meta:
        constraints = (
            models.CheckConstraint(name="account_not_overdrawn", condition=Q(is_house=True) | Q(balance__gte=0)),
        )

    def __str__(self) -> str:
        return f"{self.balance} of {self.name}"


class Supply(models.Model):
    """What there is a number of: seats of a flight, rooms of a hotel, pieces of an article."""

    name = models.CharField(max_length=64, primary_key=True)
    total = models.PositiveIntegerField()
    free = models.PositiveIntegerField()

    class Meta:
        constraints = (models.CheckConstraint(name="supply_free_of_total", condition=Q(free__lte=F("total"))),)

    def __str__(self) -> str:
        return f"{self.free} of {self.total} {self.name}"


class Effect(models.Model):
    """One thing that one step of one run did. `key` is the idempotency key of the action."""

    key = models.CharField(max_length=200, unique=True)
    run = models.CharField(max_length=36, db_index=True)
    step = models.CharField(max_length=64)
    ref = models.CharField(max_length=64, db_index=True)  # what the business calls it: an order, a customer
    done_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Movement(Effect):
    """`amount` went from one account to another."""

    payer = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    payee = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    amount = models.PositiveBigIntegerField()

    def __str__(self) -> str:
        return f"{self.amount} from {self.payer_id} to {self.payee_id} for {self.ref}"


class Booking(Effect):
    """`quantity` of a supply is taken."""

    supply = models.ForeignKey(Supply, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.quantity} of {self.supply_id} for {self.ref}"


class Record(Effect):
    """Something that is or is not: an open ticket, a tenant's database, a letter sent. One of a kind for each `ref`."""

    kind = models.CharField(max_length=64)
    details = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                name="record_stands_once", fields=["kind", "ref"], condition=Q(undone_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.ref}"


class Trouble(models.Model):
    """Goes wrong on purpose: `half` of the case `ref` ends as `mode`, at the first `times` attempts (0: at all)."""

    REJECTED, FAILED = "rejected", "failed"
    UNKNOWN_BEFORE, UNKNOWN_AFTER = "unknown_before_effect", "unknown_after_effect"
    MODES = (REJECTED, FAILED, UNKNOWN_BEFORE, UNKNOWN_AFTER)

    ref = models.CharField(max_length=64)
    half = models.CharField(max_length=90)  # `book_hotel`, `book_hotel.compensation`
    mode = models.CharField(max_length=24, choices=[(mode, mode) for mode in MODES])
    times = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(name="trouble_once_per_half", fields=["ref", "half"]),)

    def __str__(self) -> str:
        return f"{self.half} of {self.ref}: {self.mode}"
