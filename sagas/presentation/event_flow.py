"""Which arrows the map of events has: from who publishes a type to who reacts to it, as declared and as seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sagas.models import EventRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sagas.queries.events import MapRow, Use

PUBLISHING = {EventRole.PUBLISHES.value, EventRole.EMITS.value}
_ENDS = {EventRole.COMPLETES.value, EventRole.COMPENSATES.value}
OTHERS = ""  # who publishes what no saga names, and is no service that one names


class Told(StrEnum):
    """How what is declared and what was seen agree."""

    BOTH = "both"
    DECLARED = "declared"  # and not seen
    SEEN = "seen"  # and not declared


@dataclass(frozen=True, slots=True)
class Flow:
    """One type of event from one service to those that react to it."""

    type: str
    publisher: str
    subscribers: tuple[str, ...]
    told: Told
    seen: int
    waiting: int  # of the type, that reached no run and wait for a person
    ends: tuple[str, ...] = ()  # roles: what it says of the run's end
    starts: bool = False
    is_undo: bool = False  # something is undone on it

    @property
    def is_odd(self) -> bool:
        """Whether what is declared and what was seen disagree."""
        return self.told is not Told.BOTH


def flows(rows: Iterable[MapRow]) -> list[Flow]:
    """Return the arrows, in the order of `rows`.

    An event says by its source who published it, as far as that names a service that some saga names.
    """
    rows = list(rows)
    services = {use.service for row in rows for use in row.uses if use.service}
    return [flow for row in rows for flow in _flows_of(row, services)]


def _flows_of(row: MapRow, services: set[str]) -> Iterable[Flow]:
    declared = dict.fromkeys(use.service for use in row.uses if use.role in PUBLISHING)
    others = {one: count for one, count in row.sources.items() if one in services and one not in declared}
    unsaid = sum(count for one, count in row.sources.items() if one not in services)
    reacts = [use for use in row.uses if use.role == EventRole.REACTS.value]
    roles = {use.role for use in row.uses}
    for service in declared:
        count = row.sources.get(service, 0) + unsaid
        yield _flow(row, service, reacts, Told.BOTH if count else Told.DECLARED, count, roles)
    for service, count in others.items():
        yield _flow(row, service, reacts, Told.SEEN, count, roles)
    if not declared and not others:
        yield _flow(row, OTHERS, reacts, Told.SEEN if row.seen else Told.DECLARED, row.seen, roles)


def _flow(row: MapRow, publisher: str, reacts: Sequence[Use], told: Told, seen: int, roles: set[str]) -> Flow:
    return Flow(
        type=row.type,
        publisher=publisher,
        subscribers=tuple(dict.fromkeys(use.service for use in reacts)),
        told=told,
        seen=seen,
        waiting=row.waiting,
        ends=tuple(sorted(roles & _ENDS)),
        starts=EventRole.STARTS.value in roles,
        is_undo=any(use.undoes for use in reacts),
    )


def most_used(found: Sequence[Flow], services_max: int, arrows_max: int) -> list[Flow]:
    """Return what a picture can hold: the services with the most events, and of their arrows those with the most."""
    weight: Counter[str] = Counter()
    for flow in found:
        for service in {flow.publisher, *flow.subscribers}:
            weight[service] += flow.seen + 1  # what was never seen counts as well
    shown = {service for service, _ in sorted(weight.items(), key=lambda one: (-one[1], one[0]))[:services_max]}
    kept = [flow for flow in found if {flow.publisher, *flow.subscribers} <= shown]
    first = {id(flow) for flow in sorted(kept, key=lambda flow: -flow.seen)[:arrows_max]}
    return [flow for flow in kept if id(flow) in first]


def in_order(found: Sequence[Flow]) -> list[str]:
    """Return the services as runs pass through them: who publishes what begins one, who reacts, and so on."""
    order: dict[str, None] = {}
    by_publisher: dict[str, list[Flow]] = {}
    for flow in found:
        by_publisher.setdefault(flow.publisher, []).append(flow)
    todo = [flow.publisher for flow in found if flow.starts]
    while todo:
        service = todo.pop(0)
        if service in order:
            continue
        order[service] = None
        onward = sorted(by_publisher.get(service, ()), key=lambda flow: flow.is_undo)
        todo += [one for flow in onward for one in flow.subscribers]
    rest = sorted({one for flow in found for one in (flow.publisher, *flow.subscribers)} - {*order, OTHERS})
    order |= dict.fromkeys(rest)
    if any(flow.publisher == OTHERS for flow in found):
        order[OTHERS] = None
    return list(order)
