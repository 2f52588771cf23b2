"""What the invariants say of waits and signals. A part of `tests.invariants.Watch`."""

from __future__ import annotations

from sagas.core import messages as m
from sagas.core.arrivals import DECLINED
from sagas.core.definition import Approval, Timer
from sagas.core.outcome import TIMED_OUT
from sagas.core.vocabulary import Phase, StepKey
from tests.ends import Ends, name_of


class Waits(Ends):
    """Waits and the signals that end them; `Watch` keeps the facts."""

    kept: tuple[str, ...]  # names of signals that no step has taken yet

    def see_wait(self, event: m.Event) -> list[str]:
        """Return what is wrong with how a step waits."""
        match event:
            case m.SignalReceived():
                self.kept += (event.name,)
            case m.WaitStarted():
                return self._wait_starts(event)
            case m.WaitEnded():
                return self._wait_ends(event)
        return []

    def _wait_starts(self, event: m.WaitStarted) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.ACTION)
        found = self.action_starts(event)
        if self.is_paused:
            found.append(f"S3 {name_of(half)} begins to wait while the run is paused")
        if half in self.waiting or half in self.succeeded:
            found.append(f"S4 {name_of(half)} begins to wait again")
        self.waiting[half] = (event.about or {}).get("signal", "")
        self.failed.discard(half)
        return found

    def _wait_ends(self, event: m.WaitEnded) -> list[str]:
        half = (StepKey(event.step, event.item), Phase.ACTION)
        if half not in self.waiting:
            return [f"S4 the wait of {half[0]} ended, but it did not wait"]
        signal = self.waiting.pop(half)
        if event.by and not signal and not isinstance(self.definition.by_name[event.step].wait, Approval):
            return [f"S4 somebody ended the wait of {half[0]}, which asks nobody"]
        self.succeeded.add(half)
        self.is_past_pivot |= event.step == self.definition.pivot
        if not signal:
            return []
        if signal not in self.kept:
            return [f"S4 {half[0]} took a signal that nobody sent, or that another step has taken"]
        place = self.kept.index(signal)
        self.kept = self.kept[:place] + self.kept[place + 1 :]
        return []

    def wait_fails(self, event: m.StepFailed) -> list[str]:
        """Return what is wrong with a wait that ends as a failure."""
        half = (StepKey(event.step, event.item), Phase.ACTION)
        is_wrong = half in self.waiting and event.code not in {TIMED_OUT, DECLINED}
        self.waiting.pop(half, None)
        return [f"S3 the wait of {half[0]} failed, but neither the time nor a person said so"] if is_wrong else []

    def wait_is_cut_off(self, event: m.StepSkipped) -> list[str]:
        """Return what is wrong with a wait that the time, the turn or the end of the run cuts off."""
        half = (StepKey(event.step, event.item), Phase.ACTION)
        wait = self.definition.by_name[event.step].wait
        found = []
        if self.waiting.pop(half, None) is None:
            found.append(f"S3 {name_of(half)} was cut off as a wait, but it did not wait")
        if event.cause == "turn" and not self.is_turning:
            found.append(f"S3 {name_of(half)} was left out for a turn that nobody requested")
        if event.cause == TIMED_OUT and (wait is None or isinstance(wait, Timer) or not wait.goes_on):
            found.append(f"S3 the run goes on without {half[0]}, which it must not")
        return found

    def action_starts(self, event: m.AttemptStarted | m.WaitStarted) -> list[str]:
        """Return what is wrong with a step's beginning now."""
        raise NotImplementedError
