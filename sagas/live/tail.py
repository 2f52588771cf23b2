"""The tail: one small query per tick finds which of the watched runs moved on.

One task per web process. The pump pays nothing for being watched, and nothing
is asked of the database while nobody watches. On PostgreSQL rows become visible
out of order, so the tail compares positions of the watched rows; it never asks
for "everything after the last id".
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from channels.db import DatabaseSyncToAsync

from sagas.live import publisher
from sagas.live.publisher import Position
from sagas.models import SagaRun
from sagas.queries import counts

if TYPE_CHECKING:
    from uuid import UUID

TICK_S = 0.04
LIST_TICKS = 12  # lists and the overview are looked at each 12th tick, about twice a second
IDS_PER_QUERY_MAX = 500  # well under SQLite's bound on parameters

watched: Counter[UUID] = Counter()
list_viewers: set[str] = set()  # channel names
overview_viewers: set[str] = set()  # the same
thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tail")  # one connection, never behind a render


def watch(run_id: UUID) -> None:
    """Count one more viewer of `run_id`."""
    watched[run_id] += 1


def unwatch(run_id: UUID) -> None:
    """Count one viewer less; the last one leaves nothing behind."""
    watched[run_id] -= 1
    if watched[run_id] <= 0:
        del watched[run_id]


def _positions(run_ids: list[UUID]) -> dict[UUID, Position]:
    found: dict[UUID, Position] = {}
    for start in range(0, len(run_ids), IDS_PER_QUERY_MAX):
        rows = SagaRun.objects.filter(id__in=run_ids[start : start + IDS_PER_QUERY_MAX]).order_by()
        found |= {run_id: Position(*rest) for run_id, *rest in rows.values_list("id", "sequence", "revision")}
    return found


def _newest() -> UUID | None:
    return SagaRun.objects.order_by("-id").values_list("id", flat=True).first()


_read_positions = DatabaseSyncToAsync(_positions, thread_sensitive=False, executor=thread)
_read_mark = DatabaseSyncToAsync(counts.read_mark, thread_sensitive=False, executor=thread)
_read_newest = DatabaseSyncToAsync(_newest, thread_sensitive=False, executor=thread)


async def follow() -> None:
    """Nudge the groups of watched runs that advanced, until cancelled.

    A run seen for the first time is nudged too: it may have moved between the
    viewer's snapshot and this look; a viewer ignores what it already shows.
    """
    seen: dict[UUID, Position] = {}
    newest: UUID | None = None
    mark = ""
    tick = 0
    while True:
        await asyncio.sleep(TICK_S)
        tick += 1
        if watched:
            positions = await _read_positions(list(watched))
            for run_id, position in positions.items():
                if seen.get(run_id) != position:
                    await publisher.nudge(run_id, position)
            seen = positions
        if list_viewers and tick % LIST_TICKS == 0:
            last, newest = newest, await _read_newest()
            if newest is not None and newest != last:
                await publisher.nudge_lists(newest)
        if overview_viewers and tick % LIST_TICKS == 0:
            before, mark = mark, await _read_mark()
            if mark != before:
                await publisher.nudge_overview(mark)
