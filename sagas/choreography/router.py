"""Taking events in: each is stored once, and brought to the run of each choreography that names its type.

All in one transaction: what was answered with 202 is stored and in the inbox of its
run, or kept where people see it. Whoever sends it again is told the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import F

from sagas.choreography.delivery import BY_LENGTH_MAX, deliver, start
from sagas.choreography.listeners import listeners_to, sealed_data
from sagas.core.choreography import EarlyKind
from sagas.core.correlation import UncorrelatedError, correlate
from sagas.engine import deliveries
from sagas.engine.clock import Clock
from sagas.models import EventOrigin, EventRoute, EventState, RouteState, SagaEvent, SagaRun
from sagas.sealing import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sagas.choreography.listeners import Listener
    from sagas.core.cloud_event import CloudEvent

_clock = Clock()
WHY_LENGTH_MAX = 300
_KEPT = [RouteState.BUFFERED.value, RouteState.PARKED.value]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of events that were taken in: how many were new, and how many had been here before."""

    accepted: int
    duplicates: int


def take(events: Sequence[CloudEvent], *, origin: EventOrigin, by: str) -> Taken:
    """Store events and route those that are new, in their order.

    Args:
        events: checked before; at most `EVENTS_PER_BATCH_MAX`.
        origin: how they came.
        by: who sent them.
    """
    now = _clock.now()
    with transaction.atomic():
        known = _known({(one.source, one.id) for one in events})
        fresh: dict[tuple[str, str], CloudEvent] = {}
        repeated: list[tuple[str, str]] = []
        for one in events:
            key = (one.source, one.id)
            if key in known or key in fresh:
                repeated.append(key)
            else:
                fresh[key] = one
        listeners = listeners_to({one.type for one in fresh.values()})
        rows = _stored(list(fresh.values()), listeners, origin, by, now)
        _bring_all(rows, listeners, now)
        deliveries.note_events(rows)
        for source, event_id in repeated:
            known_one = SagaEvent.objects.filter(source=source, event_id=event_id)
            if origin is EventOrigin.BROKER:  # what we published ourselves comes back once
                known_one = known_one.exclude(origin=EventOrigin.REACTION.value)
            known_one.update(duplicates=F("duplicates") + 1)
    return Taken(len(rows), len(events) - len(rows))


def _known(keys: set[tuple[str, str]]) -> set[tuple[str, str]]:
    ids = {event_id for _, event_id in keys}
    return set(SagaEvent.objects.filter(event_id__in=ids).values_list("source", "event_id")) & keys


def _stored(
    events: Sequence[CloudEvent], listeners: Mapping[str, list[Listener]], origin: EventOrigin, by: str, now: datetime
) -> list[SagaEvent]:
    """Store events, what is redacted sealed; one that somebody else stores at this very moment is theirs."""
    causes = {one.cause for one in events if one.cause}
    depths: dict[str, int] = {}
    if causes:
        for event_id, depth in SagaEvent.objects.filter(event_id__in=causes).values_list("event_id", "depth"):
            depths[event_id] = max(depth, depths.get(event_id, 0))
    rows = []
    for one in events:
        depth = depths[one.cause] + 1 if one.cause in depths else 0
        depths[one.id] = depth
        rows.append(
            SagaEvent(
                source=one.source, event_id=one.id, type=one.type, subject=one.subject, time=one.time,
                data=sealed_data(one.data, listeners.get(one.type, ())),
                cause=one.cause, depth=depth, origin=origin.value, sent_by=by[:BY_LENGTH_MAX], received_at=now,
            )
        )  # fmt: skip
    SagaEvent.objects.bulk_create(rows, ignore_conflicts=True)
    written = set(SagaEvent.objects.filter(id__in=[row.id for row in rows]).values_list("id", flat=True))
    return [row for row in rows if row.id in written]


# ---- routing ---------------------------------------------------------------


def route(rows: Sequence[SagaEvent], now: datetime, *, except_sagas: frozenset[int] = frozenset()) -> None:
    """Bring events to every choreography that names them; in the caller's transaction.

    What they say is redacted, and was stored before they said so, is sealed now.
    """
    listeners = listeners_to({row.type for row in rows})
    changed = []
    for row in rows:
        data = sealed_data(row.data, listeners.get(row.type, ()))
        if data is not row.data:
            row.data = data
            changed.append(row)
    SagaEvent.objects.bulk_update(changed, ["data"])
    _bring_all(rows, listeners, now, except_sagas)


