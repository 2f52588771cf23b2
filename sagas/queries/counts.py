"""Bounded counts: no count reads more rows than `COUNT_MAX`, so no page waits for a big table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection

from sagas.core.vocabulary import RunStatus
from sagas.models import PumpSlot, SagaRun
from sagas.queries.runs import RunFilter, first_id_at, matching

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.db.models import QuerySet

COUNT_MAX = 10_000
SCOPE = timedelta(hours=24)
OPEN_STATUSES = tuple(status.value for status in RunStatus if not status.is_final)
FINAL_STATUSES = tuple(status.value for status in RunStatus if status.is_final)


@dataclass(frozen=True, slots=True)
class Counts:
    """Runs by status: open ones of any age, final ones of the last 24 hours."""

    by_status: Mapping[str, int]
    is_capped: bool
    counted_at: datetime

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_status.values())


def count_by_status(now: datetime) -> Counts:
    """Count the runs. Two queries."""
    still_open = _group(SagaRun.objects.filter(status__in=OPEN_STATUSES))
    ended = _group(SagaRun.objects.filter(status__in=FINAL_STATUSES, id__gte=first_id_at(now - SCOPE)))
    found = {status.value: 0 for status in RunStatus} | still_open | ended
    capped = sum(still_open.values()) > COUNT_MAX or sum(ended.values()) > COUNT_MAX
    return Counts(found, capped, now)


def read_mark() -> str:
    """Return a text that changes when a run starts, moves or ends. One query, over `COUNT_MAX` open runs at most."""
    bounded = SagaRun.objects.filter(status__in=OPEN_STATUSES).order_by().values("sequence", "revision")[:COUNT_MAX]
    sql, params = bounded.query.get_compiler(connection=connection).as_sql()
    newest = f"SELECT id FROM {SagaRun._meta.db_table} ORDER BY id DESC LIMIT 1"  # noqa: S608
    with connection.cursor() as cursor:
        sums = "COUNT(*), SUM(sequence), SUM(revision)"
        cursor.execute(f"SELECT ({newest}), {sums} FROM ({sql}) AS bounded", params)  # noqa: S608
        return " ".join(map(str, cursor.fetchone()))


def count_matching(wanted: RunFilter) -> int:
    """Count the runs that match, at most `COUNT_MAX` + 1. One query."""
    return matching(wanted).order_by()[: COUNT_MAX + 1].count()


def count_attention(most: int = 100) -> int:
    """Count the runs that need a person, at most `most`. One query."""
    return SagaRun.objects.filter(status=RunStatus.NEEDS_ATTENTION.value)[:most].count()


def last_beat() -> datetime | None:
    """Return when an engine last gave a sign of life. One query."""
    return PumpSlot.objects.filter(beat_at__isnull=False).order_by("-beat_at").values_list("beat_at", flat=True).first()


def _group(runs: QuerySet[SagaRun]) -> dict[str, int]:
    bounded = runs.order_by().values("status")[: COUNT_MAX + 1]
    sql, params = bounded.query.get_compiler(connection=connection).as_sql()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT status, COUNT(*) FROM ({sql}) AS bounded GROUP BY status", params)  # noqa: S608
        return dict(cursor.fetchall())
