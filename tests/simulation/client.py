"""People and programs around the run: who starts it, who orders in mid-run, who repairs it at rest.

Each asks until it is answered, as people do: what was not acknowledged is looked
up first, and asked again when it is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction

from sagas.core.vocabulary import OutcomeKind, Phase, StepKey, Verb, WaitingFor
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError
from sagas.engine.orders import NOTHING_MORE, Ask, give_order
from sagas.models import SagaRun
from tests.simulation.script import REJECTED

if TYPE_CHECKING:
    from tests.simulation.script import Half
    from tests.simulation.world import World

ORDERS_MAX = 20
ORDER_KEY = "48217"


class Client:
    """Asks through the same doors as every face."""

    def start(self, world: World) -> None:
        """Start the run, in a transaction of the caller's own."""
        if world.memory.run_id is not None:
            return
        self._check_start(world)
        with transaction.atomic():
            run = start_run(world.script.definition, {"order": ORDER_KEY}).run
        world.memory.run_id = run.id

    def _check_start(self, world: World) -> None:
        """A start that was not acknowledged is there whole or not at all."""
        runs = world.machine.rows("SELECT sequence, due_at IS NOT NULL FROM sagas_sagarun")
        entries = world.machine.rows("SELECT kind FROM sagas_journalentry")
        if (runs, entries) not in (([], []), ([(1, 1)], [("run_started",)])):
            world.faults.append(f"half a start was stored: {runs} {entries}")

    def interrupt(self, world: World, half: Half) -> None:
        """Give the order that comes while `half` is at work."""
        verb = world.script.during.get(half)
        if verb is None or half in world.memory.interrupted:
            return
        if world.machine.rows("SELECT 1 FROM sagas_order WHERE verb = ?", str(verb)):
            world.memory.interrupted.add(half)  # it was stored, and only the answer was lost
            return
        self._order(world, verb)
        world.memory.interrupted.add(half)

    def act_at_rest(self, world: World) -> bool:
        """Do what the run needs to go on; false when it has ended."""
        run = SagaRun.objects.get(id=world.memory.run_id) if world.machine.is_resting else _look(world)
        if run.finished_at is not None:
            return False
        if len(world.memory.acknowledged) > ORDERS_MAX:
            raise AssertionError(f"The run does not end, whatever is ordered: {run.status}")
        if run.is_paused:
            self._order(world, Verb.RESUME)
            return True
        if self._answer(world, run):
            return True
        asking = run if run.attention else _child_that_asks(world)
        if asking is None:
            raise AssertionError(f"The run is {run.status}, nothing is due, and nobody is asked")
        self.repair(world, asking)
        return True

    def _answer(self, world: World, run: SagaRun) -> bool:
        """Send what the run waits for; false when that is nothing of ours."""
        if run.waiting_for == WaitingFor.SIGNAL:
            self._order(world, Verb.SIGNAL)
        elif run.waiting_for == WaitingFor.APPROVAL:
            is_no = world.script.answers.get((run.current_step, "action"), ("",))[0] == REJECTED
            outcome = OutcomeKind.REJECTED if is_no else OutcomeKind.SUCCEEDED
            self._order(world, Verb.APPROVE, Ask(step=run.current_step, outcome=outcome))
        else:
            return False
        return True

    def repair(self, world: World, asking: SagaRun) -> None:
        """Do what ends the first thing that a run asks a person for: tell the truth, try again, or let it be."""
        one = asking.attention[0]
        run, phase = StepKey(one["step"], one["item"]), one["phase"]
        step = str(run)
        key = world.key_of(asking, run, phase)
        if one["code"] == "outcome_unknown":
            has_happened = world.has_happened(key)
            outcome = OutcomeKind.SUCCEEDED if has_happened else OutcomeKind.REJECTED
            if not has_happened:
                world.memory.barred.add(key)
            self._order_of(
                world, asking.id, Verb.SETTLE, Ask(step=step, outcome=outcome, output={"did": step}, reason="seen")
            )
        elif phase == Phase.COMPENSATION and world.script.exit is Verb.SETTLE:
            world.memory.effects[key] = 1  # by hand
            self._order_of(
                world, asking.id, Verb.SETTLE, Ask(step=step, phase=Phase.COMPENSATION, reason="done", reference="T-1")
            )
        elif phase == Phase.COMPENSATION and world.script.exit is Verb.GIVE_UP:
            self._order_of(world, asking.id, Verb.GIVE_UP, Ask(step=step, reason="it stays"))
        else:
            world.heal((run.step, phase))
            self._order_of(world, asking.id, Verb.RETRY, Ask(step=step))

    def _order(self, world: World, verb: Verb, ask: Ask = NOTHING_MORE) -> None:
        self._order_of(world, _id(world), verb, ask)

    def _order_of(self, world: World, run_id: UUID, verb: Verb, ask: Ask = NOTHING_MORE) -> None:
        if verb is Verb.SIGNAL:
            ask = Ask(signal="paid", arguments={"sum": 7}, has_arguments=True)
        if verb is Verb.TERMINATE and not ask.reason:
            ask = Ask(reason="enough")
        try:
            run = give_order(run_id, verb, by="alice", ask=ask)
        except OrderRefusedError:
            return
        if run.parent_id is None:
            world.memory.acknowledged[run.inbox_last] = str(verb)


def _id(world: World) -> UUID:
    if world.memory.run_id is not None:
        return world.memory.run_id
    return UUID(world.machine.rows("SELECT id FROM sagas_sagarun WHERE parent_id IS NULL")[0][0])


def _look(world: World) -> SagaRun:
    """See the run as a page does, at no point."""
    world.machine.is_resting = True
    try:
        return SagaRun.objects.get(id=_id(world))
    finally:
        world.machine.is_resting = False


def _child_that_asks(world: World) -> SagaRun | None:
    world.machine.is_resting, was = True, world.machine.is_resting
    try:
        return SagaRun.objects.filter(status="needs_attention").first()
    finally:
        world.machine.is_resting = was
