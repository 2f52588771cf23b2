"""Small sagas, and every way that a run of one can go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.decider import Decision, decide
from sagas.core.definition import (
    Approval,
    Definition,
    Half,
    PythonAction,
    RetryPolicy,
    SignalWait,
    Step,
    SubSaga,
    Timer,
    Wait,
)
from sagas.core.due import due_at
from sagas.core.evolve import evolve, replay
from sagas.core.expressions import ExpressionError
from sagas.core.limits import PROBE_TRIES_MAX
from sagas.core.orders import refusal
from sagas.core.state import RunState
from sagas.core.vocabulary import AttemptKey, Json, OutcomeKind, Phase, RunStatus, Verb, WaitingFor
from tests.core.law_answers import ANSWERS, LOSSES, NEVER_HAPPENED, NOT_STARTED
from tests.core.law_blind import BlindLook, decided
from tests.core.law_callbacks import CALLED_BACK, CALLS, accept, callbacks, is_stale_heard, misjudged, next_moment
from tests.core.law_children import misheard, reports
from tests.core.law_essence import essence
from tests.core.law_late import late_reports, moved_after_the_end
from tests.invariants import Watch, resting_violations
from tests.lists import names_of

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


CHILD = "R"  # a step that runs another saga
WAITS: dict[str, Wait] = {  # in a law's one moment a time-out is up as soon as somebody looks
    "T": Timer(0.0),
    "S": SignalWait("go"),
    "W": SignalWait("go", timeout_s=0.0),
    "G": SignalWait("go", timeout_s=0.0, goes_on=True),
    "A": Approval("operator", Fixed("Go on?")),
    "B": Approval("operator", Fixed("Go on?"), timeout_s=0.0),
    "Q": Approval("operator", Fixed("Go on?")),  # the pivot
}


def half(attempts: int | None, *, is_broken: bool = False, kind: str = "") -> Half:
    # no waits: a retry is due at once, so that a whole run fits into one moment
    policy = RetryPolicy(attempts=attempts, initial_s=0.0, jitter=0.0)
    action, timeout_s = CALLS.get(kind, (PythonAction("test.it"), 1.0))
    return Half(action, Fixed({}, is_broken), timeout_s=timeout_s, retry=policy)


def step(position: int, kind: str, attempts: int | None, after: tuple[str, ...]) -> Step:
    """Return a step of one kind; a small letter is the kind with a probe."""
    name = f"s{position}"
    has_probe, kind = kind.islower(), kind.upper()
    has_compensation = kind in {COMPENSATED, NO_INPUT, NO_UNDO_INPUT, *CALLED_BACK}
    wait = WAITS.get(kind)
    if kind == CHILD:
        child = Half(SubSaga("child"), Fixed({}), 0.0, RetryPolicy(attempts=1, initial_s=0.0, jitter=0.0))
        return Step(name, name, position, child, child, after=after)
    return Step(
        name=name,
        title=name,
        position=position,
        action=None if wait else half(attempts, is_broken=kind == NO_INPUT, kind=kind),
        compensation=half(attempts, is_broken=kind == NO_UNDO_INPUT, kind=kind) if has_compensation else None,
        after=after,
        is_pivot=kind in {PIVOT, "Q", "J"},
        wait=wait,
        probe=half(PROBE_TRIES_MAX) if has_probe else None,
    )


def linear(
    kinds: str, *, attempts: int = 1, stops: bool = True, asks: bool = False, deadline: bool = False
) -> Definition:
    steps = tuple(step(place, kind, attempts, (f"s{place - 1}",) if place else ()) for place, kind in enumerate(kinds))
    return Definition(
        saga="law",
        title="Law",
        steps=steps,
        deadline_s=DEADLINE_S if deadline else None,
        stops_on_compensation_failure=stops,
        asks_when_in_doubt=asks,
    )


def graph(
    kinds: str, after: Mapping[str, str], *, stops: bool = True, asks: bool = False, false: str = "", attempts: int = 1
) -> Definition:
    """Return a saga whose steps have an order of their own.

    Args:
        kinds: the kind of each step, as in `linear`.
        after: the numbers of the steps that a step comes after, by its own number: `{"2": "01"}`.
        stops: whether a compensation that fails stops the others.
        asks: whether a person is asked when a step is in doubt.
        false: the numbers of the steps whose condition is false.
        attempts: of each half.
    """
    steps = []
    for place, kind in enumerate(kinds):
        made = step(place, kind, attempts, tuple(f"s{one}" for one in after.get(str(place), "")))
        steps.append(replace(made, when=Fixed(False)) if str(place) in false else made)
    return Definition(
        saga="law",
        title="Law",
        steps=tuple(steps),
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


@dataclass(frozen=True)
class Allowance:
    """How much may still happen in a run that nothing in the law bounds."""

    cancels: int = 1
    retries: int = 1
    losses: int = 1
    deadlines: int = 1
    decisions: int = 0  # of a person: pause, resume, skip, settle, give up, terminate
    signals: int = 0
    answers: int = 0  # of a person who was asked
    undos: int = 0  # of a completed run, by the run it belongs to
    blind: int = 0  # looks of a worker that cannot read the version
    reports: int = 0  # late ones, of attempts that ended unknown


Move = tuple[m.Command, Allowance]


def must(definition: Definition, state: RunState, left: Allowance) -> list[Move]:
    """What happens by itself: attempts in flight end, retries fall due."""
    moves: list[Move] = []
    for key, phase in sorted(state.awaiting):
        attempt = AttemptKey(key.step, key.item, phase, state.step(key).half(phase).number)
        if definition.by_name[key.step].is_sub_saga:
            moves += [(m.AcceptAttempt(attempt, "c1", T0), left), (m.ReportOutcome(attempt, NOT_STARTED, T0), left)]
            if left.losses:
                moves.append((m.ReportOutcome(attempt, LOSSES[0], T0), replace(left, losses=left.losses - 1)))
            continue
        moves += [(command, left) for command in accept(definition, attempt, T0)]
        answers = (*ANSWERS, NEVER_HAPPENED) if phase is Phase.PROBE else ANSWERS
        moves += [(m.ReportOutcome(attempt, outcome, T0), left) for outcome in answers]
        if left.losses:
            moves += [(m.ReportOutcome(attempt, one, T0), replace(left, losses=left.losses - 1)) for one in LOSSES]
    moves += [(report, left) for report in reports(state, T0)]
    moves += [(order, left) for order in callbacks(definition, state, T0)]
    moment = T0 if state.started_at is None and not state.is_paused else next_moment(state)
    if moment is not None and not state.is_unreadable:
        moves.append((m.Look(max(T0, moment)), left))
    return moves


def may(definition: Definition, state: RunState, left: Allowance, watch: Watch) -> list[Move]:
    """What people and the clock may add at any point."""
    moves: list[Move] = []
    number = state.inbox_done + 1
    if left.cancels:
        moves.append((m.TakeOrder(number, Verb.CANCEL, "alice", T0), replace(left, cancels=left.cancels - 1)))
    if left.retries:
        fewer = replace(left, retries=left.retries - 1)
        moves.append((m.TakeOrder(number, Verb.RETRY, "alice", T0), fewer))
        moves += [
            (m.TakeOrder(number, Verb.RETRY, "alice", T0, step=str(one.key), arguments=1, has_arguments=True), fewer)
            for one in state.attention
        ]
    if left.decisions:
        fewer = replace(left, decisions=left.decisions - 1)
        moves += [
            (order, fewer) for order in decisions(definition, number) if refusal(definition, state, order) is None
        ]
    if left.blind:
        moves.append((BlindLook(T0), replace(left, blind=left.blind - 1)))
    if left.signals:
        signal = m.TakeOrder(number, Verb.SIGNAL, "bank", T0, signal="go", arguments={"paid": True})
        moves.append((signal, replace(left, signals=left.signals - 1)))
    if left.answers:
        moves += [
            (
                m.TakeOrder(number, Verb.APPROVE, "alice", T0, step=str(key), outcome=outcome),
                replace(left, answers=left.answers - 1),
            )
            for key, _ in sorted(state.open)
            for outcome in (OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED)
            if refusal(definition, state, m.TakeOrder(number, Verb.APPROVE, "alice", T0, step=str(key))) is None
        ]
    if left.reports:
        fewer = replace(left, reports=left.reports - 1)
        moves += [(order, fewer) for order in late_reports(watch, state, T0)]
    if left.deadlines and definition.deadline_s and not state.is_overdue:
        moves.append((m.Look(AT_DEADLINE), replace(left, deadlines=0)))
    return moves


def decisions(definition: Definition, number: int) -> Iterator[m.TakeOrder]:
    """Whatever a person can decide about a run of `definition`."""
    for verb in (Verb.PAUSE, Verb.RESUME, Verb.GIVE_UP, Verb.TERMINATE):
        yield m.TakeOrder(number, verb, "alice", T0)
    for name in names_of(definition):
        yield m.TakeOrder(number, Verb.SKIP, "alice", T0, step=name)
        for phase in (Phase.ACTION, Phase.COMPENSATION):
            for outcome in (OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED):
                yield m.TakeOrder(number, Verb.SETTLE, "alice", T0, step=name, phase=phase, outcome=outcome)


@dataclass
class Explored:
    """What an exploration saw."""

    runs: int = 0  # whole runs: ways from the start to where nothing happens by itself
    states: int = 0
    ends: frozenset[str] = frozenset()
    violations: tuple[str, ...] = ()


class ViolatedError(Exception):
    """An invariant does not hold. `args`: the sentences, then the journal that led there."""


Journal = tuple[tuple[m.Event, datetime], ...]


def explore(definition: Definition, allowance: Allowance = Allowance()) -> Explored:
    """Go every way that a run of `definition` can go, and hold the invariants at each entry.

    Ways that lead to the same state (and the same past, as far as the invariants
    ask about it) are walked on once and counted as often as they are.

    Raises:
        ViolatedError: with the sentences and the journal that led there.
    """
    counts: dict[object, int] = {}
    ends: set[str] = set()

    def walk(state: RunState, watch: Watch, left: Allowance, journal: Journal) -> int:
        place = (essence(state), watch.key(), left)
        known = counts.get(place)
        if known is not None:
            return known
        _hold(_standing(definition, state, watch, journal), journal)
        moves = must(definition, state, left)
        if not moves:
            ends.add(str(state.status))
        if state.status.is_final:
            _hold_nothing_after_the_end(definition, state, journal)
            _hold(moved_after_the_end(definition, watch, state, T0), journal)
        undo = m.TakeOrder(state.inbox_done + 1, Verb.UNDO, "run p1", T0)
        if left.undos and refusal(definition, state, undo) is None:
            moves = [(undo, replace(left, undos=left.undos - 1))]
        elif state.status.is_final:
            counts[place] = 1
            return 1
        if not moves and not state.attention and not state.is_paused and not _waits_for_somebody(state):
            _hold(["L1 the run is not final and nothing will ever move it"], journal)
        runs = 0 if moves else 1
        for command, after in moves + ([] if state.status.is_final else may(definition, state, left, watch)):
            decision = decided(definition, state, command)
            told = (*journal, *((event, command.now) for event in decision.events))
            watched = watch.copy()
            _hold([sentence for event in decision.events for sentence in watched.see(event)], told)
            _hold(misheard(definition, command, decision.events), told)
            _hold_twice_is_once(definition, decision, command, told)
            _hold(is_stale_heard(definition, decision.state, command), told)
            due = due_at(state)
            if not decision.events and isinstance(command, m.Look) and due is not None and due <= command.now:
                _hold(["L1 somebody should look, but nothing follows from it"], journal)
            runs += walk(decision.state, watched, after, told)
        counts[place] = runs
        return runs

    state, first = started(definition)
    watch = Watch(definition)
    watch.hears_late = allowance.reports > 0
    watch.see(first)
    runs = walk(state, watch, allowance, ((first, T0),))
    return Explored(runs, len(counts), frozenset(ends))


def _waits_for_somebody(state: RunState) -> bool:
    return any(state.step(key).half(phase).waits_for not in {None, WaitingFor.TIMER} for key, phase in state.open)


def _standing(definition: Definition, state: RunState, watch: Watch, journal: Journal) -> list[str]:
    """Return what is wrong with a state: by itself, beside its journal, and beside its journal as stored."""
    found = resting_violations(definition, state) + watch.unlike(state) + misjudged(state, journal)
    stored = [(codec.decode(*codec.encode(event)), at) for event, at in journal]
    if replay(stored) != state:
        found.append("S4 replaying the stored journal from empty does not give the state")
    if state.sequence != len(journal):
        found.append("S4 the sequence is not the number of entries")
    is_resting = due_at(state) is None and not state.awaiting and not state.attention and not state.is_paused
    if is_resting and not _waits_for_somebody(state) and not state.status.is_final:
        found.append("L1 nobody is told to look at the run again")
    return found


def _hold(violations: list[str], journal: Journal) -> None:
    if violations:
        raise ViolatedError(*violations, *(event for event, _ in journal))


def _hold_twice_is_once(definition: Definition, decision: Decision, command: m.Command, journal: Journal) -> None:
    if isinstance(command, m.ReportOutcome) and decide(definition, decision.state, command).events:
        _hold(["S4 the same report again changed something"], journal)


def _hold_nothing_after_the_end(definition: Definition, state: RunState, journal: Journal) -> None:
    for verb in {*Verb} - ({Verb.UNDO} if state.status is RunStatus.COMPLETED else set()):
        events = decide(definition, state, m.TakeOrder(state.inbox_done + 1, verb, "alice", T0)).events
        if [type(event) for event in events] != [m.OrderRefused]:
            _hold([f"S1 a run that has ended took the order {verb}"], journal)
    if decide(definition, state, m.Look(AT_DEADLINE)).events:
        _hold(["S1 a run that has ended was moved by a look"], journal)
