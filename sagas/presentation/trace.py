"""A choreographed run seen from outside: which event followed from which, and who reacted, by service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime

from sagas.core.vocabulary import StepKey, WaitingFor
from sagas.presentation.format import duration
from sagas.presentation.status import Look, step_look

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sagas.queries.run_detail import Entry, RunDetail, StepDetail

ROWS_MAX = 100  # the first ones: what a run is about is at its beginning


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one service does on an event."""

    title: str
    look: Look
    is_undo: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """What one service has to do with an event."""

    publishes: bool = False
    reactions: tuple[Reaction, ...] = ()
    comes_from: str = ""  # left or right: where the event is published that is reacted to
    is_passed: bool = False  # the event goes by on its way


@dataclass(frozen=True, slots=True)
class Row:
    """One event, or one that is expected: `late` is how much later than usual it is."""

    number: int
    type: str
    cells: tuple[Cell, ...]
    at: datetime | None = None
    delta: str = ""
    follows: int = 0  # the number of the row that it follows from; 0: nobody said
    is_guess: bool = False  # its cause is not known: it stands here by its time
    is_late: bool = False
    is_expected: bool = False
    late: str = ""
    ahead: str = ""  # by how much the clock of its source is ahead of ours, at the least


@dataclass(frozen=True, slots=True)
class Trace:
    """The whole table."""

    services: tuple[str, ...]
    rows: tuple[Row, ...]
    hidden: int = 0


def draw(detail: RunDetail, now: datetime) -> Trace | None:
    """Return the table of one run; None of a run that is orchestrated."""
    if detail.run.watch is None:
        return None
    entries = [entry for entry in detail.journal if entry.kind == "event_received"]
    services = _services(detail)
    numbers: dict[str, int] = {}
    rows: list[Row] = []
    for number, entry in enumerate(entries[:ROWS_MAX], start=1):
        rows.append(_row(detail, entry, number, numbers, services, entries[0].at))
        numbers[str(_event(entry).get("id"))] = number
    rows += _expected(detail, len(rows), services, now)
    return Trace(services, tuple(rows), max(0, len(entries) - ROWS_MAX))


def _event(entry: Entry) -> dict[str, Any]:
    found = entry.data.get("event")
    return found if isinstance(found, dict) else {}


def _published(detail: RunDetail) -> dict[str, Any]:
    """Return what the document says of events from outside: types by service."""
    document = detail.run.version.document
    said = document.get("publishes") if isinstance(document, dict) else None
    return said if isinstance(said, dict) else {}


def _services(detail: RunDetail) -> tuple[str, ...]:
    """Return the columns: who publishes from outside, then the services in the order of their reactions."""
    found = dict.fromkeys(map(str, _published(detail)))
    for step in detail.wholes:
        if step.plan.reaction is not None:
            found[step.plan.reaction.service] = None
    return tuple(found)


def _publisher(detail: RunDetail, entry: Entry) -> str:
    kind = str(_event(entry).get("type"))
    emitter = str(entry.data.get("emitter", ""))
    for step in detail.wholes:
        plan = step.plan.reaction
        if plan is not None and (step.plan.name == emitter or (not emitter and kind in plan.emits)):
            return plan.service
    for service, kinds in _published(detail).items():
        if isinstance(kinds, list) and kind in kinds:
            return str(service)
    return ""


def _row(
    detail: RunDetail,
    entry: Entry,
    number: int,
    numbers: dict[str, int],
    services: tuple[str, ...],
    first_at: datetime,
) -> Row:
    event = _event(entry)
    publisher = _publisher(detail, entry)
    reactions: dict[str, list[Reaction]] = {}
    for key in entry.data.get("keys") or ():
        step = detail.find_step(str(StepKey(str(key[0]), *key[1:2])))
        if step is not None and step.plan.reaction is not None:
            reactions.setdefault(step.plan.reaction.service, []).append(_reaction(step))
    cause = str(event.get("cause") or "")
    return Row(
        number=number,
        type=str(event.get("type")),
        cells=_cells(publisher, reactions, services),
        at=entry.at,
        delta=_delta(entry.at - first_at) if number > 1 else "",
        follows=numbers.get(cause, 0),
        is_guess=number > 1 and cause not in numbers,
        is_late=bool(entry.data.get("is_late")),
        ahead=_ahead(event, entry.at),
    )


def _cells(publisher: str, reactions: Mapping[str, list[Reaction]], services: tuple[str, ...]) -> tuple[Cell, ...]:
    """Return the cells of one event: who publishes it, who reacts, and those that lie between them."""
    start = services.index(publisher) if publisher in services else None
    ends = [place for place, service in enumerate(services) if reactions.get(service)]
    if start is None:
        return tuple(Cell(reactions=tuple(reactions.get(service, ()))) for service in services)
    first, last = min([start, *ends]), max([start, *ends])
    return tuple(
        Cell(
            place == start,
            tuple(reactions.get(service, ())),
            "" if place == start or place not in ends else "left" if place > start else "right",
            first < place < last and place != start,
        )
        for place, service in enumerate(services)
    )


def _ahead(event: Mapping[str, Any], came_at: datetime) -> str:
    """Say by how much an event was before its time: what came before it was published tells of another clock."""
    said = parse_datetime(str(event.get("time") or ""))
    return duration(said - came_at) if said is not None and said > came_at else ""


def _reaction(step: StepDetail) -> Reaction:
    is_undo = step.plan.reaction is not None and bool(step.plan.reaction.undoes)
    return Reaction(step.plan.title, step_look(step.status, step.last_outcome), is_undo)


def _delta(length: timedelta) -> str:
    return f"+{duration(length)}"


def _expected(detail: RunDetail, count: int, services: tuple[str, ...], now: datetime) -> list[Row]:
    """Return a row for each event that a service is to emit by itself and has not."""
    rows: list[Row] = []
    for step in detail.runs:
        plan, wait = step.plan.reaction, step.wait
        if plan is None or wait is None or wait.kind != WaitingFor.EVENT.value:
            continue
        late = ""
        if plan.within_s is not None and wait.since is not None:
            over = now - wait.since
            late = duration(over) if over.total_seconds() > plan.within_s else ""
        rows.append(
            Row(
                number=count + len(rows) + 1,
                type=" / ".join(kind for kind in plan.emits if kind),
                cells=tuple(Cell(service == plan.service) for service in services),
                is_expected=True,
                late=late,
            )
        )
    return rows
