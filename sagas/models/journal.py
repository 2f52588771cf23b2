"""The journal: the append-only, gap-free list of everything that happened to a run."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from sagas.models.run import SagaRun
from sagas.models.sealed_json import SealedJSONField


class JournalEntry(models.Model):
    """One line. `kind` and `data` are one event in journal format 1 (core/codec.py)."""

    pk = models.CompositePrimaryKey("run", "sequence")
    run = models.ForeignKey(SagaRun, on_delete=models.CASCADE, related_name="journal", db_index=False)
    sequence = models.PositiveIntegerField()  # from 1, without gaps
    kind = models.CharField(max_length=40)
    data = SealedJSONField()
    at = models.DateTimeField()

    class Meta:
        ordering = ("run", "sequence")
        constraints = (models.CheckConstraint(name="journal_from_one", condition=Q(sequence__gte=1)),)

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind}"