def _bring_all(
    rows: Sequence[SagaEvent],
    listeners: Mapping[str, list[Listener]],
    now: datetime,
    except_sagas: frozenset[int] = frozenset(),
) -> None:
    """Bring events to their runs.

    Runs are taken in one order by everybody, so that two who do this at once never wait for each other in a ring.
    """
    groups: dict[tuple[int, str], list[SagaEvent]] = defaultdict(list)
    routes: list[EventRoute] = []
    sagas: dict[int, Listener] = {}
    for row in rows:
        for listener in listeners.get(row.type, ()):
            saga_id = listener.saga.pk
            if saga_id in except_sagas:
                continue
            sagas[saga_id] = listener
            try:
                groups[saga_id, correlate(listener.definition, seen(row))].append(row)
            except UncorrelatedError as error:
                routes.append(_route(row, saga_id, RouteState.UNCORRELATED, now, why=str(error)))
    hold(groups)
    found = _find(groups)
    for saga_id, key in sorted(groups):
        routes += _bring(sagas[saga_id], key, groups[saga_id, key], found, now)
    EventRoute.objects.bulk_create(routes)
    heard = [row.id for row in rows if row.type in listeners]
    orphans = [row.id for row in rows if row.type not in listeners]
    SagaEvent.objects.filter(id__in=heard).update(state=EventState.ROUTED.value)
    SagaEvent.objects.filter(id__in=orphans).update(state=EventState.ORPHAN.value)


def seen(row: SagaEvent) -> dict[str, object]:
    """Return what runs and expressions see of a stored event, what is sealed opened."""
    event: dict[str, object] = {"id": row.event_id, "source": row.source, "type": row.type, "data": opened(row.data)}
    if row.subject:
        event["subject"] = row.subject
    if row.time is not None:
        event["time"] = row.time.isoformat()
    if row.cause:
        event["cause"] = row.cause
    if row.depth:
        event["depth"] = row.depth
    return event


def hold(values: Iterable[tuple[int, str]]) -> None:
    """Let nobody else look for runs of these correlation values, or make them, until the transaction ends."""
    if connection.vendor == "postgresql":  # SQLite has one writer, and a transaction is it from its start
        names = sorted(f"{saga_id}:{key}" for saga_id, key in values)
        with connection.cursor() as cursor:
            cursor.execute(_HOLD, [names])


