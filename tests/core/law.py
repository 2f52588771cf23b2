"""Small sagas, and every way that a run of one can go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.decider import Decision, decide
from sagas.core.definition import Definition, Half, PythonAction, RetryPolicy, Step
from sagas.core.evolve import evolve, replay
from sagas.core.expressions import ExpressionError
from sagas.core.outcome import NOT_SENT, WORKER_LOST, Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.state import RunState
from sagas.core.vocabulary import AttemptKey, Json, Phase, StepKey, Verb
from tests.invariants import Watch, resting_violations

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINE_S = 60.0
AT_DEADLINE = T0 + timedelta(seconds=DEADLINE_S)

COMPENSATED, NONE, PIVOT, NO_INPUT, NO_UNDO_INPUT = "CNPXY"


@dataclass(frozen=True)
class Fixed:
    """A template without expressions; a broken one has no value."""

    source: Json = None
    is_broken: bool = False

    def render(self, scope: Mapping[str, Json]) -> Json:
        if self.is_broken:
            raise ExpressionError("no such value")
        return self.source


def half(attempts: int | None, *, is_broken: bool = False) -> Half:
    # no waits: a retry is due at once, so that a whole run fits into one moment
    policy = RetryPolicy(attempts=attempts, initial_s=0.0, jitter=0.0)
    return Half(PythonAction("test.it"), Fixed({}, is_broken), timeout_s=1.0, retry=policy)


def step(position: int, kind: str, attempts: int | None, after: tuple[str, ...]) -> Step:
    name = f"s{position}"
    has_compensation = kind in {COMPENSATED, NO_INPUT, NO_UNDO_INPUT}
    return Step(
        name=name,
        title=name,
        position=position,
        action=half(attempts, is_broken=kind == NO_INPUT),
        compensation=half(attempts, is_broken=kind == NO_UNDO_INPUT) if has_compensation else None,
        after=after,
        is_pivot=kind == PIVOT,
    )


def linear(kinds: str, *, attempts: int = 1, stops: bool = True, asks: bool = False, deadline: bool = False) -> Definition:
    steps = tuple(
        step(place, kind, attempts, (f"s{place - 1}",) if place else ()) for place, kind in enumerate(kinds)
    )
    return Definition(
        saga="law",
        title="Law",
        steps=steps,
        deadline_s=DEADLINE_S if deadline else None,
        stops_on_compensation_failure=stops,
        asks_when_in_doubt=asks,
    )


def shapes(length: int, kinds: str = "CN") -> Iterator[str]:
    """Every legal order of kinds: at most one pivot, and nothing with a compensation after it."""
    yield from map("".join, product(kinds, repeat=length))
    for place in range(length):
        for before in product(kinds, repeat=place):
            yield "".join(before) + PIVOT + NONE * (length - place - 1)


def started(definition: Definition) -> tuple[RunState, m.RunStarted]:
    event = m.RunStarted(
        run="0192",
        saga=definition.saga,
        version=1,
        input={},
        by="alice",
        steps=len(definition.steps),
        deadline_at=AT_DEADLINE if definition.deadline_s else None,
    )
    return evolve(RunState(), event, T0), event


# ---- what can happen next ------------------------------------------------------

ANSWERS: tuple[Outcome, ...] = (
    Succeeded({"done": True}),
    Rejected(Error("no", "no")),
    Rejected(Error("bare", "no"), is_explicit=False),
    Failed(Error("failed", "failed")),
    Unknown(Error("unknown", "unknown")),
)
LOSSES: tuple[Outcome, ...] = (
    Unknown(Error(WORKER_LOST, "lost"), is_counted=False),
    Failed(Error(NOT_SENT, "not sent"), is_counted=False),
)


@dataclass(frozen=True)
class Allowance:
    """How much may still happen in a run that nothing in the law bounds."""

    cancels: int = 1
    retries: int = 1
    losses: int = 1
    deadlines: int = 1


Move = tuple[m.Command, Allowance]


def must(state: RunState, left: Allowance) -> list[Move]:
    """What happens by itself: attempts in flight end, retries fall due."""
    moves: list[Move] = []
    for key, phase in sorted(state.awaiting):
        attempt = AttemptKey(key.step, key.item, phase, state.step(key).half(phase).number)
        moves += [(m.ReportOutcome(attempt, outcome, T0), left) for outcome in ANSWERS]
        if left.losses:
            moves += [(m.ReportOutcome(attempt, one, T0), replace(left, losses=left.losses - 1)) for one in LOSSES]
    if any(state.step(key).half(phase).due_at is not None for key, phase in state.open) or state.started_at is None:
        moves.append((m.Look(T0), left))
    return moves


def may(definition: Definition, state: RunState, left: Allowance) -> list[Move]:
    """What people and the clock may add at any point."""
    moves: list[Move] = []
    number = state.inbox_done + 1
    if left.cancels:
        moves.append((m.TakeOrder(number, Verb.CANCEL, "alice", T0), replace(left, cancels=left.cancels - 1)))
    if left.retries:
        fewer = replace(left, retries=left.retries - 1)
        moves.append((m.TakeOrder(number, Verb.RETRY, "alice", T0), fewer))
        moves += [
            (m.TakeOrder(number, Verb.RETRY, "alice", T0, step=one.step, arguments=1, has_arguments=True), fewer)
            for one in state.attention
        ]
    if left.deadlines and definition.deadline_s and not state.is_overdue:
        moves.append((m.Look(AT_DEADLINE), replace(left, deadlines=0)))
    return moves


@dataclass
class Explored:
    """What an exploration saw."""

    runs: int = 0  # whole runs: ways from the start to where nothing happens by itself
    states: int = 0
    ends: frozenset[str] = frozenset()
    violations: tuple[str, ...] = ()


class ViolatedError(Exception):
    """An invariant does not hold. `args`: the sentences, then the journal."""


def explore(definition: Definition, allowance: Allowance = Allowance()) -> Explored:
    """Go every way that a run of `definition` can go, and hold the invariants at each entry.

    Ways that lead to the same state (and the same past, as far as the invariants
    ask about it) are walked on once and counted as often as they are.

    Raises:
        ViolatedError: with the sentences and the journal that led there.
    """
    counts: dict[object, int] = {}
    ends: set[str] = set()

    def walk(state: RunState, watch: Watch, left: Allowance, journal: tuple[m.Event, ...]) -> int:
        place = (_timeless(state), watch.key(), left)
        known = counts.get(place)
        if known is not None:
            return known
        found = resting_violations(definition, state) + watch.unlike(state)
        if found:
            raise ViolatedError(*found, *journal)
        if state.status.is_final:
            ends.add(str(state.status))
            _hold_nothing_after_the_end(definition, state, journal)
            counts[place] = 1
            return 1
        moves = must(state, left)
        if not moves:
            ends.add(str(state.status))
            if not state.attention:
                raise ViolatedError("L1 the run is not final and nothing will ever move it", *journal)
        runs = 0 if moves else 1
        for command, after in moves + may(definition, state, left):
            decision = decide(definition, state, command)
            watched = _watched(watch, decision, state, (*journal, *decision.events))
            _hold_twice_is_once(definition, decision, command, journal)
            if not decision.events and isinstance(command, m.Look):
                raise ViolatedError("L1 somebody should look, but nothing follows from it", *journal)
            runs += walk(decision.state, watched, after, (*journal, *decision.events))
        counts[place] = runs
        return runs

    state, first = started(definition)
    watch = Watch(definition)
    watch.see(first)
    runs = walk(state, watch, allowance, (first,))
    return Explored(runs, len(counts), frozenset(ends))


def _timeless(state: RunState) -> object:
    """Return what of a state the future depends on: not how long its journal is."""
    return replace(state, sequence=0, revision=0, steps=frozenset(_freeze(state.steps)), reason=None, inbox_done=0, labels=None, input=None)  # type: ignore[arg-type]


def _freeze(steps: Mapping[StepKey, object]) -> Iterator[tuple[StepKey, str]]:
    for key, run in steps.items():
        yield key, repr(run)


def _watched(watch: Watch, decision: Decision, before: RunState, journal: tuple[m.Event, ...]) -> Watch:
    """Hold the invariants at each event, and the fold of the stored form against the state decided."""
    if not decision.events:
        return watch
    watch = watch.copy()
    found = [sentence for event in decision.events for sentence in watch.see(event)]
    at = decision.state.finished_at or T0
    stored = [codec.decode(*codec.encode(event)) for event in decision.events]
    if replay(((event, at) for event in stored), before) != decision.state and decision.state.finished_at is None:
        again = replay(((event, AT_DEADLINE) for event in stored), before)
        if again != decision.state:
            found.append("S4 the stored entries do not replay to the state decided")
    if decision.state.sequence != before.sequence + len(decision.events):
        found.append("S4 the sequence is not the number of entries")
    if found:
        raise ViolatedError(*found, *journal)
    return watch


def _hold_twice_is_once(
    definition: Definition, decision: Decision, command: m.Command, journal: tuple[m.Event, ...]
) -> None:
    if isinstance(command, m.ReportOutcome) and decide(definition, decision.state, command).events:
        raise ViolatedError("S4 the same report again changed something", *journal, *decision.events)


def _hold_nothing_after_the_end(definition: Definition, state: RunState, journal: tuple[m.Event, ...]) -> None:
    for verb in Verb:
        events = decide(definition, state, m.TakeOrder(state.inbox_done + 1, verb, "alice", T0)).events
        if [type(event) for event in events] != [m.OrderRefused]:
            raise ViolatedError(f"S1 a run that has ended took the order {verb}", *journal, *events)
    if decide(definition, state, m.Look(AT_DEADLINE)).events:
        raise ViolatedError("S1 a run that has ended was moved by a look", *journal)


__all__ = ["Allowance", "Explored", "Phase", "ViolatedError", "explore", "linear", "shapes"]
