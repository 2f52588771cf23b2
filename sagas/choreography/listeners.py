"""Who hears a type of event: the choreographies that name it, and what of its data they say nobody is to see."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.catalog.errors import VersionUnknownError, VersionUnreadableError
from sagas.catalog.load import load_version
from sagas.core.choreography import EarlyKind
from sagas.core.redaction import EVENT
from sagas.core.sealed import MASK
from sagas.models import EventUse, Saga
from sagas.sealing import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from sagas.core.choreography import Choreography
    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json
    from sagas.models import SagaEvent, SagaVersion


@dataclass(frozen=True, slots=True)
class Listener:
    """A choreography that names a type of event, by its latest version."""

    saga: Saga
    version: SagaVersion
    definition: Definition
    chart: Choreography

    @property
    def takes_new_runs(self) -> bool:
        """Whether an event may begin a run of it."""
        return self.saga.archived_at is None

    def begins(self, kind: str) -> bool:
        """Whether an event of this type begins a run where there is none."""
        return kind in self.chart.starts_on or self.chart.early_of(kind).kind is EarlyKind.START


def listeners_to(types: set[str]) -> dict[str, list[Listener]]:
    """Return, for each type, the choreographies that name it, in whichever of their versions. Two queries."""
    found: dict[str, list[Listener]] = defaultdict(list)
    pairs = set(EventUse.objects.filter(type__in=types).values_list("type", "saga_id"))
    sagas = {
        saga.pk: saga for saga in Saga.objects.select_related("latest").filter(id__in={saga_id for _, saga_id in pairs})
    }
    for kind, saga_id in sorted(pairs):
        saga = sagas[saga_id]
        definition = _read(saga.latest_id)
        if definition is not None and definition.choreography is not None and saga.latest is not None:
            saga.latest.saga = saga
            found[kind].append(Listener(saga, saga.latest, definition, definition.choreography))
    return found


def _read(version_id: UUID | None) -> Definition | None:
    try:
        return None if version_id is None else load_version(version_id)
    except (VersionUnknownError, VersionUnreadableError):
        return None


# ---- what nobody is to see -------------------------------------------------


def sealed_data(data: Json, listeners: Iterable[Listener]) -> Json:
    """Return the data of an event as it is stored: itself when nobody who hears it hides any of it."""
    return _changed(data, listeners, seal)


def shown_data(rows: Sequence[SagaEvent]) -> list[Json]:
    """Return the data of stored events as it may be shown and told to others: `•••` at all that is redacted.

    That is what was sealed when it was stored, and what the latest versions that
    name its type say today. Two queries, whatever the number of events.
    """
    listeners = listeners_to({row.type for row in rows})
    return [_changed(row.data, listeners.get(row.type, ()), lambda _: MASK) for row in rows]


def _changed(data: Json, listeners: Iterable[Listener], change: Callable[[Json], Json]) -> Json:
    for one in listeners:
        if one.definition.redaction.places.get(EVENT):
            data = one.definition.redaction.changed(EVENT, {"data": data}, change)["data"]
    return data
