"""Orders: who asked what of a run, and why."""

from __future__ import annotations

from django.contrib import admin

from sagas.admin.reading import ReadOnlyAdmin
from sagas.models import Order


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Accepted orders, newest first; what came of each is in the run's journal."""

    list_display = ("run", "number", "verb", "by", "reason", "at")
    list_filter = ("verb",)
    search_fields = ("by__startswith",)
    ordering = ("-id",)
