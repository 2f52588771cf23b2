"""The guard in front of every body: what passes here can be stored on SQLite and PostgreSQL alike.

The framework's own parser answers 500 to deep nesting and lone surrogates, and
lets a NUL through to the database, where PostgreSQL refuses what SQLite stores.
"""

from __future__ import annotations

import io
import json
import math
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from sagas.api.problems import ProblemError, malformed
from sagas.core import limits
from sagas.guard import CHARSET_LENGTH_MAX, is_utf8

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.vocabulary import Json

BODY_BYTES_MAX = 1024 * 1024
DEPTH_MAX = limits.JSON_DEPTH_MAX
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
INTEGER_DIGITS_MAX = 20  # of a 64-bit number, with its sign


class GuardedRequest(Request):
    """A request whose body is read here, bounded, whether or not it says its length.

    The framework takes a missing `Content-Length` (a chunked body) for no body.
    """

    def _load_stream(self) -> None:
        body = _read(self._request)
        charset = (self._request.content_params or {}).get("charset", "utf-8")
        if body and not is_utf8(charset):
            raise _other_charset(charset)
        self._stream = io.BytesIO(body) if body else None


class JsonParser(BaseParser):
    """JSON, checked; gives the value."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Json:
        """Return the value of the body."""
        del media_type, parser_context
        return parse_json(decode(stream.read()))


class JsonTextParser(BaseParser):
    """JSON, checked; gives the text, which is stored as the source of a definition."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> str:
        """Return the body's text."""
        del media_type, parser_context
        text = decode(stream.read())
        parse_json(text)
        return text


class YamlTextParser(BaseParser):
    """YAML as text; the definition's own reader refuses what is bad in it."""

    media_type = "application/yaml"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> str:
        """Return the body's text."""
        del media_type, parser_context
        return decode(stream.read())


def decode(body: bytes) -> str:
    """Return the text of a body.

    Raises:
        ProblemError: 400; not UTF-8, a byte order mark, or a NUL.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8: byte {error.start} cannot be decoded."
        raise malformed(message) from None
    if text.startswith("\ufeff"):
        message = "The body starts with a byte order mark; send UTF-8 without one."
        raise malformed(message)
    if "\0" in text:
        message = "The body holds a NUL character."
        raise malformed(message)
    return text


def parse_json(text: str) -> Json:
    """Return the value of a JSON text.

    Raises:
        ProblemError: 400; not JSON, deeper than 64, a key twice, NaN or Infinity,
            an integer beyond 64 bits, a NUL or a lone surrogate.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        raise malformed(message) from None
    except RecursionError:
        raise _too_deep() from None
    _check(value)
    return value


def _read(request: Any) -> bytes:
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        declared = 0
    if declared > BODY_BYTES_MAX:
        raise too_large()
    try:
        body = request.body if request._read_started else request.read(BODY_BYTES_MAX + 1)  # noqa: SLF001
    except RequestDataTooBig:
        raise too_large() from None
    except UnreadablePostError:
        message = "The body broke off."
        raise malformed(message) from None
    if len(body) > BODY_BYTES_MAX:
        raise too_large()
    return bytes(body)


def _check(value: Json) -> None:
    level, depth = [value], 0
    while level:
        below: list[Json] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > DEPTH_MAX:
            raise _too_deep()
        level = below


def _check_text(text: str) -> None:
    if "\0" in text:
        message = "The body holds a NUL character (\\u0000)."
        raise malformed(message)
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            message = "The body holds half of a surrogate pair (\\ud800 to \\udfff alone)."
            raise malformed(message) from None


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        message = f"The body says {twice[:80]!a} twice in one object."
        raise malformed(message)
    return found


def _integer(digits: str) -> int:
    if len(digits) <= INTEGER_DIGITS_MAX and INTEGER_MIN <= (number := int(digits)) <= INTEGER_MAX:
        return number
    message = f"The body holds an integer beyond 64 bits ({digits[:30]}…)."
    raise malformed(message)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isfinite(number):
        return number
    message = f"The body holds a number too large to be kept ({digits[:30]})."
    raise malformed(message)


def _constant(name: str) -> NoReturn:
    message = f"{name} is not JSON."
    raise malformed(message)


def too_large() -> ProblemError:
    """Return the 413."""
    detail = f"A body may have {BODY_BYTES_MAX} bytes."
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", detail)


def _other_charset(charset: str) -> ProblemError:
    detail = f"A body is read as UTF-8, not as {charset[:CHARSET_LENGTH_MAX]!a}."
    return ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)


def _too_deep() -> ProblemError:
    return malformed(f"The body is nested deeper than {DEPTH_MAX}.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
