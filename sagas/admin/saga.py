"""Sagas and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils.html import format_html

from sagas.admin.reading import ReadOnlyAdmin, shown_json
from sagas.models import Saga, SagaVersion

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@admin.register(Saga)
class SagaAdmin(ReadOnlyAdmin):
    """Published from the dashboard, the API or a file."""

    list_display = ("name", "title", "style", "latest", "is_demo", "archived_at")
    list_filter = ("style", "is_demo")
    search_fields = ("name__startswith",)
    list_select_related = ("latest__saga",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Saga]:
        """Leave the documents in the database."""
        return super().get_queryset(request).defer("latest__document", "latest__source")


@admin.register(SagaVersion)
class SagaVersionAdmin(ReadOnlyAdmin):
    """Never changed."""

    list_display = ("__str__", "number", "published_by", "published_at")
    list_filter = ("saga",)
    search_fields = ("saga__name__startswith",)
    list_select_related = ("saga",)
    ordering = ("-id",)
    fields = ("saga", "number", "content_hash", "published_by", "published_at", "as_written", "canonical")
    readonly_fields = ("as_written", "canonical")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SagaVersion]:
        """Leave the documents in the database."""
        return super().get_queryset(request).defer("document", "source")

    @admin.display(description="source")
    def as_written(self, version: SagaVersion) -> SafeString:
        """Return the text that was published."""
        return format_html("<pre>{}</pre>", version.source)

    @admin.display(description="canonical document")
    def canonical(self, version: SagaVersion) -> SafeString:
        """Return what runs follow."""
        return shown_json(version.document)
