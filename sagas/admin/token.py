"""API tokens: seen and revoked here, made by `manage.py apitoken`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages

from sagas import access
from sagas.admin.reading import ReadOnlyAdmin
from sagas.core.vocabulary import Role
from sagas.models import ApiToken

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """The token itself is stored nowhere."""

    list_display = ("name", "role", "created_at", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("role",)
    search_fields = ("name__startswith",)
    exclude = ("token_hash",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Admins only."""
        return access.has_role(request.user, Role.ADMIN)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        """End them now; whoever uses one gets 401 from the next request on."""
        for token in tokens:
            if access.revoke_token(token):
                self.message_user(request, f"{token.name}: revoked.", messages.SUCCESS)
            else:
                self.message_user(request, f"{token.name}: was revoked before.", messages.WARNING)
