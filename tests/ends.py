"""What the invariants say of a person's decisions about a run, and of its end. Half of `tests.invariants.Watch`."""

from __future__ import annotations

from sagas.core import messages as m
from sagas.core.definition import Definition
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey, Verb
from tests.lists import HalfKey, Lists


class Ends(Lists):
    """Decisions and ends; `Watch` keeps the facts."""

    definition: Definition
    ended: str
    is_turning: bool
    is_backward: bool
    is_past_pivot: bool
    is_paused: bool
    in_flight: dict[HalfKey, int]
    numbers: dict[HalfKey, int]
    editions: dict[HalfKey, int]
    unsettled: set[HalfKey]
    closed: set[tuple[HalfKey, int]]
    succeeded: set[HalfKey]
    failed: set[HalfKey]
    in_doubt: set[StepKey]
    skipped: set[StepKey]
    settled: set[StepKey]
    given_up: set[StepKey]
    hanging: set[StepKey]
    told: dict[StepKey, OutcomeKind]
    waiting: dict[HalfKey, str]

    def see_decision(self, event: m.Event) -> list[str]:
        """Return what is wrong with what a person decided."""
        match event:
            case m.StepSettled():
                return self._is_settled(event)
            case m.StepSkipped():
                return self._is_skipped(event)
            case m.CompensationSettled():
                return self._undo_ends_by_hand(event, self.settled)
            case m.CompensationGivenUp():
                return self._undo_ends_by_hand(event, self.given_up)
            case m.RunPaused() | m.RunResumed():
                self.is_paused = not self.is_paused
                if self.is_paused is not isinstance(event, m.RunPaused):
                    return [f"S1 {type(event).__name__} twice in a row"]
        return []

    def goes_on_after_the_end(self, event: m.Event) -> bool:
        """Whether an entry may follow the end: what came too late, or what undoes a completed run."""
        if isinstance(event, m.OrderRefused | m.LateReportReceived):
            return True
        is_for_undo = isinstance(event, m.OrderTaken) and event.verb is Verb.UNDO
        is_undoable = self.ended == "completed" and not self.is_past_pivot
        return is_undoable and (is_for_undo or isinstance(event, m.RunReopened))

    def see_end(self, event: m.Event) -> list[str]:
        """Return what is wrong with how the run ends."""
        found: list[str] = []
        match event:
            case m.RunCompleted():
                found += self._completes()
            case m.RunCompensated():
                found += self._is_compensated()
                if self.given_up:
                    found.append(f"S2 compensated, but {sorted(self.given_up)} stay behind")
            case m.RunPartiallyCompensated():
                found += self._is_compensated("partially_compensated")
                if set(event.stays) != self.given_up or not self.given_up:
                    found.append(f"S2 what stays behind is {sorted(self.given_up)}, not {sorted(event.stays)}")
            case m.RunReopened():
                self.ended, self.is_paused = "", False  # the end ended the pause
            case m.RunTerminated():
                found += self._is_terminated(event)
        return found

    def _is_settled(self, event: m.StepSettled) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.ACTION)
        found = self._not_in_flight(half)
        said = self.told.pop(half[0], None)  # by a late report
        if said not in {None, event.outcome} and half not in self.unsettled:  # else a newer attempt left it open again
            found.append(f"R16 {name_of(half)} was settled as {event.outcome}, and reported as {said}")
        is_open = said is not None or half in self.unsettled or half in self.failed
        if half in self.succeeded or not is_open:
            found.append(f"S4 {name_of(half)} was settled, but its outcome was known")
        if self.numbers.get((half[0], Phase.COMPENSATION)):
            found.append(f"S3 {name_of(half)} was settled after its compensation had started")
        self.unsettled.discard(half)
        self.in_doubt.discard(half[0])
        self.failed.discard(half)
        if event.outcome is OutcomeKind.SUCCEEDED:
            self.succeeded.add(half)
            self.closed.add((half, self.editions.get(half, 1)))
            self.is_past_pivot |= event.step == self.definition.pivot
        return found

    def _is_skipped(self, event: m.StepSkipped) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.ACTION)
        found = self._not_in_flight(half)
        if half in self.succeeded or half in self.unsettled:
            found.append(f"S3 {name_of(half)} was skipped, but it happened or may have")
        if event.cause:  # a wait that the time, the turn or the end of the run cuts off
            found += self.wait_is_cut_off(event)
        elif self.is_turning or self.is_backward or event.step == self.definition.pivot:
            found.append(f"S3 {name_of(half)} cannot be skipped now")
        self.failed.discard(half)
        self.skipped.add(half[0])
        return found

    def wait_is_cut_off(self, event: m.StepSkipped) -> list[str]:
        """Return what is wrong with a wait that the time, the turn or the end of the run cuts off."""
        raise NotImplementedError

    def _undo_ends_by_hand(self, event: m.CompensationSettled | m.CompensationGivenUp, keys: set[StepKey]) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.COMPENSATION)
        found = self._not_in_flight(half)
        if half not in self.failed:
            found.append(f"S2 {name_of(half)} was ended by hand, but it has not failed")
        self.failed.discard(half)
        keys.add(half[0])
        return found

    def _completes(self) -> list[str]:
        self.ended = "completed"
        return self._nothing_in_flight() + [
            f"S2 completed, but {step.name} neither succeeded nor was skipped"
            for step in self.definition.steps
            if (StepKey(step.name), Phase.ACTION) not in self.succeeded and StepKey(step.name) not in self.skipped
        ]

    def _is_compensated(self, end: str = "compensated") -> list[str]:
        self.ended = end
        found = [] if self.is_backward else [f"S2 {end} without having turned round"]
        return (
            found
            + self._nothing_in_flight()
            + [
                f"S2 {end}, but {key} may have happened and is not undone"
                for key in self.all_runs()
                if self.definition.by_name[key.step].compensation is not None
                and self._has_happened(key)
                and not self._is_undone(key)
                and key not in self.given_up
            ]
        )

    def _is_terminated(self, event: m.RunTerminated) -> list[str]:
        self.ended = "terminated"
        stays = {key for key in self.all_runs() if self._has_happened(key) and not self._is_undone(key)}
        wrong = set(event.stays) != stays
        return self._nothing_in_flight() + (
            [f"S2 what stays behind is {sorted(stays)}, not {sorted(event.stays)}"] if wrong else []
        )

    def _nothing_in_flight(self) -> list[str]:
        return [f"S1 {self.ended} with {name_of(half)} in flight" for half in sorted({*self.in_flight, *self.waiting})]

    def _not_in_flight(self, half: HalfKey) -> list[str]:
        is_asked = half[1] is Phase.ACTION and (half[0], Phase.PROBE) in self.in_flight
        return [f"S4 {name_of(half)} ended with an attempt in flight"] if half in self.in_flight or is_asked else []

    def _is_undone(self, key: StepKey) -> bool:
        return (key, Phase.COMPENSATION) in self.succeeded or key in self.settled

    def _has_happened(self, key: StepKey) -> bool:
        return (key, Phase.ACTION) in self.succeeded or key in self.in_doubt or key in self.hanging


def name_of(half: HalfKey) -> str:
    """Return what a half is called in a sentence."""
    return f"the {half[1]} of {half[0]}"
