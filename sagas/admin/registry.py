"""Services and what was done to them: read here, changed on their pages and over the API. No secret is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from sagas.admin.reading import ReadOnlyAdmin, shown_json
from sagas.models import Service, ServiceChange, WebhookChange
from sagas.presentation.services import address_of

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    """The registry."""

    list_display = ("name", "dashboard", "kind", "address", "is_held", "breaker", "last_success")
    list_filter = ("kind", "is_held")
    search_fields = ("name__startswith",)
    list_select_related = ("state",)
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "dashboard", "kind", "address", "timeout_s", "max_concurrency")}),
        ("May", {"fields": ("allow_private", "follows_redirects")}),
        ("Secrets", {"fields": ("is_signed", "former_secret_until")}),
        ("Held", {"fields": ("is_held", "held_by", "held_reason", "held_at")}),
        ("Calls", {"fields": ("breaker", "last_success", "last_failure", "last_error", "told_of")}),
        ("Written", {"fields": ("revision", "created_at", "updated_at")}),
    )
    readonly_fields = (
        "dashboard", "address", "is_signed", "breaker", "last_success", "last_failure", "last_error", "told_of",
        "former_secret_until", "created_at", "updated_at",
    )  # fmt: skip

    @admin.display(description="dashboard")
    def dashboard(self, service: Service) -> SafeString:
        """Return a link to its page, where it is changed."""
        return format_html('<a href="{}">open</a>', reverse("sagas:service-detail", args=[service.name]))

    @admin.display(description="address", ordering="base_url")
    def address(self, service: Service) -> str:
        """Return the address, with the mask for a password."""
        return address_of(service)

    @admin.display(description="has a secret", boolean=True)
    def is_signed(self, service: Service) -> bool:
        """Return whether what is sent is signed."""
        return service.secret is not None

    @admin.display(description="breaker")
    def breaker(self, service: Service) -> str:
        """Return the breaker's state, as a worker last told of it."""
        state = getattr(service, "state", None)
        return state.get_breaker_display() if state else "never called"

    @admin.display(description="last success")
    def last_success(self, service: Service) -> datetime | None:
        """Return when a call last succeeded."""
        state = getattr(service, "state", None)
        return state.last_success_at if state else None

    @admin.display(description="last failure")
    def last_failure(self, service: Service) -> datetime | None:
        """Return when a call last failed."""
        state = getattr(service, "state", None)
        return state.last_failure_at if state else None

    @admin.display(description="last error")
    def last_error(self, service: Service) -> str:
        """Return the last error in a line."""
        state = getattr(service, "state", None)
        return state.last_error if state else ""

    @admin.display(description="told of")
    def told_of(self, service: Service) -> datetime | None:
        """Return when a worker last told of it."""
        state = getattr(service, "state", None)
        return state.seen_at if state else None


@admin.register(ServiceChange)
class ServiceChangeAdmin(ReadOnlyAdmin):
    """Who changed what, newest first; also of services that are deleted."""

    list_display = ("service_name", "verb", "by", "reason", "at")
    list_filter = ("verb",)
    search_fields = ("service_name__startswith",)
    ordering = ("-id",)
    fields = ("service_name", "verb", "by", "reason", "changed", "at")
    readonly_fields = ("changed",)

    @admin.display(description="fields")
    def changed(self, change: ServiceChange) -> SafeString:
        """Return each field before and after."""
        return shown_json(change.fields)


@admin.register(WebhookChange)
class WebhookChangeAdmin(ReadOnlyAdmin):
    """Who changed which webhook subscription, newest first; also those that were taken away."""

    list_display = ("subscription_name", "verb", "by", "at")
    list_filter = ("verb",)
    search_fields = ("subscription_name__startswith",)
    ordering = ("-id",)
    fields = ("subscription_name", "verb", "by", "changed", "at")
    readonly_fields = ("changed",)

    @admin.display(description="fields")
    def changed(self, change: WebhookChange) -> SafeString:
        """Return each field before and after."""
        return shown_json(change.fields)
