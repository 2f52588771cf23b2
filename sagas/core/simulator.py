"""A run on paper under way: what the next thing is that happens, and what follows from it by the law."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from sagas.core import messages as m
from sagas.core import simulated_start
from sagas.core.decider import decide
from sagas.core.definition import Definition
from sagas.core.due import due_at
from sagas.core.evolve import evolve
from sagas.core.facts import Facts, facts_of
from sagas.core.limits import SIMULATED_ENTRIES_MAX, SIMULATED_FOREVER_MAX, SIMULATED_RENDERINGS_MAX
from sagas.core.script import Ending, Ordered, Part, SimulationInvalidError
from sagas.core.scripted import Scripted
from sagas.core.simulated_start import BY, RUN_ID, STARTED_AT
from sagas.core.simulation import Note, SimulatedStatus, Simulation
from sagas.core.state import RunState
from sagas.core.supposed import suppose
from sagas.core.vocabulary import (
    AttemptKey,
    Direction,
    Json,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    Verb,
    WaitingFor,
)

_WHAT = {
    Phase.ACTION: "`{}` was never tried",
    Phase.COMPENSATION: "The compensation of `{}` was never tried",
    Phase.PROBE: "The probe of `{}` was never asked",
}
LOST_AFTER_S = 5.0  # until a lost worker is noticed: the lease, as it is by default
LONGEST = 1.0 - 2**-53  # dice that make every wait as long as its jitter allows


class _CutShortError(Exception):
    """The simulation is over before the run is; `args[0]` says which bound ended it."""


def _order_of_ending(report: tuple[datetime, StepKey, Phase]) -> tuple[datetime, str, int]:
    """Of attempts that end at one moment the items of a list end as they started: undone from the last one on."""
    at, key, phase = report
    return at, key.step, -key.item if phase is Phase.COMPENSATION else key.item


class Simulator:
    """One simulation under way."""

    def __init__(
        self,
        definition: Definition,
        value: Json,
        parts: Mapping[tuple[str, Phase], Part],
        orders: tuple[Ordered, ...],
        *,
        is_slow: bool,
        is_over: Callable[[], bool] | None,
    ) -> None:
        self.told = definition
        self.definition = suppose(definition, self)
        self.value = value
        self.script = Scripted(parts, self)
        self.orders = list(orders)
        self.orders_given = 0
        self.is_slow = is_slow
        self.is_over = is_over
        self.now = STARTED_AT
        self.waited_s = 0.0
        self.renderings = 0
        self.state = RunState()
        self.journal: list[tuple[m.Event, datetime]] = []
        self.notes: dict[Note, None] = {}  # in the order in which they were made, each once
        self.made_up: set[str] = set()  # steps that succeeded without an output in the script

    # ---- what `suppose` asks for ---------------------------------------------

    def count(self, expressions: int) -> None:
        """Count expressions before they are evaluated.

        Raises:
            _CutShortError: they are too many, or the time is over.
        """
        self.renderings += expressions
        if self.renderings > SIMULATED_RENDERINGS_MAX:
            raise _CutShortError("expressions")
        if self.is_over is not None and self.is_over():
            raise _CutShortError("time")

    def note(self, note: Note) -> None:
        """Keep a remark for the reader."""
        self.notes[note] = None

    # ---- from the start to the end -------------------------------------------

    def run(self) -> Simulation:
        """Drive the run until nothing happens by itself and nothing is ordered any more."""
        cut_short = ""
        facts = Facts()
        try:
            facts = self._facts()
        except _CutShortError as error:
            cut_short = str(error)
        if facts.problems:
            raise SimulationInvalidError(facts.problems)
        self._start(facts)
        try:
            self._begin()
            while (step := self._next()) is not None:
                step()
        except _CutShortError as error:
            cut_short = str(error)
        self._note_what_was_not_reached()
        return Simulation(
            definition=self.told,
            status=self._status(cut_short),
            state=self.state,
            journal=tuple(self.journal),
            notes=tuple(self.notes),
            took_s=(self.now - STARTED_AT).total_seconds(),
            waited_s=self.waited_s,
            has_happened=dict(self.script.has_happened),
            cut_short=cut_short,
        )

    def _facts(self) -> Facts:
        """Return what the run is known by."""
        return facts_of(self.definition, RUN_ID, self.value)

    def _begin(self) -> None:
        """Do the first thing after the start."""
        self._decide(m.Look(self.now, self._dice))

    def _note_what_was_not_reached(self) -> None:
        for step, phase in self.script.parts:
            if not any(self.state.step(key).half(phase).started_at is not None for key in self._runs_of(step)):
                self.note(
                    Note("not_reached", f"{_WHAT[phase]}, so its script changed nothing.".format(step), step, phase)
                )
        for order in self.orders:
            what = f"event {order.event['type']}" if order.event else f"order {order.verb}"
            self.note(Note("not_reached", f"The {what} was never given: its moment did not come."))

    def _runs_of(self, name: str) -> list[StepKey]:
        """Return the step runs that a script calls `name`: of a list, its items."""
        key = StepKey.parse(name) or StepKey(name)
        if not self.state.is_list(key):
            return [key]
        return [StepKey(key.step, number) for number in range(self.state.lists[key.step].total)]

    def _start(self, facts: Facts) -> None:
        started = simulated_start.started(self.told, self.value, facts)
        self.state = evolve(self.state, started, STARTED_AT)
        self.journal.append((started, STARTED_AT))

    def _decide(self, command: m.Command) -> None:
        if len(self.journal) >= SIMULATED_ENTRIES_MAX:
            raise _CutShortError("entries")
        if self.is_over is not None and self.is_over():
            raise _CutShortError("time")
        decision = decide(self.definition, self.state, command)
        self.journal += [(event, command.now) for event in decision.events]
        self.state = decision.state

    # ---- what happens next -----------------------------------------------------

    def _next(self) -> Callable[[], None] | None:
        """Return what happens next: an order, the end of an attempt, or a moment that has come; None at rest."""
        if self.state.status.is_final:
            return None
        reports = [(self._ends_at(key, phase), key, phase) for key, phase in self.state.awaiting]
        reports += self._callbacks()
        report = min(reports, key=_order_of_ending, default=None)
        arrival = min(self._arrivals(), default=None)
        look_at = self._look_at()
        order = self.orders[0] if self.orders else None
        if order is not None and order.at_s is not None:
            order_at = max(self.now, STARTED_AT + timedelta(seconds=order.at_s))
            others = (report and report[0], arrival and arrival[0], look_at)
            if all(order_at <= at for at in others if at is not None):
                return lambda: self._order(order_at)
        if order is not None and order.during is not None and self._waits(*order.during):
            return lambda: self._order(self.now)
        if arrival is not None and all(arrival[0] <= at for at in (report and report[0], look_at) if at is not None):
            return partial(self._arrive, *arrival)
        if report is not None and (look_at is None or report[0] <= look_at):
            at, key, phase = report
            if order is not None and order.during in {(key.step, phase), (str(key), phase)}:
                return lambda: self._order(at)
            return lambda: self._report(key, phase, at)
        if look_at is not None and not (report is None and self._retries_for_ever()):
            return lambda: self._look(look_at)
        if order is not None and order.during is None:
            return lambda: self._order(self.now)
        return None

    def _waits(self, step: str, phase: Phase) -> bool:
        return any(
            self.state.step(key).half(phase).waits_for is not None
            for key, _ in self.state.open
            if step in {key.step, str(key)}
        )

    def _arrivals(self) -> Iterator[tuple[datetime, StepKey]]:
        """Yield the waits that by the script are ended by somebody, with the moment: at once, or just in time."""
        for key, phase in self.state.open:
            half = self.state.step(key).half(phase)
            is_answered = half.waits_for in {WaitingFor.SIGNAL, WaitingFor.APPROVAL}
            if is_answered and self._part(key, phase).answer(1).ending is not Ending.NEVER:
                yield (half.due_at if self.is_slow and half.due_at else self.now), key

    def _callbacks(self) -> Iterator[tuple[datetime, StepKey, Phase]]:
        """Yield the attempts that by the script are called back about, with the moment: at once, or just in time."""
        for key, phase in self.state.open:
            half = self.state.step(key).half(phase)
            if half.is_called_back and self.script.answer(key, phase, half.number).ending is not Ending.UNKNOWN:
                yield (half.due_at if self.is_slow and half.due_at else self.now), key, phase

    def _arrive(self, at: datetime, key: StepKey) -> None:
        """Somebody sends the signal, or answers."""
        self._wait_until(at)
        half = self.state.step(key).action
        answer = self._part(key, Phase.ACTION).answer(1)
        is_signal = half.waits_for is WaitingFor.SIGNAL
        if is_signal and not answer.has_output:
            self.made_up.add(key.step)
        self.orders_given += 1
        self._decide(
            m.TakeOrder(
                number=self.orders_given,
                verb=Verb.SIGNAL if is_signal else Verb.APPROVE,
                by=BY,
                now=at,
                reason="" if is_signal else "By the script.",
                step=None if is_signal else str(key),
                signal=half.input["signal"] if is_signal else "",
                arguments=answer.output if answer.has_output else {},
                outcome=OutcomeKind.REJECTED if answer.ending is Ending.REJECTED else OutcomeKind.SUCCEEDED,
                dice=self._dice,
            )
        )

    def _look_at(self) -> datetime | None:
        """Return when time alone moves the run on; None also when only the deadline of a resting run is left."""
        is_waiting = any(self.state.step(key).half(phase).due_at is not None for key, phase in self.state.open)
        is_resting = not self.state.awaiting and (self.state.is_paused or (self.state.attention and not is_waiting))
        due = None if is_resting else due_at(self.state)
        return None if due is None else max(due, self.now)

    def _retries_for_ever(self) -> bool:
        """Whether all that is left to happen are attempts that never succeed and never end."""
        state = self.state
        goes_forward = state.direction is Direction.FORWARD and not state.is_past_pivot
        if state.deadline_at is not None and not state.is_overdue and (goes_forward or state.watch is not None):
            return False  # the deadline will turn it round, or ask a person
        calls = [(key, phase) for key, phase in state.open if self._waits_for(key, phase) is not WaitingFor.EVENT]
        return bool(calls) and all(self._is_hopeless(key, phase) for key, phase in calls)

    def _waits_for(self, key: StepKey, phase: Phase) -> WaitingFor | None:
        return self.state.step(key).half(phase).waits_for

    def _is_hopeless(self, key: StepKey, phase: Phase) -> bool:
        if phase is Phase.PROBE:
            return False  # it is asked a few times only
        step = self.told.by_name[key.step]
        half = step.compensation if phase is Phase.COMPENSATION else step.action
        number = self.state.step(key).half(phase).number
        is_endless = half is not None and half.retry.attempts is None
        return is_endless and number >= SIMULATED_FOREVER_MAX and self._part(key, phase).is_hopeless(number)

    def _status(self, cut_short: str) -> SimulatedStatus:
        status = self.state.status
        if status.is_final or status is RunStatus.NEEDS_ATTENTION:
            return SimulatedStatus(status.value)
        if self.state.is_paused:
            return SimulatedStatus.PAUSED
        if not cut_short and any(self.state.step(key).half(phase).waits_for for key, phase in self.state.open):
            return SimulatedStatus.WAITING
        return SimulatedStatus.STILL_RETRYING if not cut_short else SimulatedStatus.CUT_SHORT

    # ---- the three kinds of moves ----------------------------------------------

    def _wait_until(self, at: datetime) -> None:
        """Let the time pass; it was waited where nothing is in flight."""
        if not self.state.awaiting:
            self.waited_s += (at - self.now).total_seconds()
        self.now = at

    def _look(self, at: datetime) -> None:
        self._wait_until(at)
        self._decide(m.Look(at, self._dice))

    def _report(self, key: StepKey, phase: Phase, at: datetime) -> None:
        self._wait_until(at)
        half = self.state.step(key).half(phase)
        attempt = AttemptKey(key.step, key.item, phase, half.number)
        answer = self.script.answer(key, phase, half.number)
        if answer.is_accepted and half.is_awaiting:
            if answer.ending is Ending.UNKNOWN:  # silence: what truly happened is known to the script from here on
                self.script.outcome(key, phase, half)
            planned = self.told.by_name[key.step].half(phase)
            by = "" if planned is None else getattr(planned.action, "service", "")
            self._decide(m.AcceptAttempt(attempt, by, at, self._dice, WaitingFor.CALLBACK))
            return
        outcome = self.script.outcome(key, phase, half)
        self._decide(m.ReportOutcome(attempt, outcome, at, self._dice))

    def _order(self, at: datetime) -> None:
        self.now = at
        order = self.orders.pop(0)
        self.orders_given += 1
        self._decide(
            m.TakeOrder(
                number=self.orders_given,
                verb=order.verb,
                by=BY,
                now=at,
                step=order.step,
                phase=order.phase,
                outcome=order.outcome,
                output=order.output,
                dice=self._dice,
            )
        )

    @property
    def _dice(self) -> float:
        return LONGEST if self.is_slow else 0.5

    def _part(self, key: StepKey, phase: Phase) -> Part:
        return self.script.part(key, phase)

    def _ends_at(self, key: StepKey, phase: Phase) -> datetime:
        half = self.state.step(key).half(phase)
        answer = self.script.answer(key, phase, half.number)
        ending = answer.ending
        if answer.is_accepted:
            return max(self.now, half.started_at or self.now)
        lasts_s = half.timeout_s if self.is_slow or ending is Ending.UNKNOWN else 0.0
        if ending is Ending.WORKER_LOST:
            lasts_s += LOST_AFTER_S
        return max(self.now, (half.started_at or self.now) + timedelta(seconds=lasts_s))
