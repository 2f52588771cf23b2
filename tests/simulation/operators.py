"""Operators: each knows a run as they last saw it, orders by that, and holds the answer against the law."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from sagas.catalog.load import load_version
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey, Verb
from sagas.engine.errors import EngineError, InputInvalidError, OrderRefusedError, RevisionStaleError
from sagas.engine.orders import NOTHING_MORE, Ask, allowed_orders, give_order
from sagas.engine.reruns import rerun
from sagas.models import Order, SagaRun, StepRun
from tests.simulation.client import Client
from tests.simulation.promises import Promise, Promises

if TYPE_CHECKING:
    from tests.simulation.crowd import Crowd
    from tests.simulation.world import World

SIGNALS = ("paid", "packed", "unheard")
NO_STEP = "nosuch"


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a run.

    Attributes:
        verb: what.
        run: which run, counted from the oldest on and round.
        step: which step, in the same way; 0 is the one that asks for a person or waits, when there is one.
        is_careful: whether to say what revision was seen, however long ago.
        is_sensible: whether to want it of a run that has not ended, and something that is allowed when this is not.
        is_new_input: whether a retry brings another input.
        is_yes: whether an approval is granted.
        signal: which signal.
    """

    verb: Verb
    run: int = 0
    step: int = 0
    is_careful: bool = False
    is_sensible: bool = False
    is_new_input: bool = False
    is_yes: bool = True
    signal: str = "paid"


class Operator(Client):
    """One of them."""

    def __init__(self, name: str, promises: Promises) -> None:
        self.name = name
        self.promises = promises
        self.seen: dict[UUID, int] = {}  # revisions, as the page showed them

    def look(self, number: int) -> None:
        """Load the page of a run anew."""
        run = run_number(number)
        if run is not None:
            self.seen[run.id] = run.revision

    def wish(self, world: Crowd, wish: Wish) -> None:
        """Order what is wished, of a run as it was seen."""
        run = run_number(wish.run, is_open=wish.is_sensible) or run_number(wish.run)
        if run is None:
            return
        if wish.is_sensible:
            wish = _sensible(run, wish)
        ask = _ask(world, run, wish)
        revision = self.seen.get(run.id) if wish.is_careful else None
        if self.give(world, run, wish.verb, ask, revision) and wish.verb is Verb.SETTLE:
            _make_true(world, run, ask)

    def run_again(self, world: Crowd, number: int, *, is_careful: bool) -> None:
        """Ask for a rerun."""
        origin = run_number(number)
        if origin is None:
            return
        revision = self.seen.get(origin.id) if is_careful else None
        is_stale = revision is not None and revision != origin.revision
        may = origin.finished_at is not None and origin.parent_id is None and origin.saga.archived_at is None
        before = world.snapshot().rows
        try:
            run = rerun(origin.id, by=self.name, revision=revision).run
        except EngineError as error:
            if (may and not is_stale) or is_stale != isinstance(error, RevisionStaleError):
                world.faults.append(f"R20 a rerun of {_about(origin)} was refused: {error}")
            _check_traceless(world, before, f"rerun of {_about(origin)}")
            return
        if is_stale or not may:
            world.faults.append(f"R20 a rerun of {_about(origin)} was accepted")
        is_numbered = (run.start_key or "").startswith(f"{origin.key}~")
        if run.version_id != origin.saga.latest_id or run.key != origin.key or not is_numbered:
            world.faults.append(f"R11 the rerun of {_about(origin)} has key {run.key}, start key {run.start_key}")
        self.promises.runs[run.id] = Promise(run.saga.name, run.version_id)
        world.tally["rerun"] += 1

    def give(self, world: Crowd, run: SagaRun, verb: Verb, ask: Ask, revision: int | None = None) -> bool:
        """Give an order, and compare what comes of it with the law; return whether it was accepted."""
        about = f"{verb} of {_about(run)}"
        is_stale = revision is not None and revision != run.revision
        wants_pause = _wants_pause(run)
        before = world.snapshot().rows
        try:
            told = give_order(run.id, verb, by=self.name, ask=ask, revision=revision)
        except (OrderRefusedError, RevisionStaleError, InputInvalidError) as error:
            if is_stale != isinstance(error, RevisionStaleError):
                world.faults.append(f"R20 {about} at revision {revision} was refused: {error}")
            if not is_stale and _must_be_taken(run, verb, wants_pause=wants_pause):
                world.faults.append(f"R20 {about} was refused: {error}")
            _check_traceless(world, before, about)
            world.tally[type(error).__name__] += 1
            return False
        number = run.inbox_last + 1
        is_unheard = verb is Verb.SIGNAL and ask.signal not in load_version(run.version_id).signals
        is_same = (verb, wants_pause) in {(Verb.PAUSE, True), (Verb.RESUME, False)}
        if is_stale or is_unheard or is_same or run.finished_at is not None:
            world.faults.append(f"R20 {about} was accepted at revision {revision}")
        if told.inbox_last != number or told.revision <= run.revision:
            world.faults.append(f"R20 {about}: order {told.inbox_last}, not {number}; revision {told.revision}")
        if list(Order.objects.filter(run=run, number=number).values_list("verb", "by")) != [(verb, self.name)]:
            world.faults.append(f"R20 {about} was accepted, and is not stored")
        if run.id in self.promises.runs:
            self.promises.runs[run.id].orders.add(number)
        self.seen[run.id] = told.revision
        world.tally[str(verb)] += 1
        return True

    # ---- at rest --------------------------------------------------------------------

    def see_to(self, world: Crowd, run: SagaRun) -> bool:
        """Do what a run at rest needs from outside; whether there was something to do."""
        if run.is_paused:
            return self.give(world, run, Verb.RESUME, NOTHING_MORE)
        waits = list(StepRun.objects.filter(run=run, waits_for__in=("signal", "approval")).order_by("step", "item"))
        definition = load_version(run.version_id)
        for one in waits:
            key = StepKey(one.step, one.item)
            if one.waits_for == "approval":
                return self.give(world, run, Verb.APPROVE, Ask(step=str(key)))
            signal = definition.by_name[one.step].wait.signal
            return self.give(world, run, Verb.SIGNAL, Ask(signal=signal, arguments={"sum": 7}, has_arguments=True))
        if not run.attention:
            return False
        last = run.inbox_last
        self.repair(world, run)
        return SagaRun.objects.get(id=run.id).inbox_last > last

    def _order_of(self, world: World, run_id: UUID, verb: Verb, ask: Ask = NOTHING_MORE) -> None:
        self.give(world, SagaRun.objects.select_related("saga", "version").get(id=run_id), verb, ask)


