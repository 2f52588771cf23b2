"""The request of an HTTP action: how it is made from the templates of a document, and what it may never be.

What is rendered is the step's input, `{path, query?, headers?, body?}`, fixed at the
first attempt. A person may edit it for a retry, so it is judged as it stands
(`fault_of`), not by how it was made. Each value in a path is percent-encoded: it
stays within its own segment and can never name another host, path or query.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.cel import ExpressionError
from sagas.core.limits import HEADER_LENGTH_MAX, REQUEST_NAMES_MAX, REQUEST_PATH_LENGTH_MAX
from sagas.core.problem import check_payload, found_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagas.core.expressions import CompiledTemplate
    from sagas.core.vocabulary import Json

PARTS = ("path", "query", "headers", "body")
WITHOUT_BODY = frozenset({"GET", "HEAD"})

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", re.ASCII)
_UNRESERVED = {
    ord(character): character for character in string.ascii_letters + string.digits + "-._~"
}  # RFC 3986, section 2.3
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")

OURS = frozenset((  # what the engine itself says with each request
    "host", "content-length", "content-type", "idempotency-key", "traceparent", "tracestate",
))  # fmt: skip
OURS_BEGIN = ("saga-", "webhook-")
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "expect",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The templates of a request, each compiled by itself, as one template."""

    parts: Mapping[str, CompiledTemplate]
    body_key: str = "with"  # where the body stands in the document: `with` of the step, or `body`
    kind: str = "action"  # or `probe`: the key of the half in the document
    source: Json = field(init=False)
    expressions: tuple[str, ...] = field(init=False)
    reads: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Say of the whole what its parts say."""
        object.__setattr__(self, "source", {name: one.source for name, one in self.parts.items()})
        expressions = (text for one in self.parts.values() for text in one.expressions)
        object.__setattr__(self, "expressions", tuple(expressions))
        object.__setattr__(self, "reads", tuple(sorted({name for one in self.parts.values() for name in one.reads})))

    def render(self, scope: Mapping[str, Json]) -> Json:
        """Return the request.

        Raises:
            ExpressionError: an expression has no value here, or the request may not be sent.
        """
        found: dict[str, Json] = {}
        for name, one in self.parts.items():
            value = one.render_text(scope, _in_path) if name == "path" else one.render(scope)
            if name in {"query", "headers"} and isinstance(value, dict):
                value = {key: part for key, part in value.items() if part is not None}
            found[name] = value
        if fault := fault_of(found):
            raise ExpressionError(fault)
        if problems := check_payload(found):
            message = f"the request cannot be kept: {problems[0].message}"
            raise ExpressionError(message)
        return found

    def place(self, keys: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """Return where in the step's part of the document a place of the request is written."""
        if keys and keys[0] == "body" and self.body_key == "with":
            return ("with", *keys[1:])
        return (self.kind, "http", *keys)


def _in_path(text: str, value: str) -> str:
    """Return a value as a part of one segment of a path."""
    if not value:
        message = f"`${{{text}}}` is empty, so the path would name something else"
        raise ExpressionError(message)
    if _CONTROL.search(value):
        message = f"`${{{text}}}` holds a control character, which no path may"
        raise ExpressionError(message)
    try:
        return "".join(_UNRESERVED.get(byte) or f"%{byte:02X}" for byte in value.encode())
    except UnicodeEncodeError:
        message = f"`${{{text}}}` holds half of a surrogate pair, which no path may"
        raise ExpressionError(message) from None


def fault_of(request: Json, method: str = "") -> str | None:
    """Return why something is no request that may be sent, as a sentence; None when it is one.

    With `method`, also whether it may have a body.
    """
    if not isinstance(request, dict):
        return f"a request is an object with a `path`; this is {found_text(request)}"
    for key in request:
        if key not in PARTS:
            return f"a request has no `{str(key)[:80]}`; it has {', '.join(f'`{part}`' for part in PARTS)}"
    if method in WITHOUT_BODY and "body" in request:
        return f"a {method} has no body"
    return (
        path_fault(request.get("path"))
        or _query_fault(request.get("query", {}))
        or next(_header_faults(request.get("headers", {})), None)
    )


def path_fault(path: Json) -> str | None:
    """Return why a path may not be asked for; None when it may."""
    if not isinstance(path, str) or not path.startswith("/"):
        return f"`path` must be text that begins with /; it is {found_text(path)}"
    if len(path) > REQUEST_PATH_LENGTH_MAX:
        return f"`path` has {len(path)} characters; at most {REQUEST_PATH_LENGTH_MAX} are allowed"
    if "?" in path or "#" in path:
        return "`path` holds no ? and no #: say `query` for what comes after it"
    if not _PATH.fullmatch(path) or _ESCAPE.search(path):
        return "`path` holds letters, digits and -._~!$&'()*+,;=:@/ only; all else as %XX"
    meant = _read(path).replace("\\", "/")
    if _CONTROL.search(meant):
        return "`path` holds a control character"
    if "//" in meant:
        return "`path` holds //, or something that is read as that: it could name another host"
    if any(segment.partition(";")[0] in {".", ".."} for segment in meant.split("/")):  # some drop what follows a `;`
        return "`path` holds . or .. as a segment, which would lead elsewhere"
    return None


def _read(path: str) -> str:
    """Return what a path says once a server has decoded it."""
    raw = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), path.encode())
    return raw.decode(errors="replace")


def _query_fault(query: Json) -> str | None:
    if not isinstance(query, dict) or len(query) > REQUEST_NAMES_MAX:
        return f"`query` must be a mapping of at most {REQUEST_NAMES_MAX} names"
    for name, value in query.items():
        values = value if isinstance(value, list) else [value]
        if not name or any(isinstance(one, dict | list) or one is None for one in values):
            return f"`query.{str(name)[:80]}` must be text, a number, true or false, or a list of these"
    return None


def _header_faults(headers: Json) -> Iterator[str]:
    if not isinstance(headers, dict) or len(headers) > REQUEST_NAMES_MAX:
        yield f"`headers` must be a mapping of at most {REQUEST_NAMES_MAX} names"
        return
    if len({name.lower() for name in headers}) < len(headers):
        yield "`headers` names one header twice: small and capital letters are the same there"
    for name, value in headers.items():
        if fault := header_fault(name):
            yield fault
        elif isinstance(value, bool) or not isinstance(value, str | int | float):
            yield f"header `{name}` must be text or a number; it is {found_text(value)}"
        elif not _HEADER_VALUE.fullmatch(str(value)) or len(str(value)) > HEADER_LENGTH_MAX:
            yield f"header `{name}` holds printable ASCII characters only, at most {HEADER_LENGTH_MAX}"


def header_fault(name: str) -> str | None:
    """Return why a document may not say a header; None when it may."""
    if not HEADER_NAME.fullmatch(name):
        return f"`{name[:80]}` is no name of a header"
    small = name.lower().replace("_", "-")  # as servers in the manner of CGI hand it to a program
    if small in OURS or small.startswith(OURS_BEGIN):
        return f"header `{name}` is said by the engine itself, with each request"
    if small in HOP_BY_HOP:
        return f"header `{name}` is about the connection, which is not the step's"
    return None
