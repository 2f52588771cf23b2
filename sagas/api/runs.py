"""Runs: start one, list them, read one and its journal."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.db.models import Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.response import Response

from sagas.api import shapes
from sagas.api.idempotency import starting_once
from sagas.api.pages import PAGE_PARAMETERS, Keyset, link, page_size, paged, read_number
from sagas.api.problems import Fault, ProblemError, bad_query, invalid, nearest, not_found
from sagas.api.sagas import PAGING, faults_of
from sagas.api.schema import describe, in_header, in_query
from sagas.api.views import LABEL_PARAMETER, ApiView, Number, StrictSerializer, Text, read_body
from sagas.core import limits
from sagas.core.choreography import STYLES
from sagas.core.vocabulary import Role, RunStatus, WaitingFor
from sagas.engine import commands, errors, orders
from sagas.models import JournalEntry, Saga, SagaRun
from sagas.presentation.why import why
from sagas.queries.run_detail import find_run_detail
from sagas.queries.runs import RunFilter, matching

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from rest_framework.request import Request

    from sagas.engine.idempotency import Replay
    from sagas.queries.run_detail import RunDetail

LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
SEQUENCE_MAX = 2**31 - 1
VERSION_MAX = 2**31 - 1
PAYLOADS = ("input", "output", "reason", "attention", "signals")
WAITS = tuple(kind.value for kind in WaitingFor)
STATUSES = tuple(status.value for status in RunStatus)


class Labels(serializers.DictField):
    """Up to ten names with a text each."""

    child = Text(max_length=limits.KEY_LENGTH_MAX)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Refuse names that no filter could say, and too many."""
        found = super().to_internal_value(data)
        if len(found) > limits.LABELS_MAX:
            raise serializers.ValidationError([f"At most {limits.LABELS_MAX} labels."])
        bad = {name: ["A label's name has letters, digits, _ . - only."] for name in found if not _is_label(name)}
        if bad:
            raise serializers.ValidationError(bad)
        return dict(found)


class StartBody(StrictSerializer):
    """What to start."""

    saga = Text(max_length=limits.NAME_LENGTH_MAX)
    version = Number(min_value=1, max_value=VERSION_MAX, required=False, help_text="the latest when not said")
    input = shapes.Anything(help_text="fits the definition's input schema")
    key = Text(
        max_length=limits.KEY_LENGTH_MAX,
        required=False,
        help_text="business key: one run per saga and key; when the definition says none",
    )
    labels = Labels(required=False)


class RunList(ApiView):
    """All runs."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER, "POST": Role.OPERATOR}

    @describe(
        name="runs_list",
        summary="List runs, newest first",
        answers={200: shapes.RunPage},
        parameters=(
            in_query("saga", "a saga's name"),
            in_query("status", "may be repeated", many=True, enum=STATUSES),
            in_query("waiting_for", "what it waits for, when all it does is wait", enum=WAITS),
            in_query("style", "of its saga", enum=STYLES),
            in_query("key", "the whole business key"),
            in_query("search", "a run id, or the beginning of a business key"),
            in_query("started_after", "RFC 3339; created at or after", datetime),
            in_query("started_before", "RFC 3339; created before", datetime),
            in_query(LABEL_PARAMETER, "the whole value of a label"),
            *PAGING,
        ),
    )
    def get(self, request: Request) -> Response:
        """Filters are joined by AND, statuses by OR. No payloads."""
        rows = _wanted(request).select_related("saga", "version").defer(*PAYLOADS, "version__document")
        rows = rows.defer("version__source", *PAYLOADS)
        return Response(paged(request, rows, Keyset("id", is_descending=True, parse=UUID), self._show))

    @describe(
        name="runs_start",
        summary="Start a run",
        body=StartBody,
        answers={200: shapes.RunWhole, 201: shapes.RunWhole},
        parameters=(
            in_header(
                "Idempotency-Key",
                "the same again within 7 days gives the same run; another body is a 409. One namespace per token",
            ),
        ),
        refusals=(HTTPStatus.CONFLICT,),
    )
    def post(self, request: Request) -> Response:
        """201 and the run; 200 and the same run when it was started before under this key."""
        body = read_body(request, StartBody)
        started = _start(self.caller().by, self.caller().owner, request.headers.get("Idempotency-Key"), body)
        response = show_run(request, started.run_id, HTTPStatus.CREATED if started.is_new else HTTPStatus.OK)
        response["Location"] = response.data["url"]
        return response

    def _show(self, runs: list[SagaRun]) -> Any:
        return shapes.RunSummary(runs, many=True, context={"request": self.request}).data


class RunOne(ApiView):
    """One run."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="runs_read",
        summary="Read one run, whole",
        answers={200: shapes.RunWhole},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """Both statuses of every step, its attempts, and why the run is where it is. `ETag` is the revision."""
        return show_run(request, run_id, HTTPStatus.OK)


