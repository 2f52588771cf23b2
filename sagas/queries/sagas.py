"""All sagas with their versions and how many runs they have: for people at a command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count

from sagas.core.vocabulary import RunStatus
from sagas.models import Saga, SagaRun

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class SagaLine:
    """One saga. `version` is the number of the latest version, None when none is published."""

    saga: Saga
    version: int | None
    versions: int  # how many there are
    runs_by_status: Mapping[str, int]  # all runs of all versions, without the statuses that none is in

    @property
    def runs(self) -> int:
        """All runs."""
        return sum(self.runs_by_status.values())


def list_sagas() -> list[SagaLine]:
    """Return all sagas by name. Two queries.

    The second one counts every run there is, so this is for a command and not for a page.
    """
    order = {status.value: place for place, status in enumerate(RunStatus)}
    runs: dict[int, dict[str, int]] = {}
    counted = SagaRun.objects.order_by().values_list("saga_id", "status").annotate(count=Count("id"))
    for saga_id, status, count in sorted(counted, key=lambda row: order.get(row[1], len(order))):
        runs.setdefault(saga_id, {})[status] = count
    sagas = (
        Saga.objects.select_related("latest")
        .defer("latest__document", "latest__source")
        .annotate(versions_count=Count("versions"))
        .order_by("name")
    )
    return [
        SagaLine(saga, saga.latest.number if saga.latest else None, saga.versions_count, runs.get(saga.id, {}))
        for saga in sagas
    ]
