"""Pump slots: which pumps should be running, and whether they are."""

from __future__ import annotations

from django.db import models


class PumpSlot(models.Model):
    """The right to be one of a worker group's pumps. Taken by compare-and-set on `token`.

    `group` names the worker command that owns the slot (host and start), so that
    each scale-out worker has its own pumps.
    """

    group = models.CharField(max_length=100)
    number = models.PositiveSmallIntegerField()
    token = models.PositiveBigIntegerField(default=0)
    holder = models.CharField(max_length=100, blank=True, default="")  # host:pid while a shift runs
    beat_at = models.DateTimeField(null=True)  # moved each second by the lease thread
    loop_at = models.DateTimeField(null=True)  # when the event loop last turned
    held = models.PositiveIntegerField(default=0)  # runs in hand at the last beat
    driven = models.PositiveBigIntegerField(default=0)  # transitions committed since the slot was made

    class Meta:
        constraints = (models.UniqueConstraint(name="pump_slot_once", fields=["group", "number"]),)

    def __str__(self) -> str:
        return f"{self.group} pump {self.number}"
