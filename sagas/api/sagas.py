"""Sagas and their versions: read, check, publish."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response

from sagas.api import shapes
from sagas.api.pages import Keyset, paged
from sagas.api.parsers import JsonTextParser, YamlTextParser
from sagas.api.problems import Fault, ProblemError, bad_query, invalid, malformed, nearest, not_found
from sagas.api.schema import describe, in_header, in_query
from sagas.api.views import ApiView, read_if_match
from sagas.catalog import publish
from sagas.catalog.errors import DocumentInvalidError, PublishConflictError, SagaNameMismatchError
from sagas.core.vocabulary import Role, RunStatus
from sagas.models import Saga, SagaRun, SagaVersion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rest_framework.request import Request

    from sagas.core.problem import Problem

COUNT_MAX = 10_000  # runs read for the counts of one saga
DIGITS_MAX = 9  # of a version's number
PAGING = (
    in_query("cursor", "from `next` or `previous`"),
    in_query("page_size", "1 to 200, 50 when not said", int),
)
DOCUMENT = {"application/json": OpenApiTypes.OBJECT, "application/yaml": OpenApiTypes.STR}


class SagaList(ApiView):
    """All sagas."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="sagas_list",
        summary="List the sagas, by name",
        answers={200: shapes.SagaPage},
        parameters=PAGING,
    )
    def get(self, request: Request) -> Response:
        """Archived ones too; their `archived_at` says so."""
        rows = Saga.objects.select_related("latest").defer("latest__document", "latest__source")
        return Response(paged(request, rows, Keyset("name", is_descending=False, parse=_slug), self._show))

    def _show(self, sagas: list[Saga]) -> Any:
        return shapes.SagaSummary(sagas, many=True, context={"request": self.request}).data


class SagaOne(ApiView):
    """One saga, by name."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER, "PUT": Role.AUTHOR}
    parser_classes = (JsonTextParser, YamlTextParser)

    @describe(
        name="sagas_read",
        summary="Read one saga",
        answers={200: shapes.SagaWhole},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, saga: str) -> Response:
        """With the latest version's document and the number of runs by status. `ETag` is the version."""
        found = get_saga(saga)
        found.runs_by_status = _count(found)  # type: ignore[attr-defined]
        return self._answer(shapes.SagaWhole(found, context={"request": request}).data, found, HTTPStatus.OK)

    @describe(
        name="sagas_publish",
        summary="Publish a definition",
        body=DOCUMENT,
        answers={200: shapes.SagaPublished, 201: shapes.SagaPublished},
        parameters=(
            in_query("base", "the version you started from; another one now is a 409", int),
            in_header("If-Match", "the version you started from; another one now is a 412"),
        ),
        refusals=(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
    )
    def put(self, request: Request, saga: str) -> Response:
        """201 for a new version; 200 when the latest has this content, whatever `base` says; 422 with all problems."""
        wanted = read_if_match(request.headers)
        base = _read_base(request) if wanted is None else wanted
        try:
            done = publish.publish(read_source(request), by=self.caller().by, saga=saga, base=base)
        except DocumentInvalidError as error:
            raise invalid(faults_of(error.problems)) from None
        except SagaNameMismatchError as error:
            raise invalid([Fault(str(error), pointer="/saga")]) from None
        except PublishConflictError as error:
            raise _conflict(error.latest, is_condition=wanted is not None) from None
        found = get_saga(saga)
        found.latest = done.version
        found.is_new, found.warnings = done.is_new, done.warnings  # type: ignore[attr-defined]
        body = shapes.SagaPublished(found, context={"request": request}).data
        return self._answer(body, found, HTTPStatus.CREATED if done.is_new else HTTPStatus.OK)

    def _answer(self, body: Any, saga: Saga, status: HTTPStatus) -> Response:
        number = saga.latest.number if saga.latest else 0
        return Response(body, status=status, headers={"ETag": f'"{number}"'})


class VersionList(ApiView):
    """The versions of one saga."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="sagas_versions",
        summary="List a saga's versions, newest first",
        answers={200: shapes.VersionPage},
        parameters=PAGING,
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, saga: str) -> Response:
        """Without their documents."""
        rows = SagaVersion.objects.filter(saga=get_saga(saga)).defer("document", "source")
        return Response(paged(request, rows, Keyset("number", is_descending=True, parse=_number), self._show))

    def _show(self, versions: list[SagaVersion]) -> Any:
        return shapes.VersionSummary(versions, many=True).data


class VersionOne(ApiView):
    """One version."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="sagas_version",
        summary="Read one version",
        answers={200: shapes.VersionWhole},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, saga: str, number: int) -> Response:
        """With its document and its source."""
        del request
        rows = SagaVersion.objects.select_related("saga").filter(saga=get_saga(saga))
        return Response(shapes.VersionWhole(get_object_or_404(rows, number=number)).data)


class Validate(ApiView):
    """Check a document."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.VIEWER}
    parser_classes = (JsonTextParser, YamlTextParser)

    @describe(
        name="sagas_validate",
        summary="Check a definition; nothing is stored",
        body=DOCUMENT,
        answers={200: shapes.Validation},
    )
    def post(self, request: Request) -> Response:
        """Every error at once, and what is allowed but probably not meant."""
        checked = publish.check(read_source(request))
        found = {
            "is_valid": not checked.problems,
            "errors": checked.problems,
            "warnings": checked.warnings,
            "document": None if checked.problems else checked.document,
        }
        return Response(shapes.Validation(found).data)


def get_saga(name: str) -> Saga:
    """Return a saga with its latest version.

    Raises:
        ProblemError: 404, with the nearest name.
    """
    found = Saga.objects.select_related("latest").filter(name=name).first()
    if found is None:
        names = Saga.objects.values_list("name", flat=True)[:COUNT_MAX]
        raise not_found(f"There is no saga {name[:80]!r}.{nearest(name[:80], names)}")
    return found


def read_source(request: Request) -> str:
    """Return the posted document's text.

    Raises:
        ProblemError: 400, 413 or 415.
    """
    if not isinstance(request.data, str):  # what has no body is not parsed
        message = "The body is empty: send a definition, as application/json or application/yaml."
        raise malformed(message)
    return request.data


def faults_of(problems: Iterable[Problem], pointer: str = "") -> list[Fault]:
    """Return a document's or an input's problems as members of a problem document."""
    return [
        Fault(one.message, pointer=pointer + one.pointer, line=one.line, column=one.column, code=one.code)
        for one in problems
    ]


def _count(saga: Saga) -> dict[str, int]:
    found = {status.value: 0 for status in RunStatus}
    for status in SagaRun.objects.filter(saga=saga).order_by("-id").values_list("status", flat=True)[:COUNT_MAX]:
        found[status] += 1
    return found


def _conflict(latest: int, *, is_condition: bool) -> ProblemError:
    detail = f"The latest version is {latest}; read it and start from there."
    if is_condition:
        return ProblemError(HTTPStatus.PRECONDITION_FAILED, "stale", detail, latest=latest)
    return ProblemError(HTTPStatus.CONFLICT, "publish-conflict", detail, latest=latest)


def _read_base(request: Request) -> int | None:
    text = request.query_params.get("base")
    if text is None:
        return None
    try:
        return _number(text)
    except ValueError:
        raise bad_query("base", "base is the number of a version.") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        raise ValueError
    return int(text)


def _slug(text: str) -> str:
    try:
        validate_slug(text)
    except ValidationError:
        raise ValueError from None
    return text
