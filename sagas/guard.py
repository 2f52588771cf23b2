"""What is looked at before anybody reads a request: its host, its session cookie and the charset of its body.

Django hands these on as they came. The database or the page then breaks on
them, and the sender is told 500 instead of what was wrong.
"""

from __future__ import annotations

import codecs
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.validators import MaxLengthValidator
from django.http import HttpResponse
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import parse_header_parameters
from django.utils.log import log_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from django.contrib.auth.forms import AuthenticationForm
    from django.http import HttpRequest

    Message = dict[str, Any]
    Application = Callable[[Message, Any, Any], Awaitable[None]]

UNREADABLE = {
    "type": "urn:sagaweb:problem:malformed",
    "title": "The request cannot be read",
    "status": int(HTTPStatus.BAD_REQUEST),
    "detail": "The header Content-Type cannot be read.",
}
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
HOST_LENGTH_MAX = 80  # of what is said back
CHARSET_LENGTH_MAX = 40  # likewise
_PRINTABLE = re.compile(r"[!-~]+")  # keys of every session store; the database's are 32 of a-z and 0-9


class RequestGuard(MiddlewareMixin):
    """Stands before the session and CSRF middlewares. Views that read their body themselves are left to do so."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuse a host that is not ours; drop a session cookie that cannot be anybody's: the sender is a stranger."""
        try:
            request.get_host()
        except DisallowedHost:
            return _refuse_host(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES and session_key(request.COOKIES) is None:
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return None

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: Any, _options: Any
    ) -> HttpResponse | None:
        """Refuse a form that is not UTF-8. Other codecs fail, or give text that cannot be stored or sent.

        Bytes that are none Django replaces, and what is then done is not what was asked for.
        """
        charset = (request.content_params or {}).get("charset", "utf-8")
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return None
        if not is_utf8(charset):
            text = f"A form is read as UTF-8, not as {charset[:CHARSET_LENGTH_MAX]!a}."
            return _refuse(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not _holds_utf8(request):
            return _refuse("The form holds bytes that are not UTF-8. Nothing was done.", HTTPStatus.BAD_REQUEST)
        return None


def _refuse(text: str, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def _holds_utf8(request: HttpRequest) -> bool:
    """Whether every name and value is UTF-8. No form of ours carries files, so a body is text all through."""
    if request.content_type not in FORMS:
        return True
    try:
        body = request.body
    except UnreadablePostError:  # the sender is gone
        return False
    try:
        (unquote_to_bytes(body) if request.content_type == FORMS[0] else body).decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_host(request: HttpRequest) -> HttpResponse:
    """Say so in a sentence to both sides; Django writes a traceback and says nothing."""
    host = ascii(request.META.get("HTTP_HOST", "")[:HOST_LENGTH_MAX])
    text = f"This server does not answer to the name {host}. Who runs it can add names to SAGAWEB_ALLOWED_HOSTS."
    response = _refuse(text, HTTPStatus.BAD_REQUEST)
    if request.path.startswith(reverse("sagas:api-nothing")):
        response = HttpResponse(json.dumps(UNREADABLE | {"detail": text}), status=response.status_code)
        response["Content-Type"] = "application/problem+json"
    log_response("Refused: the host %s is not one of SAGAWEB_ALLOWED_HOSTS", host, response=response, request=request)
    return response


def session_key(cookies: Mapping[str, str]) -> str | None:
    """Return the key in the session's cookie; None where there is none that a session could have.

    A cookie can carry any character, escaped, and PostgreSQL takes no NUL.
    """
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    return key if key is not None and _PRINTABLE.fullmatch(key) else None


def bound_user_name(form: AuthenticationForm) -> None:
    """Refuse a longer name than a person can have; Django tells the browser its bound and checks nothing.

    Whoever writes down failed attempts would break on it.
    """
    field = form.fields["username"]
    field.validators.append(MaxLengthValidator(field.max_length))  # type: ignore[attr-defined]


def with_readable_headers(app: Application) -> Application:
    """Wrap an ASGI application: a `Content-Type` that Django breaks on before any middleware is answered 400."""

    async def application(scope: Message, receive: Any, send: Any) -> None:
        found = b",".join(value for name, value in scope.get("headers", ()) if name == b"content-type")
        if b";" not in found or _is_readable(found.decode("latin1")):
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": UNREADABLE["status"], "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(UNREADABLE).encode()})

    return application


def _is_readable(content_type: str) -> bool:
    try:
        is_utf8(parse_header_parameters(content_type)[1].get("charset", ""))
    except ValueError:
        return False
    return True


def is_utf8(charset: str) -> bool:
    """Return whether a charset, however it is spelt, is UTF-8."""
    try:
        return codecs.lookup(charset).name == "utf-8"
    except LookupError:
        return False
