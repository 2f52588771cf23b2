"""Events: take CloudEvents in, list what came, decide about what reached no run."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes
from uuid import UUID

from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from sagas.api import event_shapes as shapes
from sagas.api.pages import Keyset, paged
from sagas.api.parsers import decode, parse_json
from sagas.api.problems import ProblemError, bad_query, invalid, malformed, not_found
from sagas.api.sagas import PAGING, faults_of
from sagas.api.schema import describe, in_query
from sagas.api.views import ApiView, read_body
from sagas.choreography import decisions
from sagas.choreography.listeners import shown_data
from sagas.choreography.router import take
from sagas.core.cloud_event import BATCH, HEADER_PREFIX, STRUCTURED, is_json, opaque, read_binary, read_structured
from sagas.core.document_text import document_text
from sagas.core.limits import EVENTS_PER_BATCH_MAX
from sagas.core.observed import draft_document
from sagas.core.problem import Problem
from sagas.core.steps import SAGA_NAME
from sagas.core.vocabulary import Role
from sagas.models import EventOrigin, EventState, RouteState, SagaEvent
from sagas.queries.events import EventFilter, matching, newest_seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from sagas.core.cloud_event import CloudEvent
    from sagas.core.vocabulary import Json

STATES = tuple(dict.fromkeys((*(state.value for state in RouteState), *(state.value for state in EventState))))
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class EventParser(BaseParser):
    """Any body; what it is, the view decides by its type."""

    media_type = "*/*"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the body as it came."""
        del media_type, parser_context
        return stream.read()


class EventList(ApiView):
    """All events."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER, "POST": Role.OPERATOR}
    parser_classes = (EventParser,)

    @describe(
        name="events_list",
        summary="List events, newest first, and where each went",
        answers={200: shapes.EventPage},
        parameters=(
            in_query("type", "the whole type"),
            in_query("saga", "a saga's name: those that were looked at for it"),
            in_query("run", "a run's id: those it received"),
            in_query("state", "what became of it", enum=STATES),
            in_query("key", "the correlation value"),
            *PAGING,
        ),
    )
    def get(self, request: Request) -> Response:
        """Filters are joined by AND."""
        return Response(paged(request, _rows(request), Keyset("id", is_descending=True, parse=UUID), _show))

    @describe(
        name="events_send",
        summary="Send one event or several (CloudEvents 1.0: structured, batch or binary)",
        body={STRUCTURED: shapes.CloudEventBody, BATCH: shapes.CloudEventBody(many=True)},
        answers={202: shapes.EventsTaken},
    )
    def post(self, request: Request) -> Response:
        """Stored before the answer. The same source and id again is accepted and ignored. Of a batch all or none."""
        taken = take(_events(request), origin=EventOrigin.API, by=self.caller().by)
        body = shapes.EventsTaken({"accepted": taken.accepted, "duplicates": taken.duplicates}).data
        return Response(body, status=HTTPStatus.ACCEPTED)


class EventDraft(ApiView):
    """A choreography drafted from what was seen."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.AUTHOR}

    @describe(
        name="events_draft",
        summary="Draft a choreography from the newest events",
        answers={200: shapes.DraftShape},
        parameters=(in_query("saga", "of runs of this saga alone"), in_query("name", "what the draft is called")),
        refusals=(HTTPStatus.CONFLICT,),
    )
    def get(self, request: Request) -> Response:
        """What follows from what, by whom, and which run it is of. What undoes what is for its author to say."""
        name = request.query_params.get("name", "seen-choreography")
        if not SAGA_NAME.fullmatch(name):
            raise bad_query("name", "name must be one that a saga can have, such as seen-order.")
        seen = newest_seen(request.query_params.get("saga", ""))
        document = draft_document(seen, name)
        if document is None:
            message = "No event that was seen names another one as its cause (`causationid`)."
            raise ProblemError(HTTPStatus.CONFLICT, "nothing-seen", message)
        body = {"document": document, "source": document_text(document).text, "events": len(seen)}
        return Response(shapes.DraftShape(body).data)


class EventOne(ApiView):
    """One event."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="events_read",
        summary="Read one event, and where it went",
        answers={200: shapes.EventShape},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, event_id: UUID) -> Response:
        """With its data."""
        del request
        row = SagaEvent.objects.prefetch_related("routes__saga").filter(id=event_id).first()
        if row is None:
            raise _unknown()
        return Response(_show([row])[0])


class EventReplay(ApiView):
    """Look again."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="events_replay",
        summary="Look again for the runs of an event that reached none",
        answers={200: shapes.EventShape},
        refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    )
    def post(self, request: Request, event_id: UUID) -> Response:
        """As if it came now."""
        del request
        try:
            row = decisions.replay(event_id, by=self.caller().by)
        except (decisions.EventUnknownError, decisions.EventSettledError) as error:
            raise _problem(error) from None
        return Response(_show([row])[0])


