"""Which page may open a socket: ours, at this very address.

A socket's handshake carries cookies and is bound by no same-origin rule; and
cookies know no ports, so a page served on another port of this host carries them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import validate_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

PORTS = {"http": 80, "https": 443}
THIS_MACHINE = ["localhost", "127.0.0.1", "[::1]"]  # what Django takes when it debugs and nothing is said


class Origin(NamedTuple):
    """Where a page came from."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Return an origin as browsers write it; None for anything else."""
        try:
            parts = urlsplit(text.lower())
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        is_bare = text.lower() == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
        if not host or not is_bare or parts.scheme not in PORTS:
            return None
        return cls(parts.scheme, host.removesuffix("."), PORTS[parts.scheme] if port is None else port)


def with_own_pages_only(app: Application) -> Application:
    """Wrap a socket application: a page of another origin is answered 403."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if _is_own(_header(scope, b"origin"), _header(scope, b"host")):
            await app(scope, receive, send)
        else:
            await WebsocketDenier()(scope, receive, send)

    return application


def _is_own(origin_text: str, host_text: str) -> bool:
    origin = Origin.parse(origin_text)
    if origin is None:
        return False
    allowed = settings.ALLOWED_HOSTS or (THIS_MACHINE if settings.DEBUG else [])
    shown = f"[{origin.host}]" if ":" in origin.host else origin.host
    if not validate_host(shown, allowed):
        return False
    # Behind a proxy that ends TLS the handshake's own scheme says nothing: a missing port is that of the page's scheme.
    base = urlsplit(getattr(settings, "SAGAWEB_BASE_URL", ""))
    return origin in {Origin.parse(f"{origin.scheme}://{host_text}"), Origin.parse(f"{base.scheme}://{base.netloc}")}


def _header(scope: dict[str, Any], wanted: bytes) -> str:
    """Return the header's only value; "" when it is not there, or there twice."""
    found = [value for name, value in scope["headers"] if name == wanted]
    return found[0].decode("latin1") if len(found) == 1 else ""
