"""What is outside of a choreographed run: who sends events until they are acknowledged, and services of their own.

Services that act by themselves have a database and an outbox of their own, which no
crash of ours touches: each event that was published and that they react to, they act
on once, whatever its origin. So an event that leaves us under two ids is acted on twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.choreography import router
from sagas.core.cloud_event import CloudEvent
from sagas.core.reactions import EVENT_LOOP
from sagas.core.vocabulary import StepKey, Verb
from sagas.engine.call import reaction_key
from sagas.models import EventOrigin, EventRoute, SagaEvent, SagaRun
from tests.engine.stored_run import state_of
from tests.simulation.choreographies import Drama
from tests.simulation.client import ORDER_KEY, Client
from tests.simulation.explore import definition_of
from tests.simulation.reacting_verdict import without_edition
from tests.simulation.script import REJECTED
from tests.simulation.world import World

if TYPE_CHECKING:
    from sagas.core.choreography import Choreography, Reaction
    from tests.simulation.machine import Machine

SOURCE = "/outside"


class Outside(Client):
    """Sends events through the same door as every face."""

    def start(self, world: World) -> None:
        """Send what comes from outside, in its order; what was not acknowledged is sent again."""
        for place, kind in enumerate(_drama(world).sends):
            if place not in world.memory.sent:
                self._send(world, _first_event(world, f"{world.script.definition}.{kind}"))
                world.memory.sent.add(place)

    def act_at_rest(self, world: World) -> bool:
        """Let services act, the courier look round, and people repair; false when the run has ended."""
        if self._serve(world):
            return True
        if world.machine.rows("SELECT 1 FROM sagas_sagaevent WHERE state = 'waiting'"):
            router.route_waiting(100)
            return True
        return super().act_at_rest(world)

    def repair(self, world: World, asking: SagaRun) -> None:
        """End what goes round for ever; do what ends anything else."""
        if asking.attention[0]["code"] == EVENT_LOOP:
            self._order_of(world, asking.id, Verb.TERMINATE)
        else:
            super().repair(world, asking)

    # ---- services that act by themselves -----------------------------------------

    def _serve(self, world: World) -> bool:
        """Let each service act on what was published, and publish what came of it; false when there is nothing."""
        chart = _chart(world)
        for reaction in chart.reactions:
            if reaction.is_external:
                for source, event_id in _published(world, reaction):
                    _act(world, reaction, source, event_id)
        sent = False
        while world.memory.outbox:
            self._send(world, _event(*world.memory.outbox[0]))
            world.memory.outbox.pop(0)
            sent = True
        return sent

    def _send(self, world: World, event: CloudEvent) -> None:
        router.take([event], origin=EventOrigin.API, by="outside")
        world.memory.taken.add(event.id)


def _first_event(world: World, kind: str) -> CloudEvent:
    """Return an event from outside; of a service that was quicker than its cause, what it did for that."""
    quick = next((one for one in _chart(world).emitting.get(kind, ()) if one.is_external), None)
    if quick is None:
        return _event(kind, kind, "")
    cause = quick.on[0]
    if (quick.name, cause) not in world.memory.served:
        _act(world, quick, SOURCE, cause)
        world.memory.outbox.clear()  # it is sent right now
    return _event(f"{quick.name}:{cause}", kind, cause)


def _act(world: World, reaction: Reaction, source: str, event_id: str) -> None:
    """Act on an event, once: the effect, and what is told of it, in one transaction of the service's own."""
    memory = world.memory
    if (reaction.name, event_id) in memory.served:
        return
    memory.served.add((reaction.name, event_id))
    is_refused = world.next_answer((reaction.name, "action")) == REJECTED
    if not is_refused:
        key = reaction_key({"source": source, "id": event_id}, reaction.name, 1)
        memory.effects[key] = memory.effects.get(key, 0) + 1
    told = (f"{reaction.name}:{event_id}", reaction.rejected if is_refused else reaction.succeeded, event_id)
    memory.outbox += [told] * (2 if _drama(world).is_doubled else 1)


def _published(world: World, reaction: Reaction) -> list[tuple[str, str]]:
    marks = ", ".join("?" * len(reaction.on))
    asked = f"SELECT source, event_id FROM sagas_sagaevent WHERE type IN ({marks}) ORDER BY id"
    return [(source, event_id) for source, event_id in world.machine.rows(asked, *reaction.on)]


def _event(event_id: str, kind: str, cause: str) -> CloudEvent:
    return CloudEvent(id=event_id, source=SOURCE, type=kind, data={"order": ORDER_KEY}, cause=cause)


def _drama(world: World) -> Drama:
    if not isinstance(world.script, Drama):
        raise TypeError(f"{world.script} is no fate of a choreography")
    return world.script


def _chart(world: World) -> Choreography:
    found = definition_of(world.script.definition).choreography
    if found is None:
        raise AssertionError(f"{world.script.definition} is no choreography")
    return found


class ReactingWorld(World):
    """A world of events."""

    tables = (*World.tables, SagaEvent._meta.db_table, EventRoute._meta.db_table)

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.client = Outside()

    def name_of(self, key: str) -> str:
        """Return the key itself: it names the event."""
        return key

    def key_of(self, run: SagaRun, step: StepKey, _phase: str) -> str:
        """Return the key under which a reaction is carried out at present."""
        known = state_of(run).step(step)
        if known.reacting is None:
            raise AssertionError(f"{step} reacts to nothing")
        return reaction_key(known.reacting.event, step.step, known.action.edition)

    def has_happened(self, key: str) -> bool:
        """Whether a reaction had its effect, under whatever edition of its key."""
        return any(without_edition(effect) == without_edition(key) for effect in self.effects())