class EventAssign(ApiView):
    """Give it to a run."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="events_assign",
        summary="Give an event that reached no run to one",
        body={"application/json": shapes.AssignBody},
        answers={200: shapes.EventShape},
        refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    )
    def post(self, request: Request, event_id: UUID) -> Response:
        """Whatever its data says; who and why is kept."""
        body = read_body(request, shapes.AssignBody)
        try:
            row = decisions.assign(event_id, body["run"], by=self.caller().by, reason=body["reason"])
        except decisions.RunNotChosenError as error:
            raise invalid(faults_of([Problem(str(error), pointer="/run")])) from None
        except (decisions.EventUnknownError, decisions.EventSettledError) as error:
            raise _problem(error) from None
        return Response(_show([row])[0])


class EventDrop(ApiView):
    """Let it be."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="events_drop",
        summary="Drop an event that reached no run",
        body={"application/json": shapes.DropBody},
        answers={200: shapes.EventShape},
        refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    )
    def post(self, request: Request, event_id: UUID) -> Response:
        """It stays stored; who dropped it and why is kept."""
        body = read_body(request, shapes.DropBody)
        try:
            row = decisions.drop(event_id, by=self.caller().by, reason=body["reason"])
        except (decisions.EventUnknownError, decisions.EventSettledError) as error:
            raise _problem(error) from None
        return Response(_show([row])[0])


def _show(rows: list[SagaEvent]) -> Json:
    for row, data in zip(rows, shown_data(rows), strict=True):
        row.data = data
    return shapes.EventShape(rows, many=True).data


def _rows(request: Request) -> QuerySet[SagaEvent]:
    query = request.query_params
    run = None
    if (text := query.get("run")) is not None:
        try:
            run = UUID(text)
        except ValueError:
            raise bad_query("run", "run must be a run's id.") from None
    state = query.get("state", "")
    if state and state not in STATES:
        raise bad_query("state", f"There is no state {state[:80]!r}; there are {', '.join(STATES)}.")
    wanted = EventFilter(
        type=query.get("type", ""), saga=query.get("saga", ""), run=run, state=state, key=query.get("key", "")
    )
    return matching(wanted).prefetch_related("routes__saga")


def _unknown() -> ProblemError:
    return not_found("There is no such event.")


def _problem(error: decisions.EventUnknownError | decisions.EventSettledError) -> ProblemError:
    if isinstance(error, decisions.EventUnknownError):
        return _unknown()
    return ProblemError(HTTPStatus.CONFLICT, "event-settled", str(error))


# ---- reading what was sent -------------------------------------------------


def _events(request: Request) -> list[CloudEvent]:
    content_type = (request.content_type or "").partition(";")[0].strip().lower()
    body = request.data if isinstance(request.data, bytes) else b""
    match content_type:
        case _ if content_type == BATCH:
            return list(_batch(parse_json(decode(body))))
        case _ if content_type == STRUCTURED:
            found = [read_structured(parse_json(decode(body)))]
        case _:
            found = [_binary(request, body, content_type)]
    events = [event for event, _ in found if event is not None]
    problems = [problem for _, each in found for problem in each]
    if problems:
        raise invalid(faults_of(problems))
    return events


def _batch(value: Json) -> Iterator[CloudEvent]:
    if not isinstance(value, list):
        raise invalid(faults_of([Problem("A batch is a JSON array of events.", pointer="")]))
    if len(value) > EVENTS_PER_BATCH_MAX:
        message = f"A batch has at most {EVENTS_PER_BATCH_MAX} events; found {len(value)}."
        raise invalid(faults_of([Problem(message, pointer="")]))
    read = [read_structured(each, f"/{place}") for place, each in enumerate(value)]
    if problems := [problem for _, each in read for problem in each]:
        raise invalid(faults_of(problems))
    yield from (event for event, _ in read if event is not None)


def _binary(request: Request, body: bytes, content_type: str) -> tuple[CloudEvent | None, tuple[Problem, ...]]:
    attributes = {}
    for name, value in request.headers.items():
        if name.lower().startswith(HEADER_PREFIX):
            if (said := _said(value)) is None:
                message = f"The header {name.lower()} is not UTF-8, percent-encoded where it is not ASCII."
                raise malformed(message)
            attributes[name.lower().removeprefix(HEADER_PREFIX)] = said
    if not attributes:
        message = f"An event is sent as {STRUCTURED}, as {BATCH}, or with its attributes in headers (ce-id, ce-type …)."
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message)
    data: Json = None
    if body:
        data = parse_json(decode(body)) if is_json(content_type) else opaque(body)
    return read_binary(attributes, data, content_type)


def _said(value: str) -> str | None:
    """Return what a header says: out of its quotes, then out of its percent-encoding; None when that is no text."""
    if _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("ascii")).decode()
    except UnicodeError:
        return None
