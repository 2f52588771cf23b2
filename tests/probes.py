"""What the invariants say of probes: asked before a retry and before doubt, three times at most. A part of `Watch`."""

from __future__ import annotations

from sagas.core import messages as m
from sagas.core.outcome import TERMINATED, WORKER_LOST
from sagas.core.state import StepState
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey
from tests.ends import Ends, HalfKey, name_of

TRIES_MAX = 3  # rule 18
LOSSES_MAX = 5  # rule 19


class Probes(Ends):
    """Probes; `Watch` keeps the facts."""

    asked: dict[StepKey, int]
    losses: dict[HalfKey, int]
    last_unknown: set[HalfKey]

    def probe_starts(self, event: m.AttemptStarted) -> list[str]:
        """Return what is wrong with asking now."""
        key = StepKey(event.step, event.item)
        found = []
        if (key, Phase.ACTION) not in self.unsettled:
            found.append(f"R18 the probe of {key} is asked, though the outcome of the action is known")
        if (key, Phase.ACTION) in self.in_flight:
            found.append(f"R18 the probe of {key} is asked while the action is in flight")
        if self.is_backward or self.numbers.get((key, Phase.COMPENSATION)):
            found.append(f"R18 the probe of {key} is asked after the run turned round")
        if self.is_spent(key):
            found.append(f"R18 the probe of {key} is asked once more than it may be")
        return found

    def probe_ends(self, event: m.AttemptEnded) -> list[str]:
        """Return what is wrong with the answer, and remember what it says of the action."""
        key = StepKey(event.step, event.item)
        half, action = (key, Phase.PROBE), (key, Phase.ACTION)
        if self.in_flight.get(half) != event.number:
            return [f"S4 {name_of(half)} attempt {event.number} ended, but was not in flight"]
        del self.in_flight[half]
        self.note_loss(half, event)
        self.asked[key] = self.asked.get(key, 0) + event.is_counted
        if event.settles:
            self.unsettled.discard(action)
        if event.settles and event.outcome is not OutcomeKind.FAILED:
            self.closed.add((action, self.editions.get(action, 1)))
        if event.outcome is OutcomeKind.SUCCEEDED:
            self.succeeded.add(action)
            self.is_past_pivot |= event.step == self.definition.pivot
        return []

    def action_is_due(self, event: m.AttemptStarted) -> list[str]:
        """Return what is wrong with trying the action now, as far as its probe is concerned."""
        key = StepKey(event.step, event.item)
        found = self.has_yet_to_ask(key, "tried again")
        if (key, Phase.PROBE) in self.in_flight:
            found.append(f"R18 the action of {key} is tried again while its probe is asked")
        self.asked.pop(key, None)
        return found

    def doubt_is_due(self, event: m.StepInDoubt) -> list[str]:
        """Return what is wrong with giving up now, as far as the probe is concerned."""
        return [] if event.code == TERMINATED else self.has_yet_to_ask(StepKey(event.step, event.item), "in doubt")

    def has_yet_to_ask(self, key: StepKey, what: str) -> list[str]:
        """Return a sentence when the last attempt ended unknown and the probe may still be asked."""
        was_last_unknown = (key, Phase.ACTION) in self.last_unknown
        if was_last_unknown and self.definition.by_name[key.step].probe is not None and not self.is_spent(key):
            return [f"R18 {key} is {what} before its probe was asked {TRIES_MAX} times"]
        return []

    def is_spent(self, key: StepKey) -> bool:
        """Whether the probe may not be asked any more about the last unknown outcome."""
        losses = self.losses.get((key, Phase.ACTION), 0) + self.losses.get((key, Phase.PROBE), 0)
        return self.asked.get(key, 0) >= TRIES_MAX or losses >= LOSSES_MAX

    def note_loss(self, half: HalfKey, event: m.AttemptEnded) -> None:
        """Count the attempts in a row that ended with their worker, and note what ended unknown last."""
        self.losses[half] = self.losses.get(half, 0) + 1 if event.code == WORKER_LOST else 0
        if half[1] is Phase.ACTION:
            self.last_unknown.discard(half)
            if event.outcome is OutcomeKind.UNKNOWN:
                self.last_unknown.add(half)
        elif half[1] is Phase.PROBE and event.settles:
            self.last_unknown.discard((half[0], Phase.ACTION))

    def edition_of_probe(self, event: m.EditionStarted) -> list[str]:
        """A person's retry: the probe has all its tries again."""
        if event.phase is Phase.ACTION:
            key = StepKey(event.step, event.item)
            self.asked.pop(key, None)
            for phase in (Phase.ACTION, Phase.PROBE):
                self.losses.pop((key, phase), None)
        return []

    def probe_unlike(self, key: StepKey, told: StepState) -> list[str]:
        """Return where the state says something else of a probe than the journal does."""
        half = (key, Phase.PROBE)
        found = []
        if told.probe.number != self.numbers.get(half, 0):
            found.append(f"S4 the state and the journal count {name_of(half)} differently")
        if told.probe.is_awaiting != (half in self.in_flight):
            found.append(f"S4 the state and the journal disagree on whether {name_of(half)} is in flight")
        if told.action.is_unsettled != ((key, Phase.ACTION) in self.unsettled):
            found.append(f"S4 the state and the journal disagree on whether the action of {key} is settled")
        return found
