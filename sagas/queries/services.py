"""The services of the registry, how they are, and who needs them. Every figure comes with the time it is of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, Max, Q, Sum, TextField
from django.db.models.functions import Cast

from sagas.core.document_services import COMPENSATION, PROBE, Named, named_services
from sagas.core.limits import DEPTH_MAX, SERVICE_CHANGES_SHOWN_MAX, SERVICES_MAX
from sagas.core.outcome import BEFORE_SERVICE
from sagas.core.vocabulary import CompensationStatus, StepStatus, WaitingFor
from sagas.models import Saga, SagaRun, SagaVersion, Service, ServiceChange, ServiceMinute, ServiceState, StepRun
from sagas.queries.counts import OPEN_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

WINDOW = timedelta(minutes=5)  # over which a rate is told: long enough for a few calls, short enough to be now
STRIP = timedelta(hours=1)  # minutes shown one by one
SAGAS_MAX = 500  # whose documents are read for who names what: the first by name
WAITING_GROUPS_MAX = 1_000  # of a step of a version: what waits is counted in these
_RETRYING = Q(status=StepStatus.RETRYING.value) | Q(compensation_status=CompensationStatus.RETRYING.value)
_WAITING_FOR = [one.value for one in WaitingFor]  # the runs that wait for anything have an index
RUNS_NAMED_MAX = 5  # of those that keep a service from being deleted


@dataclass(frozen=True, slots=True)
class Use:
    """A saga whose latest version names a service, and where."""

    saga: str
    title: str
    version: int
    places: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """What calls came to over some minutes. `as_of` is the newest of these minutes; None: there was no call."""

    calls: int = 0
    refusals: int = 0
    failures: int = 0
    latency_ms_sum: int = 0
    latency_ms_max: int = 0
    as_of: datetime | None = None

    @property
    def error_rate(self) -> float | None:
        """Failed or unknown calls of all that ended; None when none did."""
        return self.failures / self.calls if self.calls else None

    @property
    def latency_ms_mean(self) -> float | None:
        """Mean time of a call; None when none ended."""
        return self.latency_ms_sum / self.calls if self.calls else None


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service and how it is. `state` is None for one that was never called."""

    service: Service
    state: ServiceState | None
    window: Window
    uses: tuple[Use, ...]
    waiting: int  # steps that wait until they may enter
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class ServicePage:
    """One service with its last hour and what was done to it, newest first."""

    line: ServiceLine
    minutes: tuple[ServiceMinute, ...]  # oldest first; those without a call are missing
    changes: tuple[ServiceChange, ...]


def list_services(now: datetime, after: str = "", most: int = SERVICES_MAX) -> list[ServiceLine]:
    """Return the services by name, those behind the name `after`. Five queries at most."""
    return lines_of(Service.objects.select_related("state").filter(name__gt=after).order_by("name")[:most], now)


def lines_of(services: Iterable[Service], now: datetime) -> list[ServiceLine]:
    """Return how these services are. Five queries at most, the one for the services included."""
    found = list(services)
    if not found:
        return []
    windows = _windows([one.pk for one in found], now)
    uses = _uses()
    waiting = _waiting()
    return [
        ServiceLine(
            one,
            getattr(one, "state", None),
            windows.get(one.pk, Window()),
            tuple(uses.get(one.name, ())),
            waiting.get(one.name, 0),
            now,
        )
        for one in found
    ]


def find_service(name: str, now: datetime) -> ServicePage | None:
    """Return one service, or None. Seven queries at most."""
    found = lines_of(Service.objects.select_related("state").filter(name=name), now)
    if not found:
        return None
    minutes = ServiceMinute.objects.filter(service=found[0].service, minute__gt=now - STRIP).order_by("minute")
    return ServicePage(found[0], tuple(minutes[: int(STRIP / timedelta(minutes=1))]), list_changes(name))


def list_changes(name: str) -> tuple[ServiceChange, ...]:
    """Return what was done to a service, newest first, also before it was deleted. One query."""
    return tuple(ServiceChange.objects.filter(service_name=name).order_by("-id")[:SERVICE_CHANGES_SHOWN_MAX])


def sagas_naming(name: str) -> tuple[Use, ...]:
    """Return every saga that is not archived and whose latest version names a service. One query."""
    sagas = Saga.objects.filter(archived_at__isnull=True).select_related("latest").alias(text=_text("latest__document"))
    rows = sagas.filter(text__contains=f'"{name}"').order_by("name")
    return tuple(use for saga in rows.iterator() for use in _use_of(saga) if use_names(use, name))


