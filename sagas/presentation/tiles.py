"""Counts by status as tiles, each a link to the runs it counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.presentation.status import RUN_LOOKS, Look
from sagas.queries.counts import COUNT_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagas.queries.counts import Counts


@dataclass(frozen=True, slots=True)
class Tile:
    """One status. Pressing it shows its runs; pressing a chosen one shows all."""

    look: Look
    count: int
    count_text: str
    is_chosen: bool
    url: str


def shown(counts: Counts, *, chosen: tuple[str, ...], address: Callable[[tuple[str, ...]], str]) -> list[Tile]:
    """Return one tile for each status, in the order of a run's life.

    Args:
        counts: how many there are.
        chosen: the statuses that the page is narrowed to.
        address: where the runs of some statuses are listed.
    """
    tiles = []
    for value, look in RUN_LOOKS.items():
        count = counts.by_status.get(value, 0)
        text = f"{COUNT_MAX:,}+" if count > COUNT_MAX else f"{count:,}"
        is_chosen = chosen == (value,)
        tiles.append(Tile(look, count, text, is_chosen, address(() if is_chosen else (value,))))
    return tiles