_HOLD = """
    SELECT pg_advisory_xact_lock(hashtextextended(name, 7341))
    FROM unnest(%s::text[]) WITH ORDINALITY AS held (name, place) ORDER BY place"""


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is of some correlation values: runs, their rows locked, and events that were kept for none."""

    runs: dict[tuple[int, str], SagaRun]
    kept: dict[tuple[int, str], list[EventRoute]]


def _find(values: Iterable[tuple[int, str]]) -> _Found:
    """Return what there is of correlation values that the caller holds. Two queries for each saga."""
    keys: dict[int, list[str]] = defaultdict(list)
    for saga_id, key in values:
        keys[saga_id].append(key)
    runs: dict[tuple[int, str], SagaRun] = {}
    kept: dict[tuple[int, str], list[EventRoute]] = defaultdict(list)
    for saga_id, some in keys.items():
        rows = SagaRun.objects.select_for_update(of=("self",)).filter(saga_id=saga_id, start_key__in=some)
        runs |= {(saga_id, str(run.start_key)): run for run in rows.select_related("saga", "version").order_by("id")}
        routes = EventRoute.objects.filter(saga_id=saga_id, correlation__in=some, state__in=_KEPT)
        for route_kept in routes.select_related("event").order_by("id"):
            kept[saga_id, route_kept.correlation].append(route_kept)
    return _Found(runs, kept)


def _bring(listener: Listener, key: str, rows: Sequence[SagaEvent], found: _Found, now: datetime) -> list[EventRoute]:
    """Bring events of one correlation value to their run: the one there is, or the one that one of them begins.

    A run receives first what begins it, then what was kept for it, then the others in their order.
    """
    saga_id = listener.saga.pk
    run = found.runs.get((saga_id, key))
    if run is not None:
        state = RouteState.LATE if deliver(run, [seen(row) for row in rows], now) else RouteState.DELIVERED
        return [_route(row, saga_id, state, now, key=key, run=run) for row in rows]
    first = next((row for row in rows if listener.takes_new_runs and listener.begins(row.type)), None)
    if first is None:
        return [_early(row, saga_id, key, listener, now) for row in rows]
    run = start(listener.version, listener.definition, key, seen(first))
    others = [row for row in rows if row is not first]
    kept = claim_kept(run, found.kept.get((saga_id, key), []), now)
    deliver(run, [seen(row) for row in (first, *kept, *others)], now)
    return [_route(row, saga_id, RouteState.DELIVERED, now, key=key, run=run) for row in rows]


def claim_kept(run: SagaRun, kept: Sequence[EventRoute], now: datetime) -> list[SagaEvent]:
    """Mark what was kept for a correlation value as delivered to its run; return it, oldest first."""
    if kept:
        EventRoute.objects.filter(id__in=[one.id for one in kept]).update(
            state=RouteState.DELIVERED.value, run=run, until=None, at=now
        )
    return [one.event for one in kept]


def _early(row: SagaEvent, saga_id: int, key: str, listener: Listener, now: datetime) -> EventRoute:
    early = listener.chart.early_of(row.type)
    if early.kind is EarlyKind.DROP:
        return _route(row, saga_id, RouteState.DROPPED, now, key=key, why="It came before its run, as `early` says.")
    if early.kind is EarlyKind.BUFFER:
        until = now + timedelta(seconds=early.buffer_s)
        return _route(row, saga_id, RouteState.BUFFERED, now, key=key, until=until)
    why = "" if listener.takes_new_runs else "The saga is archived: it takes no new runs."
    return _route(row, saga_id, RouteState.PARKED, now, key=key, why=why)


def _route(
    row: SagaEvent,
    saga_id: int,
    state: RouteState,
    now: datetime,
    *,
    key: str = "",
    run: SagaRun | None = None,
    until: datetime | None = None,
    why: str = "",
) -> EventRoute:
    return EventRoute(
        event=row, saga_id=saga_id, run=run, state=state.value, correlation=key, until=until,
        why=why[:WHY_LENGTH_MAX], at=now,
    )  # fmt: skip


# ---- what the courier does -------------------------------------------------


def route_waiting(limit: int) -> int:
    """Route events that reactions of ours emitted to all other choreographies; return how many."""
    waiting = SagaEvent.objects.filter(state=EventState.WAITING.value)
    if not waiting.exists():  # on SQLite a transaction takes the write lock even when there is nothing to do
        return 0
    now = _clock.now()
    with transaction.atomic():
        rows = list(waiting.select_for_update(skip_locked=True).order_by("id")[:limit])
        by_saga: dict[frozenset[int], list[SagaEvent]] = defaultdict(list)
        known: dict[UUID, set[int]] = defaultdict(set)
        for event_id, saga_id in _routed(rows):
            known[event_id].add(saga_id)
        for row in rows:
            by_saga[frozenset(known[row.id])].append(row)
        for sagas, group in by_saga.items():
            route(group, now, except_sagas=sagas)
    return len(rows)


def _routed(rows: Iterable[SagaEvent]) -> Iterable[tuple[UUID, int]]:
    return EventRoute.objects.filter(event__in=[row.id for row in rows]).values_list("event_id", "saga_id")


def park_expired(limit: int) -> int:
    """Park what was buffered and whose time is up, so that people see it; return how many."""
    now = _clock.now()
    over = EventRoute.objects.filter(state=RouteState.BUFFERED.value, until__lte=now)
    ids = list(over.order_by("until").values_list("id", flat=True)[:limit])
    if not ids:
        return 0
    return EventRoute.objects.filter(id__in=ids, state=RouteState.BUFFERED.value).update(
        state=RouteState.PARKED.value, until=None, at=now, why="No run began while it was kept."
    )
