"""What a choreographed run that rests is still missing, and from whom: read from its state alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.reactions import OVERDUE, left_to_undo
from sagas.core.vocabulary import Json, WaitingFor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagas.core.choreography import Choreography
    from sagas.core.state import RunState


@dataclass(frozen=True, slots=True)
class Missing:
    """Any of `events` is missing, which `services` publish; `reaction` is what it would tell of, empty for an end."""

    reaction: str
    events: tuple[str, ...]
    services: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {"reaction": self.reaction, "events": list(self.events), "services": list(self.services)}


def missing(chart: Choreography, state: RunState) -> tuple[Missing, ...]:
    """Return what would have to come: what services tell of their reactions, an undo, or an end."""
    if state.status.is_final:
        return ()
    waits = [key for key, phase in sorted(state.open) if state.step(key).half(phase).waits_for is WaitingFor.EVENT]
    found = [_of(chart, str(key), chart.by_name[key.step].emits) for key in waits]
    asks_somebody = any(one.code != OVERDUE for one in state.attention)
    if found or state.open or state.to_react or asks_somebody:
        return tuple(found)
    return tuple(_undos(chart, state)) or (_of(chart, "", _ends(chart)),)


def _undos(chart: Choreography, state: RunState) -> Iterator[Missing]:
    """Yield what was done and is to be undone, and what was undone and never seen to be done."""
    if state.watch is None or not state.watch.is_compensated:
        return
    for key in left_to_undo(state):
        kinds = (kind for one in chart.undoing.get(key.step, ()) for kind in (one.emits or one.on))
        yield _of(chart, str(key), kinds)
    for name in state.watch.undone_first:
        yield _of(chart, name, chart.by_name[name].emits)


def _ends(chart: Choreography) -> Iterator[str]:
    """Yield what may end it: events from outside that lead to an end; where there are none, the ends themselves."""
    ends = (*chart.completes_on, *chart.compensated_on)
    is_open = [kind for kind in chart.others if not chart.following((kind,)).isdisjoint(ends)]
    yield from is_open or ends


def _of(chart: Choreography, reaction: str, kinds: Iterable[str]) -> Missing:
    events = tuple(dict.fromkeys(kinds))
    services = (service for kind in events for service in chart.publishers.get(kind, ()))
    return Missing(reaction, events, tuple(dict.fromkeys(services)))
