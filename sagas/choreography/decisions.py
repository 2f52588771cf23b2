"""What people decide about events that reached no run: to which run they belong, to look again, to drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from sagas.choreography.delivery import deliver
from sagas.choreography.router import WHY_LENGTH_MAX, route, seen
from sagas.models import OPEN_ROUTES, EventRoute, EventState, RouteState, SagaEvent, SagaRun

if TYPE_CHECKING:
    from uuid import UUID


class EventUnknownError(Exception):
    """There is no such event."""


class EventSettledError(Exception):
    """Nothing of the event waits for a decision; the text says what became of it."""


class RunNotChosenError(Exception):
    """The event cannot be given to that run; the text says why."""


def replay(event_id: UUID, *, by: str) -> SagaEvent:
    """Look again for the runs that an event is of, as if it came now; who asked is kept with where it went.

    Raises:
        EventUnknownError, EventSettledError.
    """
    with transaction.atomic():
        row = _hold(event_id)
        EventRoute.objects.filter(event=row, state__in=OPEN_ROUTES).delete()
        known = frozenset(EventRoute.objects.filter(event=row).values_list("saga_id", flat=True))
        route([row], timezone.now(), except_sagas=known)
        EventRoute.objects.filter(event=row).exclude(saga__in=known).exclude(state__in=OPEN_ROUTES).update(by=by)
    row.refresh_from_db()
    return row


def assign(event_id: UUID, run_id: UUID, *, by: str, reason: str) -> SagaEvent:
    """Give an event to a run, whatever its data says.

    Raises:
        EventUnknownError, EventSettledError, RunNotChosenError.
    """
    now = timezone.now()
    with transaction.atomic():
        row = _hold(event_id)
        run = SagaRun.objects.select_for_update(of=("self",)).select_related("saga").filter(id=run_id).first()
        if run is None or run.watch is None:
            message = "There is no such run." if run is None else "That run is orchestrated: it takes no events."
            raise RunNotChosenError(message)
        if EventRoute.objects.filter(event=row, run=run).exists():
            message = "That run has received the event already."
            raise RunNotChosenError(message)
        state = RouteState.LATE if deliver(run, [seen(row)], now) else RouteState.DELIVERED
        EventRoute.objects.update_or_create(
            event=row,
            saga=run.saga,
            defaults={
                "run": run, "state": state.value, "correlation": run.key, "until": None,
                "why": reason[:WHY_LENGTH_MAX], "by": by, "at": now,
            },
        )  # fmt: skip
        SagaEvent.objects.filter(id=row.id).update(state=EventState.ROUTED.value)
    row.refresh_from_db()
    return row


def drop(event_id: UUID, *, by: str, reason: str) -> SagaEvent:
    """Let an event be: no run gets it.

    Raises:
        EventUnknownError, EventSettledError.
    """
    with transaction.atomic():
        row = _hold(event_id)
        EventRoute.objects.filter(event=row, state__in=OPEN_ROUTES).update(
            state=RouteState.DROPPED.value, until=None, why=reason[:WHY_LENGTH_MAX], by=by, at=timezone.now()
        )
        if row.state == EventState.ORPHAN.value:
            said = f"{by}: {reason}"[:WHY_LENGTH_MAX]
            SagaEvent.objects.filter(id=row.id).update(state=EventState.DROPPED.value, dropped_why=said)
    row.refresh_from_db()
    return row


def _hold(event_id: UUID) -> SagaEvent:
    """Return an event of which something waits for a decision, its row locked."""
    row = SagaEvent.objects.select_for_update().filter(id=event_id).first()
    if row is None:
        raise EventUnknownError
    if (
        row.state != EventState.ORPHAN.value
        and not EventRoute.objects.filter(event=row, state__in=OPEN_ROUTES).exists()
    ):
        words = sorted(set(EventRoute.objects.filter(event=row).values_list("state", flat=True)))
        message = f"Nothing of this event waits for a decision: it is {', '.join(words) or row.state}."
        raise EventSettledError(message)
    return row