def run_number(number: int, *, is_open: bool = False) -> SagaRun | None:
    """Return a run, or one that has not ended, counted from the oldest on and round."""
    runs = SagaRun.objects.filter(finished_at=None) if is_open else SagaRun.objects.all()
    ids = list(runs.order_by("id").values_list("id", flat=True))
    return SagaRun.objects.select_related("saga", "version").get(id=ids[number % len(ids)]) if ids else None


def _about(run: SagaRun) -> str:
    return f"{run.saga.name} {run.id}, which is {run.status}"


def _check_traceless(world: Crowd, before: object, about: str) -> None:
    if world.snapshot().rows != before:
        world.faults.append(f"R20 {about} was refused, but left a trace")


def _wants_pause(run: SagaRun) -> bool:
    """Whether the run is paused, once the orders that wait are applied."""
    last = Order.objects.filter(run=run, verb__in=(Verb.PAUSE, Verb.RESUME)).order_by("number").last()
    return last is not None and last.verb == Verb.PAUSE


def _must_be_taken(run: SagaRun, verb: Verb, *, wants_pause: bool) -> bool:
    """Whether the law leaves no reason to refuse: nothing else waits in the inbox that could end the run."""
    if run.finished_at is not None or run.inbox_last != run.inbox_done:
        return False
    return verb is Verb.TERMINATE or (verb is Verb.PAUSE and not wants_pause) or (verb is Verb.RESUME and wants_pause)


def _ask(world: Crowd, run: SagaRun, wish: Wish) -> Ask:
    step, phase = _target(run, wish)
    match wish.verb:
        case Verb.SIGNAL:
            return Ask(signal=wish.signal, arguments={"sum": 7}, has_arguments=True)
        case Verb.APPROVE:
            return Ask(step=step, outcome=OutcomeKind.SUCCEEDED if wish.is_yes else OutcomeKind.REJECTED)
        case Verb.RETRY if wish.is_new_input:
            return Ask(step=step, arguments={}, has_arguments=True)
        case Verb.RETRY:
            return Ask(step=None if wish.step == 1 else step)
        case Verb.SKIP:
            return Ask(step=step, reason="it is not needed", output={"did": "nothing"})
        case Verb.SETTLE if phase is Phase.COMPENSATION:
            return Ask(step=step, phase=phase, reason="done", reference="T-1")
        case Verb.SETTLE:
            key = StepKey.parse(step) or StepKey(step)
            has_happened = world.has_happened(world.key_of(run, key, phase))
            outcome = OutcomeKind.SUCCEEDED if has_happened else OutcomeKind.REJECTED
            return Ask(step=step, outcome=outcome, output={"did": step} if has_happened else None, reason="seen")
    return Ask(step=step if wish.verb is Verb.GIVE_UP else None, reason="so it is")


def _sensible(run: SagaRun, wish: Wish) -> Wish:
    """Return a wish for something that is allowed, but no end by force unless that was wished."""
    allowed = [verb for verb in allowed_orders(run) if verb is not Verb.TERMINATE]
    if not allowed or wish.verb in {*allowed, Verb.TERMINATE}:
        return wish
    return replace(wish, verb=allowed[wish.step % len(allowed)], step=0)


def _target(run: SagaRun, wish: Wish) -> tuple[str, Phase]:
    """Return which half is meant."""
    if wish.step == 0 and run.attention:
        one = run.attention[0]
        phase = Phase.COMPENSATION if one["phase"] == Phase.COMPENSATION else Phase.ACTION
        return str(StepKey(one["step"], one["item"])), phase
    if wish.step == 0 and run.current_step:
        return run.current_step, Phase.ACTION
    names = [*load_version(run.version_id).by_name, NO_STEP]
    keys = [str(StepKey(*pair)) for pair in StepRun.objects.filter(run=run).values_list("step", "item").order_by("id")]
    return (keys + names)[wish.step % (len(keys) + len(names))], Phase.ACTION


def _make_true(world: Crowd, run: SagaRun, ask: Ask) -> None:
    """See to it that what was settled stays so: what did not happen never will, what is undone by hand is."""
    key = world.key_of(run, StepKey.parse(ask.step or "") or StepKey(ask.step or ""), ask.phase)
    if ask.phase is Phase.COMPENSATION:
        if not world.has_happened(key):
            world.memory.effects[key] = 1
    elif ask.outcome is OutcomeKind.REJECTED:
        world.memory.barred.add(key)
