"""The list of runs: filters, keyset pages, and the strip of cells that shows each run's shape."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from sagas.core.limits import KEY_LENGTH_MAX
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, StepStatus
from sagas.models import SagaRun, StepRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

PAGE_ROWS = 50
STRIP_CELLS_MAX = 24  # of one half; a longer run is summed up in words
LIST_COLUMNS = (
    "id",
    "saga_id",
    "saga__name",
    "saga__title",
    "version_id",
    "version__number",
    "status",
    "is_paused",
    "is_turning",
    "is_overdue",
    "is_hanging",
    "is_outcome_unknown",
    "waiting_for",
    "attention",
    "reason",
    "key",
    "revision",
    "steps_total",
    "steps_done",
    "undo_total",
    "undo_done",
    "current_step",
    "created_at",
    "started_at",
    "finished_at",
    "sequence",
)
_UNDER_WAY = {
    CompensationStatus.RUNNING.value,
    CompensationStatus.WAITING.value,
    CompensationStatus.RETRYING.value,
    CompensationStatus.FAILED.value,
}
_NOT_UNDOING = {CompensationStatus.NONE.value, CompensationStatus.NOT_NEEDED.value}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a person asked to see. Conditions are joined by AND, statuses by OR."""

    statuses: tuple[str, ...] = ()
    saga: str = ""
    search: str = ""  # a run id, or the beginning of a business key
    started_after: datetime | None = None
    waiting_for: str = ""
    style: str = ""  # orchestration or choreography

    @property
    def is_empty(self) -> bool:
        """Whether every run matches."""
        return self == RunFilter()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list, with the statuses of its steps: forward in order, backward in the order of undoing."""

    run: SagaRun
    forward: tuple[str, ...]
    backward: tuple[str, ...]
    undoing: str = ""  # name of the step whose compensation is under way, has failed, or comes next


@dataclass(frozen=True, slots=True)
class RunPage:
    """Fifty runs, newest first, and where the pages beside it begin (None: there are none)."""

    rows: Sequence[RunRow] = field(default_factory=tuple)
    older_than: UUID | None = None
    newer_than: UUID | None = None


def first_id_at(moment: datetime) -> UUID:
    """Return the smallest id that a run made at `moment` can have (ids are UUID version 7)."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)


def matching(wanted: RunFilter) -> QuerySet[SagaRun]:
    """Return the runs that match, unordered."""
    found = SagaRun.objects.all()
    if wanted.statuses:
        found = found.filter(status__in=wanted.statuses)
    if wanted.waiting_for:
        found = found.filter(waiting_for=wanted.waiting_for).exclude(waiting_for="")  # the partial index
    if wanted.saga:
        found = found.filter(saga__name=wanted.saga)
    if wanted.style:
        found = found.filter(saga__style=wanted.style)
    if wanted.started_after:
        found = found.filter(id__gte=first_id_at(wanted.started_after))
    if wanted.search:
        as_id = _as_uuid(wanted.search)
        found = found.filter(id=as_id) if as_id else with_key_from(found, wanted.search.lstrip("#"))
    return found


def with_key_from(found: QuerySet[SagaRun], beginning: str) -> QuerySet[SagaRun]:
    """Keep runs whose key begins so, capitals told apart on both databases (SQLite's LIKE does not)."""
    if len(beginning) > KEY_LENGTH_MAX:
        return found.none()
    same = Exact(Substr("key", 1, len(beginning)), Value(beginning))
    return found.filter(same, key__startswith=beginning)


def list_runs(
    wanted: RunFilter, *, older_than: UUID | None = None, newer_than: UUID | None = None, rows_max: int = PAGE_ROWS
) -> RunPage:
    """Return one page, newest first. Two queries, whatever the number of runs; no payload is read."""
    found = matching(wanted).select_related("saga", "version").only(*LIST_COLUMNS)
    if newer_than:
        runs = list(found.filter(id__gt=newer_than).order_by("id")[: rows_max + 1])
        has_newer, runs = len(runs) > rows_max, runs[:rows_max][::-1]
        has_older = True
    else:
        if older_than:
            found = found.filter(id__lt=older_than)
        runs = list(found.order_by("-id")[: rows_max + 1])
        has_older, runs = len(runs) > rows_max, runs[:rows_max]
        has_newer = older_than is not None
    if not runs:
        return RunPage()
    return RunPage(
        rows=with_strips(runs),
        older_than=runs[-1].id if has_older else None,
        newer_than=runs[0].id if has_newer else None,
    )


def list_rows(run_ids: Iterable[UUID]) -> tuple[RunRow, ...]:
    """Return the rows of these runs, newest first, as a page shows them. Two queries."""
    runs = SagaRun.objects.filter(id__in=list(run_ids)).select_related("saga", "version").only(*LIST_COLUMNS)
    return with_strips(list(runs.order_by("-id")))


def with_strips(runs: Sequence[SagaRun]) -> tuple[RunRow, ...]:
    """Add the statuses of the steps. One query for all of them."""
    steps: dict[UUID, list[tuple[str, str, str]]] = defaultdict(list)
    touched = StepRun.objects.filter(run__in=[run.id for run in runs], item=NO_ITEM).order_by("started_at", "id")
    for run_id, *rest in touched.values_list("run_id", "step", "status", "compensation_status"):
        steps[run_id].append((rest[0], rest[1], rest[2]))
    return tuple(_row(run, steps[run.id]) for run in runs)


def _row(run: SagaRun, steps: list[tuple[str, str, str]]) -> RunRow:
    untouched = max(run.steps_total - len(steps), 0)
    forward = [status for _, status, _ in steps] + [StepStatus.PENDING.value] * untouched
    backward = [compensation for _, _, compensation in reversed(steps) if compensation not in _NOT_UNDOING]
    return RunRow(run, tuple(forward[:STRIP_CELLS_MAX]), tuple(backward[:STRIP_CELLS_MAX]), _undoing(steps))


def _undoing(steps: list[tuple[str, str, str]]) -> str:
    for wanted in (_UNDER_WAY, {CompensationStatus.PENDING.value}):
        for step, _, compensation in reversed(steps):
            if compensation in wanted:
                return step
    return ""


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
