"""What every view of the API shares: the guard, who may, how errors look, strict bodies and queries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from sagas.api import problems
from sagas.api.authentication import BearerAuthentication, Caller, CookieAuthentication, HasRole
from sagas.api.parsers import GuardedRequest, JsonParser
from sagas.api.problems import Fault, bad_query, invalid, malformed, nearest
from sagas.api.schema import QUERY_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from django.http import HttpRequest
    from rest_framework.request import Request

    from sagas.core.vocabulary import Json, Role

REVISION_DIGITS_MAX = 10
LABEL_PARAMETER = "label.<name>"  # in the schema; stands for every `label.` followed by a name


class ApiView(APIView):
    """A view under `/api/v1/`. Needs nothing in the project's settings."""

    authentication_classes = (BearerAuthentication, CookieAuthentication)
    permission_classes = (HasRole,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (JsonParser,)
    throttle_classes = ()
    versioning_class = None
    metadata_class = None
    schema = AutoSchema()  # type: ignore[no-untyped-call]
    http_method_names: ClassVar[list[str]] = ["get", "head", "post", "put"]
    roles: ClassVar[dict[str, Role]] = {}

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Wrap the request in one that bounds its body."""
        del args, kwargs
        return GuardedRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, then refuse a query string that would be misread."""
        super().initial(request, *args, **kwargs)
        self.check_query(request)

    def check_query(self, request: Request) -> None:
        """Refuse parameters that nobody reads: a misspelt filter would show everything.

        Raises:
            ProblemError: 400, with the nearest name.
        """
        handler = getattr(self, str(request.method).lower(), None)
        known: frozenset[str] = getattr(handler, QUERY_MARK, frozenset())
        for name, values in request.query_params.lists():
            if any("\0" in text for text in (name, *values)):
                raise bad_query("?", "The query string holds a NUL character.")
            if name not in known and not (LABEL_PARAMETER in known and name.startswith("label.")):
                raise bad_query(name[:80], f"There is no parameter {name[:80]!r} here.{nearest(name[:80], known)}")

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Any]:
        """Problem documents, whatever the project's settings say."""
        return problems.answer

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Say what is allowed, and that no cache may keep payloads."""
        return {**super().default_response_headers, "Cache-Control": "no-store"}

    def caller(self) -> Caller:
        """Return who is calling."""
        return self.request.user  # type: ignore[return-value]


class StrictSerializer(serializers.Serializer[Any]):
    """A body: unknown members are refused, and all that is wrong is said at once."""

    def to_internal_value(self, data: Json) -> dict[str, Any]:
        """Refuse members that nobody reads, together with everything else that is wrong."""
        if not isinstance(data, dict):
            raise serializers.ValidationError({"": ["A JSON object is expected."]})
        known = list(self.fields)
        found: dict[str, Any] = {
            name: [f"There is no member {name[:80]!r} here.{nearest(name[:80], known)}"]
            for name in data
            if name not in known
        }
        value: dict[str, Any] = {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            found |= error.detail  # type: ignore[arg-type]
        if found:
            raise serializers.ValidationError(found)
        return value


class Text(serializers.CharField):
    """A string as it was sent, and nothing that merely could be made one; spaces alone are blank."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Json) -> str:
        """Refuse numbers and booleans."""
        if not isinstance(data, str):
            self.fail("invalid")
        if not self.allow_blank and not data.strip():
            self.fail("blank")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """True or false, and nothing that merely could be made one."""

    def to_internal_value(self, data: Json) -> bool:
        """Refuse strings and numbers."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Choice(serializers.ChoiceField):
    """One of a few words, and a refusal that names them."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        super().__init__(list(choices), **options)
        self.error_messages["invalid_choice"] = f"One of these is expected: {', '.join(map(str, self.choices))}."


class Number(serializers.IntegerField):
    """A whole number and nothing that merely could be made one."""

    def to_internal_value(self, data: Json) -> int:  # type: ignore[override]
        """Refuse strings, booleans and fractions."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


def read_body(request: Request, kind: type[StrictSerializer]) -> dict[str, Any]:
    """Return the checked body.

    Raises:
        ProblemError: 400, 413, 415 or 422; the last with everything that is wrong.
    """
    reader = kind(data=request.data)
    if not reader.is_valid():
        raise invalid(_faults(reader.errors))
    return dict(reader.validated_data)


def read_if_match(headers: Mapping[str, str]) -> int | None:
    """Return the number in `If-Match`, bare or as an entity tag; None without the header.

    Raises:
        ProblemError: 400; not one number.
    """
    text = headers.get("If-Match")
    if text is None:
        return None
    found = re.fullmatch(r'(?:W/)?"?(\d+)"?', text.strip(), re.ASCII)
    if found is None or len(found[1]) > REVISION_DIGITS_MAX:
        message = "If-Match takes one number: the revision of a run or a service, or the version of a saga."
        raise malformed(message)
    return int(found[1])


def _faults(found: Json, pointer: str = "") -> Iterator[Fault]:
    if isinstance(found, dict):
        for name, below in found.items():
            step = str(name).replace("~", "~0").replace("/", "~1")
            yield from _faults(below, f"{pointer}/{step}" if name != "" else pointer)
    elif isinstance(found, list | tuple):
        for place, below in enumerate(found):
            if isinstance(below, dict):
                yield from _faults(below, f"{pointer}/{place}")
            else:
                yield Fault(str(below), pointer=pointer)
