"""Sagas, their immutable published versions, and one draft per person."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from sagas.models.identity import uuid7


class Saga(models.Model):
    """A named business process. Never deleted once it has runs: archived."""

    name = models.SlugField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    style = models.CharField(max_length=16, default="orchestration")
    latest = models.ForeignKey("SagaVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_demo = models.BooleanField(default=False)
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class SagaVersion(models.Model):
    """One published version; what a run is pinned to. Never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    saga = models.ForeignKey(Saga, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()  # canonical form
    source = models.TextField()  # as written, with comments
    content_hash = models.CharField(max_length=64)
    published_by = models.CharField(max_length=150)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("saga", "-number")
        constraints = (
            models.UniqueConstraint(name="version_number_once_per_saga", fields=["saga", "number"]),
            models.CheckConstraint(name="version_number_from_one", condition=Q(number__gte=1)),
        )

    def __str__(self) -> str:
        return f"{self.saga.name} v{self.number}"


class Draft(models.Model):
    """What one person is writing; never seen by runs. `base_number` is the version it started from (0: none)."""

    saga_name = models.SlugField(max_length=64)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    source = models.TextField()
    base_number = models.PositiveIntegerField(default=0)
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.UniqueConstraint(name="draft_once_per_person", fields=["saga_name", "owner"]),)

    def __str__(self) -> str:
        return f"draft of {self.saga_name} by {self.owner}"
