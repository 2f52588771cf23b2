"""Step runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from sagas.admin.reading import ReadOnlyAdmin, shown_json
from sagas.models import StepRun

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(StepRun)
class StepRunAdmin(ReadOnlyAdmin):
    """Both halves of each step that was touched."""

    list_display = ("run", "step", "item", "status", "compensation_status", "attempts", "next_attempt_at", "ended_at")
    list_filter = ("status", "compensation_status")
    search_fields = ("step__startswith",)
    list_select_related = ("run",)
    ordering = ("-id",)
    fields = (
        *("run", "step", "item", "status", "compensation_status", "attempts", "compensation_attempts"),
        *("next_attempt_at", "started_at", "ended_at", "output_shown", "error_shown"),
    )
    readonly_fields = ("output_shown", "error_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StepRun]:
        """Leave payloads in the database."""
        run = ("run__input", "run__output", "run__reason", "run__attention")
        return super().get_queryset(request).defer("output", "error", "halves", *run)

    @admin.display(description="output")
    def output_shown(self, step: StepRun) -> SafeString:
        """Return the output."""
        return shown_json(step.output)

    @admin.display(description="error")
    def error_shown(self, step: StepRun) -> SafeString:
        """Return why the last attempt did not succeed."""
        return shown_json(step.error)
