"""How the OpenAPI document is made: from the same declarations that the views check requests against."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from sagas.api.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    View = TypeVar("View", bound=Callable[..., Any])

SETTINGS: dict[str, Any] = {
    "TITLE": "Sagaweb",
    "DESCRIPTION": (
        "Start sagas, watch them, order what they do next. Errors are problem documents (RFC 9457). "
        "Times are RFC 3339 in UTC; durations are seconds."
    ),
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/api/v1/",
    "COMPONENT_SPLIT_REQUEST": False,
    "ENUM_NAME_OVERRIDES": {
        "RunStatus": "sagas.core.vocabulary.RunStatus",
        "Direction": "sagas.core.vocabulary.Direction",
        "StepStatus": "sagas.core.vocabulary.StepStatus",
        "CompensationStatus": "sagas.core.vocabulary.CompensationStatus",
        "Phase": "sagas.core.vocabulary.Phase",
        "OutcomeKind": "sagas.core.vocabulary.OutcomeKind",
        "WaitingFor": "sagas.core.vocabulary.WaitingFor",
        "Verb": "sagas.core.vocabulary.Verb",
        "SimulatedStatus": "sagas.core.simulation.SimulatedStatus",
        "Why": "sagas.core.simulation.Why",
        "ServiceKind": "sagas.models.ServiceKind",
        "BreakerState": "sagas.models.BreakerState",
    },
}

ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
OF_CALLERS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
WITH_BODY = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
QUERY_MARK = "query_parameters"  # set on a view's method: the names it reads


class ProblemFault(serializers.Serializer[Any]):
    """One thing that is wrong."""

    detail = serializers.CharField()
    pointer = serializers.CharField(required=False, help_text="JSON pointer (RFC 6901) into the body")
    parameter = serializers.CharField(required=False, help_text="query parameter")
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)
    code = serializers.CharField(required=False)


class Problem(serializers.Serializer[Any]):
    """An error (RFC 9457)."""

    type = serializers.CharField(help_text="urn:sagaweb:problem:…; stable, for programs")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="what happened this time, for people")
    errors = ProblemFault(many=True, required=False)


def describe(
    *,
    name: str,
    summary: str,
    answers: Mapping[int, type[serializers.Serializer[Any]]],
    body: object = None,
    parameters: Iterable[OpenApiParameter] = (),
    refusals: Iterable[HTTPStatus] = (),
    is_open: bool = False,
) -> Callable[[View], View]:
    """Say what a method takes and gives. `refusals` are the problems beyond those that every address has.

    One that is open asks nobody who they are.
    """
    found = tuple(parameters)
    codes = sorted({*ALWAYS, *refusals, *(WITH_BODY if body is not None else ())} - (OF_CALLERS if is_open else set()))
    responses: dict[Any, Any] = dict(answers)
    responses |= {(int(code), MEDIA_TYPE): OpenApiResponse(Problem, code.phrase) for code in codes}

    def mark(method: View) -> View:
        names = frozenset(one.name for one in found if one.location == OpenApiParameter.QUERY)
        setattr(method, QUERY_MARK, names)
        return extend_schema(
            operation_id=name,
            summary=summary,
            tags=[name.split("_", maxsplit=1)[0]],
            request=body,
            parameters=list(found),
            responses=responses,
        )(method)

    return mark


def in_query(
    name: str,
    description: str,
    kind: type[str | int | datetime] = str,
    *,
    many: bool = False,
    enum: Iterable[str] | None = None,
) -> OpenApiParameter:
    """Return one parameter of the query string."""
    return OpenApiParameter(
        name, kind, OpenApiParameter.QUERY, description=description, many=many, enum=list(enum) if enum else None
    )


def in_header(name: str, description: str) -> OpenApiParameter:
    """Return one header."""
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)
