"""Beginning a run of a choreography from a page: by the event that begins it, as its publisher would send it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sagas.choreography.router import take
from sagas.core.choreography import is_choreography
from sagas.core.cloud_event import CloudEvent
from sagas.dashboard.form_key import key_of
from sagas.models import EventOrigin, RouteState
from sagas.queries.events import find_route

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest

    from sagas.core.vocabulary import Json
    from sagas.models import Saga

SOURCE = "/dashboard"


class NotBegunError(Exception):
    """The event reached no run; the text says why."""


def event_types(saga: Saga) -> list[str]:
    """Return the types that begin a run of a choreography; none of an orchestration."""
    document = saga.latest.document if saga.latest else {}
    found = document.get("starts_on") if is_choreography(document) else None
    return [str(kind) for kind in found] if isinstance(found, list) else []


def send_event(request: HttpRequest, saga: str, kind: str, data: Json) -> UUID:
    """Send an event, once for a form that is sent twice, and return the run that it reached.

    Raises:
        NotBegunError: it reached none.
    """
    pressed = key_of(request, f"{saga}:{kind}") or secrets.token_hex(16)
    event = CloudEvent(id=pressed, source=SOURCE, type=kind, data=data)
    take([event], origin=EventOrigin.API, by=request.user.get_username())
    route = find_route(saga, event.source, event.id)
    if route is None:
        message = f"No published choreography is named {saga}."
        raise NotBegunError(message)
    if route.run_id is None:
        raise NotBegunError(route.why or f"The event is {RouteState(route.state)}.")
    return route.run_id
