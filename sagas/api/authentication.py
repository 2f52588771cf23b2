"""Who calls: a bearer token, or a person's browser session with its CSRF token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, MethodNotAllowed
from rest_framework.permissions import BasePermission

from sagas import access
from sagas.core.vocabulary import Role

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

    from sagas.models import ApiToken


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end. `by` is written into journals; `owner` keeps idempotency keys apart."""

    standing: access.Standing
    by: str
    owner: str

    is_authenticated = True
    is_active = True


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer sgw_…`; a wrong token is refused even when a session is there."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiToken] | None:
        """Return the token's caller, or None when another scheme is used.

        Raises:
            AuthenticationFailed: the token is unknown, revoked or expired.
        """
        scheme, _, raw = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = access.find_token(raw.strip())
        if token is None:
            message = "The token is unknown, revoked or expired."
            raise AuthenticationFailed(message)
        return Caller(access.Standing(Role(token.role)), f"token:{token.name}", f"token:{token.pk}"), token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that goes with a 401."""
        del request
        return 'Bearer realm="sagaweb"'


class CookieAuthentication(SessionAuthentication):
    """The dashboard's session; anything that writes must carry the `X-CSRFToken` header."""

    def authenticate(self, request: Request) -> tuple[Caller, None] | None:
        """Return the signed-in person, or None.

        Raises:
            PermissionDenied: the CSRF token is missing or wrong.
        """
        user = get_user(request._request)  # noqa: SLF001 - the lazy user would be replaced by the Caller
        if not user.is_authenticated or not user.is_active:
            return None
        self.enforce_csrf(request)
        return Caller(access.standing_of(user), user.get_username(), f"user:{user.pk}"), None

    def enforce_csrf(self, request: Any) -> None:
        """Check the header only: a form field would mean parsing a body before it is guarded."""
        plain = request._request  # noqa: SLF001
        plain._post, plain._files = QueryDict(), MultiValueDict()  # noqa: SLF001
        super().enforce_csrf(plain)


class HasRole(BasePermission):
    """Each view says in `roles` which role each of its methods needs; what is not named there is not allowed."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller's role is enough.

        Raises:
            MethodNotAllowed: to somebody known, for a method that the view does not name.
        """
        if not isinstance(request.user, Caller):
            return False
        method = str(request.method)
        needed: Role | None = getattr(view, "roles", {}).get("GET" if method == "HEAD" else method)
        if needed is None:
            raise MethodNotAllowed(method)
        self.message = f"This needs the role {needed}."
        return access.includes(request.user.standing.role, needed)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of bearer tokens."""

    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: D102
        del auto_schema
        return {"type": "http", "scheme": "bearer", "description": "From `manage.py apitoken NAME --role …`."}


class CookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema tells of the session."""

    target_class = CookieAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: D102
        del auto_schema
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The browser's session; writing needs the header `X-CSRFToken`.",
        }
