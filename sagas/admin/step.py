"""Step runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from sagas.admin.reading import ReadOnlyAdmin, shown_json
from sagas.models import StepRun

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(StepRun)
class StepRunAdmin(ReadOnlyAdmin):
    """Both halves of each step that was touched."""

    list_display = ("run", "step", "item", "status", "waits_for", "compensation_status", "attempts", "due", "ended_at")
    list_filter = ("status", "waits_for", "compensation_status")
    search_fields = ("step__startswith",)
    list_select_related = ("run",)
    ordering = ("-id",)
    fields = (
        *("run", "step", "item", "status", "waits_for", "compensation_status", "attempts", "compensation_attempts"),
        *("due", "started_at", "ended_at", "output_shown", "error_shown"),
    )
    readonly_fields = ("due", "output_shown", "error_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StepRun]:
        """Leave payloads in the database."""
        run = ("run__input", "run__output", "run__reason", "run__attention", "run__signals")
        return super().get_queryset(request).defer("output", "error", "halves", *run)

    @admin.display(description="next try, or end of the wait", ordering="next_attempt_at")
    def due(self, step: StepRun) -> datetime | None:
        """Return when the step goes on by itself."""
        return step.next_attempt_at

    @admin.display(description="output")
    def output_shown(self, step: StepRun) -> SafeString:
        """Return the output."""
        return shown_json(step.output)

    @admin.display(description="error")
    def error_shown(self, step: StepRun) -> SafeString:
        """Return why the last attempt did not succeed."""
        return shown_json(step.error)
