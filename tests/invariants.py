"""The invariants S1-S4 and S6 of a run, told from its journal alone.

Written without the engine's own fold (`core/evolve.py`), so that a mistake there
shows. `violations` judges a whole stored journal; `Watch` judges it entry by
entry, for tests that explore many journals with a common beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import TypeAlias

from sagas.core import messages as m
from sagas.core.definition import Definition
from sagas.core.evolve import replay
from sagas.core.state import RunState
from sagas.core.vocabulary import CompensationStatus, OutcomeKind, Phase, StepKey, StepStatus
from tests.ends import HalfKey, name_of
from tests.late import Late
from tests.probes import Probes
from tests.waits import Waits

Entry: TypeAlias = tuple[int, m.Event, datetime]  # sequence, event, at

_BUSY = {"running", "waiting", "retrying"}
_DONE = {CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED, CompensationStatus.NOT_NEEDED}


def violations(definition: Definition, entries: Iterable[Entry], state: RunState | None = None) -> list[str]:
    """Return what is wrong with a run, one sentence each; empty when all invariants hold.

    Args:
        definition: the version the run is pinned to.
        entries: the whole journal, oldest first.
        state: what is stored of the run (row and step rows), when that is to be judged too.
    """
    journal = list(entries)
    watch = Watch(definition)
    found = [f"S4 entry {number} stands at place {place}"
             for place, (number, _, _) in enumerate(journal, start=1) if number != place]  # fmt: skip
    for _, event, _ in journal:
        found += watch.see(event)
    told = replay((event, at) for _, event, at in journal)
    if state is not None and told != state:
        found.append("S4 replaying the journal from empty does not give the stored state")
    return found + resting_violations(definition, told) + watch.unlike(told)


def resting_violations(definition: Definition, state: RunState) -> list[str]:
    """Return what S1 and S2 say against a state, final or not."""
    found = []
    steps = [(step, state.step(StepKey(step.name))) for step in definition.steps]
    if state.status.is_final:
        found += [
            f"S1 the run is {state.status} but {key} is {half}"
            for key, run in state.steps.items()
            for half in (run.status, run.compensation_status)
            if half in _BUSY
        ]
        if state.open:
            found.append(f"S1 the run is {state.status} with halves open: {sorted(state.open)}")
    if state.status == "completed":
        found += [
            f"S2 completed, but {step.name} is {run.status}"
            for step, run in steps
            if run.status not in {StepStatus.SUCCEEDED, StepStatus.SKIPPED}
        ]
    if state.status == "compensated":
        found += [
            f"S2 compensated, but {key} is {run.status} and its compensation {run.compensation_status}"
            for key, run in state.steps.items()
            if run.status in {StepStatus.SUCCEEDED, StepStatus.IN_DOUBT} and run.compensation_status not in _DONE
        ]
    return found


class Watch(Waits, Probes, Late):
    """What the journal has said so far about one run. `see` takes the next entry and returns the sentences."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.followers = _followers(definition)
        self.is_begun = False
        self.ended = ""
        self.is_turning = False
        self.is_backward = False
        self.is_past_pivot = False
        self.in_flight: dict[HalfKey, int] = {}
        self.numbers: dict[HalfKey, int] = {}  # of the last attempt
        self.editions: dict[HalfKey, int] = {}
        self.unsettled: set[HalfKey] = set()
        self.closed: set[tuple[HalfKey, int]] = set()  # keys that had their definite end
        self.succeeded: set[HalfKey] = set()
        self.failed: set[HalfKey] = set()
        self.in_doubt: set[StepKey] = set()
        self.skipped: set[StepKey] = set()
        self.settled: set[StepKey] = set()  # compensations that a person did
        self.given_up: set[StepKey] = set()
        self.is_paused = False
        self.waiting: dict[HalfKey, str] = {}  # steps that wait, and the signal they wait for
        self.kept: tuple[str, ...] = ()  # names of signals that no step has taken yet
        self.listed: dict[str, int] = {}  # how many items a list has, by step
        self.joined: set[str] = set()  # lists of which nothing is under way
        self.asked: dict[StepKey, int] = {}  # tries of the probe about the last unknown outcome
        self.losses: dict[HalfKey, int] = {}  # in a row, that ended their worker
        self.last_unknown: set[HalfKey] = set()  # actions whose last attempt ended unknown, and no probe settled it
        self.unknown: dict[
            tuple[HalfKey, int], int
        ] = {}  # attempts that ended unknown, by half and number: the edition
        self.doubtful: dict[HalfKey, frozenset[int]] = {}  # those under the present key that nothing has settled
        self.told: dict[StepKey, OutcomeKind] = {}  # what a late report has said of a step, until the step has ended
        self.hanging: set[StepKey] = set()  # happened, though the run had gone back without it
        self.asking: set[StepKey] = set()  # of these, what a person has yet to decide

    def copy(self) -> Watch:
        """Return a watch that goes on from here on its own."""
        other = Watch.__new__(Watch)
        other.__dict__ = {
            name: value.copy() if isinstance(value, (set, dict)) and name != "followers" else value
            for name, value in self.__dict__.items()
        }
        return other

    def key(self) -> tuple[object, ...]:
        """Return all that the next sentences depend on (`numbers` stand in the state as well)."""
        return tuple(
            frozenset(value.items())
            if isinstance(value, dict)
            else frozenset(value)
            if isinstance(value, set)
            else value
            for name, value in self.__dict__.items()
            if name not in {"definition", "followers", "numbers"}
        )

    def see(self, event: m.Event) -> list[str]:
        """Return what the invariants say against `event` coming now."""
        found = []
        if not self.is_begun and not isinstance(event, m.RunStarted):
            found.append("S4 the journal does not begin with run_started")
        if self.ended and not self.goes_on_after_the_end(event):
            found.append(f"S1 {type(event).__name__} after {self.ended}")
        found += self.see_late(event) + self._see_attempt(event) + self.see_wait(event) + self._see_turn(event)
        return found + self.see_decision(event) + self.see_end(event) + self.see_list(event)

    def _see_attempt(self, event: m.Event) -> list[str]:
        match event:
            case m.AttemptStarted():
                judges = {Phase.COMPENSATION: self._compensation_starts, Phase.PROBE: self.probe_starts}
                return judges.get(event.phase, self._action_attempt_starts)(event) + self._attempt_starts(event)
            case m.AttemptAccepted():
                half = (StepKey(event.step, event.item), event.phase)
                is_wrong = self.in_flight.get(half) != event.number
                return [f"S4 {name_of(half)} attempt {event.number} was accepted, but was not in flight"] * is_wrong
            case m.AttemptEnded():
                return self.probe_ends(event) if event.phase is Phase.PROBE else self._attempt_ends(event)
            case m.StepFailed():
                return self.wait_fails(event) + self._half_fails(event, Phase.ACTION)
            case m.CompensationFailed():
                return self._half_fails(event, Phase.COMPENSATION)
            case m.StepInDoubt():
                return self.doubt_is_due(event) + self._falls_in_doubt(event)
            case m.EditionStarted():
                return self.edition_of_probe(event) + self._edition_starts(event)
        return []

    def _see_turn(self, event: m.Event) -> list[str]:
        found = []
        match event:
            case m.RunStarted():
                if self.is_begun:
                    found.append("S4 the run started twice")
                self.is_begun = True
            case m.TurnRequested():
                if self.is_past_pivot:
                    found.append("S6 a turn was requested after the pivot succeeded")
                if self.is_turning or self.is_backward:
                    found.append("S3 a turn was requested twice")
                self.is_turning = True
            case m.TurnDropped():
                if not self.is_turning or not self.is_past_pivot:
                    found.append("S3 a turn was dropped, but not because the pivot succeeded")
                self.is_turning = False
            case m.TurnedRound():
                found += self._turns_round(event)
        return found

    def unlike(self, state: RunState) -> list[str]:
        """Return where the state says something else than the journal does."""
        found = []
        if state.is_past_pivot != self.is_past_pivot:
            found.append("S4 the state and the journal disagree on the pivot")
        if state.is_paused != (self.is_paused and not self.ended):
            found.append("S4 the state and the journal disagree on the pause")
        if tuple(one.name for one in state.signals) != self.kept:
            found.append("S4 the state and the journal disagree on the signals that are kept")
        for key in self.all_runs():
            told = state.step(key)
            by_hand = (
                (StepStatus.SKIPPED, told.status, self.skipped),
                (CompensationStatus.SETTLED, told.compensation_status, self.settled),
                (CompensationStatus.GIVEN_UP, told.compensation_status, self.given_up),
            )
            found += [
                f"S4 the state and the journal disagree on whether {key} is {status}"
                for status, is_told, keys in by_hand
                if (is_told is status) != (key in keys)
            ]
            for half, is_told in (
                ((key, Phase.ACTION), told.status is StepStatus.SUCCEEDED),
                ((key, Phase.COMPENSATION), told.compensation_status is CompensationStatus.SUCCEEDED),
            ):
                if told.half(half[1]).number != self.numbers.get(half, 0):
                    found.append(f"S4 the state and the journal count {name_of(half)} differently")
                if is_told != (half in self.succeeded):
                    found.append(f"S4 the state and the journal disagree on the {half[1]} of {key}")
            found += self.probe_unlike(key, told)
        if bool(self.ended) != state.status.is_final:
            found.append(f"S4 the run is {state.status}, but its journal says {self.ended or 'that it has not ended'}")
        return found + self.unlike_lists(state) + self.unlike_late(state)

    # ---- one entry each ------------------------------------------------------

    def _attempt_starts(self, event: m.AttemptStarted) -> list[str]:
        found = []
        half = (StepKey(event.step, event.item), event.phase)
        if self.is_paused:
            found.append(f"S3 {name_of(half)} starts while the run is paused")
        if half in self.in_flight:
            found.append(f"S4 {name_of(half)} attempt {event.number} starts while another is in flight")
        if event.number != self.numbers.get(half, 0) + 1:
            found.append(f"S4 {name_of(half)} attempt {event.number} follows {self.numbers.get(half, 0)}")
        keyed = (half[0], Phase.ACTION) if event.phase is Phase.PROBE else half  # a probe has no key of its own
        if event.edition != self.editions.get(keyed, 1):
            found.append(f"S4 {name_of(half)} starts in edition {event.edition} that nobody began")
        if (keyed, event.edition) in self.closed or keyed in self.succeeded:
            found.append(f"S4 {name_of(half)} starts again under a key that had its definite end")
        self.in_flight[half] = event.number
        self.numbers[half] = event.number
        self.failed.discard(keyed)
        if event.phase is not Phase.COMPENSATION:
            self.in_doubt.discard(half[0])
        return found

    def action_starts(self, event: m.AttemptStarted | m.WaitStarted) -> list[str]:
        """Return what is wrong with a step's beginning now."""
        found = [
            f"S3 the action of {event.step} starts before {before} is satisfied"
            for before in self.definition.by_name[event.step].after
            if not self._is_satisfied(before)
        ]
        if self.is_turning or self.is_backward:
            found.append(f"S3 the action of {event.step} starts after the turn was requested")
        return found

    def _action_attempt_starts(self, event: m.AttemptStarted) -> list[str]:
        return self.action_starts(event) + self.action_is_due(event)

    def _compensation_starts(self, event: m.AttemptStarted) -> list[str]:
        found = []
        key = StepKey(event.step, event.item)
        is_begun = bool(self.numbers.get((key, Phase.COMPENSATION)))
        if self.is_past_pivot:
            found.append(f"S6 the compensation of {key} starts after the pivot succeeded")
        if not self.is_backward:
            found.append(f"S3 the compensation of {key} starts before the run turned round")
        if not self._has_happened(key):
            found.append(f"S3 the compensation of {key} starts, but its action never happened")
        found += [
            f"S3 the compensation of {key} starts while the action of {one} is in flight"
            for one in self.runs_of(event.step)
            if one != key and (one, Phase.ACTION) in self.in_flight
        ]
        for other in (key, *(run for name in self.followers[event.step] for run in self.runs_of(name))):
            if {(other, Phase.ACTION), (other, Phase.PROBE)} & self.in_flight.keys():
                found.append(f"S3 the compensation of {key} starts while the action of {other} is in flight")
            if other == key:
                continue
            if (other, Phase.COMPENSATION) in self.in_flight:
                found.append(f"S3 the compensation of {key} starts while that of {other} is in flight")
            elif not self._is_out_of_the_way(other) and not (other in self.hanging and is_begun):
                found.append(f"S3 the compensation of {key} starts before that of {other}, which came after it")
        return found

    def _attempt_ends(self, event: m.AttemptEnded) -> list[str]:
        half = (StepKey(event.step, event.item), event.phase)
        if self.in_flight.get(half) != event.number:
            return [f"S4 {name_of(half)} attempt {event.number} ended, but was not in flight"]
        del self.in_flight[half]
        self.note_loss(half, event)
        if event.outcome is OutcomeKind.UNKNOWN:
            self.unsettled.add(half)
        elif event.settles:
            self.unsettled.discard(half)
        if event.outcome is OutcomeKind.SUCCEEDED:
            self.succeeded.add(half)
            self.is_past_pivot |= event.phase is Phase.ACTION and self._passes_pivot(event)
            self.closed.add((half, self.editions.get(half, 1)))
        elif event.outcome is OutcomeKind.REJECTED and event.settles:
            self.closed.add((half, self.editions.get(half, 1)))
        return []

    def _passes_pivot(self, event: m.AttemptEnded) -> bool:
        """Whether there is no way back: the pivot, or a sub-saga that passed its own and would have to be undone."""
        step = self.definition.by_name[event.step]
        return step.is_pivot or (event.passes_pivot and step.is_sub_saga)

    def _half_fails(self, event: m.StepFailed | m.CompensationFailed, phase: Phase) -> list[str]:
        half = (StepKey(event.step, event.item), phase)
        found = self._not_in_flight(half)
        if phase is Phase.ACTION and half in self.unsettled:
            found.append(f"S4 {name_of(half)} failed, but an attempt under its key ended unknown and was never settled")
        if event.outcome is not OutcomeKind.UNKNOWN and half not in self.unsettled:
            self.closed.add((half, self.editions.get(half, 1)))
        self.failed.add(half)
        return found

    def _falls_in_doubt(self, event: m.StepInDoubt) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.ACTION)
        found = self._not_in_flight(half)
        if half not in self.unsettled:
            found.append(f"S4 {name_of(half)} is in doubt, though no attempt under its key is unsettled")
        self.in_doubt.add(half[0])
        return found

    def _edition_starts(self, event: m.EditionStarted) -> list[str]:
        half = (StepKey(event.step, event.item), event.phase)
        before = self.editions.get(half, 1)
        self.editions[half] = event.edition
        if event.edition == before:
            return []
        if half in self.unsettled:
            return [f"S4 {name_of(half)} got a new key while the outcome under the old one is unknown"]
        return (
            [] if event.edition == before + 1 else [f"S4 {name_of(half)} went from edition {before} to {event.edition}"]
        )

    def _turns_round(self, event: m.TurnedRound) -> list[str]:
        found = []
        if self.is_past_pivot:
            found.append("S6 the run turned round after the pivot succeeded")
        if not self.is_turning:
            found.append("S3 the run turned round, but nobody had requested it")
        if self.waiting:
            found.append(f"S3 the run turned round while steps wait: {sorted(map(name_of, self.waiting))}")
        if self.in_flight:
            found.append(f"S3 the run turned round with attempts in flight: {sorted(map(name_of, self.in_flight))}")
        asks = self.definition.asks_when_in_doubt
        found += [
            f"S3 the run turned round before a person settled {key}"
            for key in sorted(self.in_doubt)
            if asks or self.definition.by_name[key.step].is_pivot
        ]
        happened = {key for key in self.all_runs() if self._has_happened(key)}
        undoable = {key for key in happened if self.definition.by_name[key.step].compensation is not None}
        if set(event.undo) != undoable or len(event.undo) != len(undoable):
            found.append(f"S2 the turn lists {sorted(event.undo)} to undo, but what happened is {sorted(undoable)}")
        if set(event.not_needed) != happened - undoable:
            found.append(f"S2 the turn lists {sorted(event.not_needed)} as staying behind, not {happened - undoable}")
        self.is_turning, self.is_backward = False, True
        return found

    def _is_satisfied(self, name: str) -> bool:
        """Whether a step succeeded; one that was skipped passes on what it waited for."""
        if StepKey(name) in self.skipped:
            return all(map(self._is_satisfied, self.definition.by_name[name].after))
        return (StepKey(name), Phase.ACTION) in self.succeeded

    def _is_out_of_the_way(self, key: StepKey) -> bool:
        """Whether nothing is left to undo of `key`, or the saga goes on without it."""
        if not self._has_happened(key) or self.definition.by_name[key.step].compensation is None:
            return True
        half = (key, Phase.COMPENSATION)
        is_passed_over = half in self.failed and not self.definition.stops_on_compensation_failure
        return self._is_undone(key) or key in self.given_up or is_passed_over


@cache
def _followers_of(arrows: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, frozenset[str]]:
    """Return for each step all that depend on it, directly or not."""
    after = dict(arrows)
    found: dict[str, set[str]] = {name: set() for name in after}
    for name, directly in after.items():
        todo = list(directly)
        while todo:
            before = todo.pop()
            if name not in found[before]:
                found[before].add(name)
                todo.extend(after[before])
    return {name: frozenset(names) for name, names in found.items()}


def _followers(definition: Definition) -> dict[str, frozenset[str]]:
    return _followers_of(tuple((step.name, step.after) for step in definition.steps))