def use_names(use: Use, name: str) -> bool:
    """Whether a use is of this service."""
    return any(place.service == name for place in use.places)


def open_runs_naming(name: str, kind: str = "") -> tuple[str, ...]:
    """Return the ids of a few runs whose version names a service and that may still call it. Two queries.

    With `kind`, only those that call it so. A sub-saga that has ended counts while a run around
    it has not: that one may yet be undone.
    """
    versions = SagaVersion.objects.alias(text=_text("document")).filter(text__contains=f'"{name}"')
    ids = [
        version
        for version, document in versions.values_list("id", "document").iterator()
        if any(place.service == name and kind in {"", place.kind} for place in named_services(document))
    ]
    if not ids:
        return ()
    may_call = Q(status__in=OPEN_STATUSES)
    around = ""
    for _ in range(DEPTH_MAX):
        around += "parent__"
        may_call |= Q(**{f"{around}status__in": OPEN_STATUSES})
    runs = SagaRun.objects.filter(may_call, version__in=ids).order_by("-id").values_list("id", flat=True)
    return tuple(map(str, runs[:RUNS_NAMED_MAX]))


def _windows(services: Sequence[UUID], now: datetime) -> dict[UUID, Window]:
    rows = ServiceMinute.objects.filter(minute__gt=now - WINDOW)
    if len(services) == 1:
        rows = rows.filter(service=services[0])
    summed = rows.order_by().values("service_id").annotate(
        all_calls=Sum("calls"), all_refusals=Sum("refusals"), all_failures=Sum("failures"),
        all_ms=Sum("latency_ms_sum"), most_ms=Max("latency_ms_max"), newest=Max("minute"),
    )  # fmt: skip
    return {
        row["service_id"]: Window(
            row["all_calls"], row["all_refusals"], row["all_failures"], row["all_ms"], row["most_ms"], row["newest"]
        )
        for row in summed
    }


def _uses() -> dict[str, list[Use]]:
    """Return by service the sagas that name it; archived ones start no run, and are left out. One query."""
    sagas = Saga.objects.filter(archived_at__isnull=True).select_related("latest").alias(text=_text("latest__document"))
    rows = sagas.filter(text__contains='"service"').order_by("name").defer("latest__source")[:SAGAS_MAX]
    found: dict[str, list[Use]] = {}
    for saga in rows:
        for use in _use_of(saga):
            for service in dict.fromkeys(place.service for place in use.places):
                found.setdefault(service, []).append(use)
    return found


def _use_of(saga: Saga) -> tuple[Use, ...]:
    if saga.latest is None:
        return ()
    places = named_services(saga.latest.document)
    return (Use(saga.name, saga.title, saga.latest.number, places),) if places else ()


def _waiting() -> dict[str, int]:
    """Return by service how many steps wait for it. Two queries, one when none waits."""
    rows = list(
        StepRun.objects.filter(_RETRYING, run__waiting_for__in=_WAITING_FOR, error__code__in=sorted(BEFORE_SERVICE))
        .order_by()
        .values("run__version_id", "step", "compensation_status")
        .annotate(count=Count("id"))[:WAITING_GROUPS_MAX]
    )
    if not rows:
        return {}
    documents = dict(
        SagaVersion.objects.filter(id__in={row["run__version_id"] for row in rows}).values_list("id", "document")
    )
    named = {version: _by_step(document) for version, document in documents.items()}
    found: dict[str, int] = {}
    for row in rows:
        service = _waits_for(named.get(row["run__version_id"], {}), row)
        if service:
            found[service] = found.get(service, 0) + row["count"]
    return found


def _by_step(document: Any) -> dict[tuple[str, bool], str]:
    """Return the service of each step's action and compensation."""
    places = (place for place in named_services(document) if place.half != PROBE)
    return {(place.step, place.half == COMPENSATION): place.service for place in places}


def _waits_for(named: Mapping[tuple[str, bool], str], row: Mapping[str, Any]) -> str:
    is_undo = row["compensation_status"] == CompensationStatus.RETRYING.value
    return named.get((row["step"], is_undo)) or named.get((row["step"], False), "")


def _text(column: str) -> Cast:
    return Cast(column, TextField())
