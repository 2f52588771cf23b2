"""The admin's site: who is signed in and may not enter is told so, and not asked for a password again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import PermissionDenied

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class SagaAdminSite(AdminSite):
    """Django's own, but for its door."""

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Ask strangers for name and password; refuse others with 403."""
        if request.user.is_authenticated and not self.has_permission(request):
            message = "The admin needs the role operator."
            raise PermissionDenied(message)
        return super().login(request, extra_context)


class SagaAdminConfig(AdminConfig):
    """Django's own admin, on our site."""

    default_site = "sagaweb.admin.SagaAdminSite"
