"""Reading events and where they went."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Exists, F, OuterRef, Q

from sagas.core.observed import Seen, service_of
from sagas.models import EventRoute, EventState, EventUse, RouteState, SagaEvent, Service

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

EVENTS_SHOWN_MAX = 50  # on a page
SEEN_MAX = 20_000  # counted for the map
WAITING_MAX = 1_000  # counted of what waits for a person
FOLLOWING_MAX = 20
DRAFTED_MAX = 5_000  # events of which a draft is made
WAITING_STATES = (RouteState.PARKED.value, RouteState.UNCORRELATED.value)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; what is empty is not asked for."""

    type: str = ""
    saga: str = ""
    run: UUID | None = None
    state: str = ""  # a word of `RouteState` or of `EventState`
    key: str = ""


def matching(wanted: EventFilter) -> QuerySet[SagaEvent]:
    """Return the events that fit, in no order."""
    rows = SagaEvent.objects.all()
    if wanted.type:
        rows = rows.filter(type=wanted.type)
    routes = EventRoute.objects.filter(event=OuterRef("pk"))
    is_of_event = wanted.state in {EventState.ORPHAN.value, EventState.WAITING.value, EventState.ROUTED.value}
    asked = Q()
    if wanted.saga:
        asked &= Q(saga__name=wanted.saga)
    if wanted.run is not None:
        asked &= Q(run=wanted.run)
    if wanted.key:
        asked &= Q(correlation=wanted.key)
    if wanted.state and not is_of_event:
        asked &= Q(state=wanted.state)
    if asked:
        by_route = Exists(routes.filter(asked))
        is_dropped = wanted.state == EventState.DROPPED.value and not (wanted.saga or wanted.run or wanted.key)
        rows = rows.filter(by_route | Q(state=EventState.DROPPED.value)) if is_dropped else rows.filter(by_route)
    if is_of_event:
        rows = rows.filter(state=wanted.state)
    return rows


# ---- the map ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """How one service has to do with a type of event, as some latest version says."""

    saga: str
    role: str
    service: str
    reaction: str = ""
    undoes: str = ""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One type of event: who names it, and what was seen of it in the window."""

    type: str
    uses: tuple[Use, ...] = ()
    seen: int = 0
    last_at: datetime | None = None
    sources: Mapping[str, int] = field(default_factory=dict)  # how many of them by the service that their source names
    waiting: int = 0  # that reached no run and wait for a person, however old
    is_capped: bool = False


def map_rows(since: datetime, saga: str = "") -> list[MapRow]:
    """Return every type that a latest version names or that was seen since, by name; of `saga` those it names alone.

    Of what was seen, the newest `SEEN_MAX` events are counted. Four queries.
    """
    uses: dict[str, list[Use]] = defaultdict(list)
    declared = EventUse.objects.filter(version=F("saga__latest"), saga__archived_at=None).order_by("id")
    for kind, *rest in declared.values_list("type", "saga__name", "role", "service", "reaction", "undoes"):
        if not saga or rest[0] == saga:
            uses[kind].append(Use(*rest))
    newest = SagaEvent.objects.order_by("-id").values_list("type", "source", "received_at")[:SEEN_MAX]
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, datetime] = {}
    rows = 0
    for kind, source, at in newest:
        rows += 1
        if at < since:
            break
        sources[kind][source] += 1
        last.setdefault(kind, at)
    waiting = _waiting_by_type()
    named = uses if saga else {*uses, *last, *waiting}
    return [
        MapRow(
            kind,
            tuple(uses.get(kind, ())),
            sources[kind].total(),
            last.get(kind),
            _by_service(sources[kind]),
            waiting[kind],
            rows >= SEEN_MAX,
        )
        for kind in sorted(named)
    ]


def registered_services() -> set[str]:
    """Return the names of the services that have a page. One query."""
    return set(Service.objects.values_list("name", flat=True))


def _by_service(sources: Counter[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for source, count in sources.items():
        found[service_of(source)] += count
    return found


def _waiting_by_type() -> Counter[str]:
    """Count what waits for a person by its type, at most `WAITING_MAX` of those with a saga and of those with none."""
    routes = EventRoute.objects.filter(state__in=WAITING_STATES).values_list("event__type", flat=True)
    orphans = SagaEvent.objects.filter(state=EventState.ORPHAN.value).values_list("type", flat=True)
    return Counter(routes.order_by()[:WAITING_MAX]) + Counter(orphans.order_by()[:WAITING_MAX])


def count_waiting() -> dict[str, int]:
    """Return how many events wait for a person, by what became of them; each at most `WAITING_MAX`. Three queries."""
    found = {
        state: EventRoute.objects.filter(state=state).values("id")[:WAITING_MAX].count() for state in WAITING_STATES
    }
    orphans = SagaEvent.objects.filter(state=EventState.ORPHAN.value).values("id")[:WAITING_MAX].count()
    return found | {EventState.ORPHAN.value: orphans}


def page(wanted: EventFilter, before: UUID | None) -> list[SagaEvent]:
    """Return the newest events that fit, older than `before`; one more than is shown. Three queries."""
    rows = matching(wanted)
    if before is not None:
        rows = rows.filter(id__lt=before)
    return list(rows.defer("data").prefetch_related("routes__saga").order_by("-id")[: EVENTS_SHOWN_MAX + 1])


def find_event(event_id: UUID) -> SagaEvent | None:
    """Return one event with its routes; None when there is none."""
    return SagaEvent.objects.prefetch_related("routes__saga", "routes__run").filter(id=event_id).first()


def follows_from(row: SagaEvent) -> tuple[SagaEvent | None, list[SagaEvent]]:
    """Return the event that one follows from, and those that follow from it. Two queries."""
    before = SagaEvent.objects.filter(event_id=row.cause).defer("data").first() if row.cause else None
    after = SagaEvent.objects.filter(cause=row.event_id).defer("data").order_by("id")[:FOLLOWING_MAX]
    return before, list(after)


def find_route(saga: str, source: str, event_id: str) -> EventRoute | None:
    """Return what became of an event for one saga; None when that does not name it."""
    return EventRoute.objects.filter(saga__name=saga, event__source=source, event__event_id=event_id).first()


def newest_seen(saga: str = "") -> list[Seen]:
    """Return the newest events as a draft is made of them, oldest first; with `saga` those of its runs. One query."""
    rows = matching(EventFilter(saga=saga)).order_by("-id")
    found = rows.values_list("event_id", "type", "source", "cause", "data")[:DRAFTED_MAX]
    return [Seen(*row) for row in reversed(found)]
