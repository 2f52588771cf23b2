"""The matrix of events: a row for each type, a column for each service; what is declared against what was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.models import EventRole
from sagas.presentation.event_flow import PUBLISHING, Flow, Told, flows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sagas.queries.events import MapRow

COLUMNS_MAX = 40  # services; more than that nobody reads across


@dataclass(frozen=True, slots=True)
class Cell:
    """What one service has to do with one type."""

    publishes: bool = False
    reactions: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing to do with it."""
        return not self.publishes and not self.reactions


@dataclass(frozen=True, slots=True)
class Line:
    """One type of event."""

    type: str
    cells: tuple[Cell, ...]
    sagas: tuple[str, ...]
    seen: int
    last_at: datetime | None
    is_undo: bool
    marks: tuple[str, ...]  # starts a run, completes it, …
    waiting: int = 0  # reached no run, and wait for a person
    odd: str = ""  # where what is declared and what was seen disagree


@dataclass(frozen=True, slots=True)
class Matrix:
    """The whole table."""

    services: tuple[str, ...]
    lines: tuple[Line, ...]
    hidden: int = 0


def draw(rows: Iterable[MapRow], *, only_odd: bool = False) -> Matrix:
    """Return the table; with `only_odd` the rows alone where something disagrees."""
    found = list(rows)
    services = sorted({use.service for row in found for use in row.uses if use.service})
    shown = tuple(services[:COLUMNS_MAX])
    told: dict[str, list[Flow]] = defaultdict(list)
    for flow in flows(found):
        told[flow.type].append(flow)
    lines = tuple(
        _line(row, shown, _odd(row, told[row.type]))
        for row in found
        if not only_odd or any(flow.is_odd for flow in told[row.type])
    )
    return Matrix(shown, lines, max(0, len(services) - len(shown)))


def _line(row: MapRow, services: tuple[str, ...], odd: str) -> Line:
    roles = {use.role for use in row.uses}
    words = {
        EventRole.STARTS.value: _("starts a run"),
        EventRole.COMPLETES.value: _("completes it"),
        EventRole.COMPENSATES.value: _("it is compensated"),
    }
    return Line(
        type=row.type,
        cells=tuple(
            Cell(
                any(use.service == service and use.role in PUBLISHING for use in row.uses),
                tuple(
                    dict.fromkeys(
                        use.reaction
                        for use in row.uses
                        if use.service == service and use.role == EventRole.REACTS.value
                    )
                ),
            )
            for service in services
        ),
        sagas=tuple(sorted({use.saga for use in row.uses})),
        seen=row.seen,
        last_at=row.last_at,
        is_undo=any(use.role == EventRole.REACTS.value and use.undoes for use in row.uses),
        marks=tuple(word for role, word in words.items() if role in roles),
        waiting=row.waiting,
        odd=odd,
    )


def _odd(row: MapRow, told: Iterable[Flow]) -> str:
    if not row.uses:
        return _("seen, and no saga names it")
    if not row.seen:
        return _("declared, not seen")
    words = {Told.SEEN: _("seen from %s, which no saga says"), Told.DECLARED: _("declared of %s, not seen from it")}
    return "; ".join(words[flow.told] % flow.publisher for flow in told if flow.is_odd)