class RunJournal(ApiView):
    """The journal of one run."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="runs_journal",
        summary="Read a run's journal, oldest first",
        answers={200: shapes.JournalPage},
        parameters=(
            in_query("after", "only entries with a greater sequence", int),
            in_query("page_size", "1 to 200, 50 when not said", int),
        ),
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """To follow a run, ask again with the last sequence seen as `after`."""
        after = read_number(request, "after", default=0, low=0, high=SEQUENCE_MAX)
        size = page_size(request)
        if not SagaRun.objects.filter(id=run_id).exists():
            raise no_such_run(run_id)
        rows = JournalEntry.objects.filter(run_id=run_id, sequence__gt=after).order_by("sequence")
        found = list(rows[: size + 1])
        has_more, found = len(found) > size, found[:size]
        return Response(
            {
                "next": link(request, after=str(found[-1].sequence)) if has_more else None,
                "previous": link(request, after=str(max(after - size, 0))) if after else None,
                "results": shapes.EntryShape(found, many=True).data,
            }
        )


class RunPlan(ApiView):
    """What a cancel would do."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="runs_plan",
        summary="Foresee what a cancel would do now",
        answers={200: shapes.CancelPlanShape},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, run_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        """The compensations in their order, with their inputs, and what stays behind. Changes nothing."""
        run = SagaRun.objects.select_related("saga", "version").filter(id=run_id).first()
        if run is None:
            raise no_such_run(run_id)
        return Response(shapes.CancelPlanShape(orders.foresee_cancel(run)).data)


def show_run(request: Request, run_id: UUID, status: HTTPStatus) -> Response:
    """Return one run, whole.

    Raises:
        ProblemError: 404.
    """
    detail = find_run_detail(run_id)
    if detail is None:
        raise no_such_run(run_id)
    body = _whole(request, detail)
    return Response(body, status=status, headers={"ETag": f'"{detail.run.revision}"'})


def no_such_run(run_id: UUID) -> ProblemError:
    """Return the 404 of an unknown run."""
    return not_found(f"There is no run {run_id}.")


def _whole(request: Request, detail: RunDetail) -> Any:
    run: Any = detail.run
    run.steps_shown = detail.steps
    run.children_shown, run.reruns_shown = detail.children, detail.reruns
    run.why = why(detail, datetime.now(UTC))
    run.allowed = orders.allowed_orders(detail.run)
    run.orders_waiting = detail.orders
    return shapes.RunWhole(run, context={"request": request}).data


def _start(by: str, owner: str, header: str | None, body: dict[str, Any]) -> Replay:
    try:
        return starting_once(
            owner,
            header,
            body,
            lambda: commands.start_run(
                body["saga"],
                body["input"],
                by=by,
                key=body.get("key"),
                labels=body.get("labels"),
                version=body.get("version"),
            ),
        )
    except errors.SagaUnknownError as error:
        names = Saga.objects.values_list("name", flat=True)
        is_known = Saga.objects.filter(name=body["saga"]).exists()
        hint = "" if is_known else nearest(body["saga"], names)
        raise invalid([Fault(f"{error}{hint}", pointer="/version" if is_known else "/saga")]) from None
    except errors.SagaArchivedError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "saga-archived", str(error)) from None
    except errors.SagaUnreadableError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "saga-unreadable", str(error)) from None
    except errors.InputInvalidError as error:
        raise invalid(faults_of(error.problems, error.within)) from None
    except errors.KeyReusedError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "key-reused", str(error), run=str(error.run_id)) from None


def _wanted(request: Request) -> QuerySet[SagaRun]:
    query = request.query_params
    for name in query:
        if name not in {"status", *PAGE_PARAMETERS} and len(query.getlist(name)) > 1:
            raise bad_query(name, f"{name} may be given once.")
    statuses = query.getlist("status")
    for status in statuses:
        if status not in STATUSES:
            raise bad_query("status", f"There is no status {status[:40]!r}.{nearest(status[:40], STATUSES)}")
    waiting_for = query.get("waiting_for", "")
    if "waiting_for" in query and waiting_for not in WAITS:
        shown = waiting_for[:40]
        raise bad_query("waiting_for", f"A run waits for {', '.join(WAITS)}; not for {shown!r}.{nearest(shown, WAITS)}")
    style = query.get("style", "")
    if "style" in query and style not in STYLES:
        raise bad_query("style", f"There is no style {style[:40]!r}.{nearest(style[:40], STYLES)}")
    found = matching(
        RunFilter(
            statuses=tuple(statuses),
            style=style,
            waiting_for=waiting_for,
            saga=query.get("saga", ""),
            search=query.get("search", ""),
            started_after=_read_moment(request, "started_after"),
        )
    )
    if before := _read_moment(request, "started_before"):
        found = found.filter(created_at__lt=before)
    if "key" in query:
        found = found.filter(key=query["key"])
    for name in query:
        if name.startswith("label."):
            found = found.filter(_has_label(name, query[name]))
    return found


def _has_label(parameter: str, value: str) -> Exact:
    name = parameter.removeprefix("label.")
    if not _is_label(name):  # it becomes part of a JSON path: only letters, digits, _ . - get there
        raise bad_query(parameter[:80], "A label's name has letters, digits, _ . - only.")
    return Exact(KeyTextTransform(name, "labels"), Value(value))


def _is_label(name: str) -> bool:
    return LABEL_NAME.fullmatch(name) is not None


def _read_moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        found = parse_datetime(text)
        if found is None or found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_query(name, f"{name} must be a time such as 2026-01-31T12:00:00Z.") from None
