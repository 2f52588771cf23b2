"""The inbox: orders accepted by a face, consumed in their number's order by whoever drives the run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from sagas.core.vocabulary import Verb
from sagas.models.identity import uuid7
from sagas.models.run import SagaRun, _choices
from sagas.models.sealed_json import SealedJSONField


class Order(models.Model):
    """What somebody asked of a run: who, when, why. Consumed when `number <= run.inbox_done`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(SagaRun, on_delete=models.CASCADE, related_name="orders", db_index=False)
    number = models.PositiveIntegerField()  # from 1, per run
    verb = models.CharField(max_length=16, choices=_choices(Verb))
    details = SealedJSONField(default=dict)  # {step?, with?, phase?, outcome?, output?, reference?}
    by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ("run", "number")
        constraints = (
            models.UniqueConstraint(name="order_number_once_per_run", fields=["run", "number"]),
            models.CheckConstraint(name="order_from_one", condition=Q(number__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.verb} by {self.by}"
