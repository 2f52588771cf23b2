"""Whether all is well with a choreographed run that has ended: its journal, its events, its effects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.codec import decode
from sagas.core.evolve import replay
from sagas.core.outcome import WORKER_LOST
from sagas.core.vocabulary import CompensationStatus, OutcomeKind, RunStatus, StepKey, StepStatus
from sagas.engine.call import reaction_key
from sagas.models import JournalEntry, SagaRun
from tests.engine.stored_run import state_of

if TYPE_CHECKING:
    from sagas.core.choreography import Choreography
    from sagas.core.state import RunState
    from tests.simulation.world import World

_HAPPENED = frozenset({StepStatus.SUCCEEDED, StepStatus.IN_DOUBT})
_LEFT = frozenset({CompensationStatus.NONE, CompensationStatus.PENDING})


def reaction_faults(world: World, chart: Choreography, deaths: int) -> list[str]:
    """Return what is wrong, one sentence each; what holds for every run is judged beside this."""
    run = SagaRun.objects.get()
    entries = list(JournalEntry.objects.order_by("sequence"))
    events = [decode(entry.kind, entry.data) for entry in entries]
    state = state_of(run)
    found = _state_faults(state, replay((event, entry.at) for event, entry in zip(events, entries, strict=True)))
    found += _arrival_faults(world, events)
    found += _emission_faults(world, chart, events, state)
    found += _effect_faults(world.effects(), chart, state)
    lost = sum(isinstance(event, m.AttemptEnded) and event.code == WORKER_LOST for event in events)
    if lost > deaths * len(chart.reactions):
        found.append(f"{lost} attempts were lost in {deaths} crashes")
    return found


def _state_faults(state: RunState, told: RunState) -> list[str]:
    found = []
    if told != state:
        found.append("S4 replaying the journal from empty does not give the stored state")
    if state.open or state.to_react:
        found.append(f"S1 the run is {state.status} with reactions under way: {sorted(state.open)} {state.to_react}")
    if state.status is RunStatus.COMPENSATED:
        found += [
            f"S2 compensated, but {key} is {step.status} and its compensation {step.compensation_status}"
            for key, step in state.steps.items()
            if step.status in _HAPPENED and not _undoes(state, key) and step.compensation_status in _LEFT
        ]
    return found


def _undoes(state: RunState, key: StepKey) -> str:
    reacting = state.step(key).reacting
    return reacting.undoes if reacting is not None else ""


def _arrival_faults(world: World, events: Iterable[m.Event]) -> list[str]:
    """Each event that was acknowledged is stored once, and in the journal once; nobody else's is."""
    stored = Counter(row[0] for row in world.machine.rows("SELECT event_id FROM sagas_sagaevent WHERE origin = 'api'"))
    told = Counter(event.event["id"] for event in events if isinstance(event, m.EventReceived) and not event.emitter)
    found = [f"event {name} was acknowledged, and is lost" for name in world.memory.taken - stored.keys()]
    found += [f"event {name} is stored {times} times" for name, times in stored.items() if times > 1]
    if told != dict.fromkeys(stored, 1):
        found.append(f"events {sorted(stored)} came, and the journal tells of {dict(told)}")
    found += [
        f"event {name} of the run is {state}"
        for name, state in world.machine.rows(
            "SELECT e.event_id, r.state FROM sagas_eventroute r JOIN sagas_sagaevent e ON e.id = r.event_id"
            " WHERE r.run_id IS NULL"
        )
    ]
    return found


def _emission_faults(world: World, chart: Choreography, events: Iterable[m.Event], state: RunState) -> list[str]:
    """C2: what left is what was written down with its outcome, once, under one id; and no outcome was kept silent."""
    events = list(events)
    told = [
        (str(StepKey(event.emitter, event.emitter_item)), str(event.event["type"]), str(event.event["id"]))
        for event in events
        if isinstance(event, m.EventReceived) and event.emitter
    ]
    left = world.machine.rows("SELECT emitter, type, event_id FROM sagas_sagaevent WHERE origin = 'reaction'")
    found = []
    if sorted(told) != sorted(left):
        found.append(f"C2 published were {sorted(left)}, written down {sorted(told)}")
    for emitter, times in Counter(emitter for emitter, _, _ in left).items():
        if times > 1:
            found.append(f"C1 {emitter} has published {times} events, and had one outcome")
    refused = {
        StepKey(event.step, event.item): event.outcome is OutcomeKind.REJECTED
        for event in events
        if isinstance(event, m.StepFailed)
    }
    for key, step in state.steps.items():
        reaction = chart.by_name[key.step]
        if reaction.is_external:
            continue
        is_refused = step.status is StepStatus.FAILED and refused.get(key, False)
        kind = reaction.succeeded if step.status is StepStatus.SUCCEEDED else reaction.rejected if is_refused else ""
        said = [one for emitter, one, _ in left if emitter == str(key)]
        if said != ([kind] if kind else []):
            found.append(f"C2 {key} is {step.status}, and has published {said}")
    return found


def _effect_faults(effects: Mapping[str, int], chart: Choreography, state: RunState) -> list[str]:
    """What happened is what the journal says, once each; and what is called undone was undone, by whoever does that."""
    happened: Counter[str] = Counter()
    for key, times in effects.items():
        happened[without_edition(key)] += times
    found = [f"{name} had its effect {times} times" for name, times in happened.items() if times > 1]
    for key, step in state.steps.items():
        event = step.reacting.event if step.reacting is not None else {}
        is_done, did = step.status is StepStatus.SUCCEEDED, happened[reaction_key(event, key.step, 1)]
        if is_done != bool(did) and step.status is not StepStatus.IN_DOUBT:
            found.append(f"{key} is {step.status}, and happened {did} times")
    for name, undoing in chart.undoing.items():
        did = _times(happened, name)
        undid = sum(_times(happened, one.name) for one in undoing)
        if state.status is RunStatus.COMPENSATED and did != undid:
            found.append(f"compensated, but {name} happened {did} times and was undone {undid} times")
        if state.status is RunStatus.COMPLETED and undid:
            found.append(f"completed, but {name} was undone")
    return found


def _times(happened: Mapping[str, int], reaction: str) -> int:
    return sum(times for key, times in happened.items() if key.rpartition(":")[2] == reaction)


def without_edition(key: str) -> str:
    """Return the key of a reaction as it is in the first edition.

    >>> without_edition("/shop/a#2:pay#3")
    '/shop/a#2:pay'
    """
    return re.sub(r"#\d+$", "", key)
