"""What the invariants say of late reports: settled while nothing is undone, else kept, and shown when it hangs.

A part of `Watch`.
"""

from __future__ import annotations

from sagas.core import messages as m
from sagas.core.state import RunState
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey
from tests.ends import Ends, HalfKey, name_of


class Late(Ends):
    """Late reports; `Watch` keeps the facts."""

    hears_late = True  # false: no late report will come, so that what they may be about need not be remembered
    unknown: dict[tuple[HalfKey, int], int]
    doubtful: dict[HalfKey, frozenset[int]]
    told: dict[StepKey, OutcomeKind]
    hanging: set[StepKey]
    asking: set[StepKey]
    last_unknown: set[HalfKey]

    def see_late(self, event: m.Event) -> list[str]:
        """Return what is wrong with what was made of a late report."""
        match event:
            case m.AttemptEnded():
                self._note(event)
            case m.LateReportReceived():
                return self._is_received(event)
            case m.StepFailed() | m.StepInDoubt():
                return self._ends_without(event)
            case m.AttemptStarted(phase=Phase.ACTION) if StepKey(event.step, event.item) in self.told:
                return [f"R16 {event.step} is tried again, though a late report has settled it"]
            case m.EditionStarted():
                half = (StepKey(event.step, event.item), event.phase)
                if event.edition != self.editions.get(half, 1):
                    self.doubtful.pop(half, None)
                if event.phase is Phase.COMPENSATION:
                    self.asking.discard(half[0])
            case m.CompensationSettled() | m.CompensationGivenUp():
                self.asking.discard(StepKey(event.step, event.item))
        return []

    def unlike_late(self, state: RunState) -> list[str]:
        """Return where the state says something else of what hangs than the journal does."""
        asked = {one.key for one in state.attention if one.code == "hanging"}
        due = set() if self.ended else self.asking
        return [] if due == asked else [f"R16 {sorted(due)} hang, and of {sorted(asked)} a person is asked"]

    def _note(self, event: m.AttemptEnded) -> None:
        """Remember what ended unknown, and under which key."""
        key = StepKey(event.step, event.item)
        half = (key, event.phase)
        if event.phase is Phase.PROBE:
            if event.settles:
                self.doubtful.pop((key, Phase.ACTION), None)
            return
        if event.settles:
            self.doubtful.pop(half, None)
        if event.outcome is OutcomeKind.UNKNOWN and self.hears_late:
            self.unknown[half, event.number] = self.editions.get(half, 1)
            self.doubtful[half] = self.doubtful.get(half, frozenset()) | {event.number}
        elif event.outcome is OutcomeKind.SUCCEEDED and event.phase is Phase.ACTION:
            self.told.pop(key, None)

    def _is_received(self, event: m.LateReportReceived) -> list[str]:
        key = StepKey(event.step, event.item)
        half = (key, event.phase)
        found = []
        edition = self.unknown.pop((half, event.number), 0)
        if edition != event.edition:
            found.append(f"S4 a late report of {name_of(half)} attempt {event.number}, whose outcome was known")
        if event.settles != self._should_settle(event):
            found.append(
                f"R16 a late report of {event.outcome} {'settled' if event.settles else 'did not settle'} {key}"
            )
        if event.is_hanging != (self._hangs(event) and not event.settles):
            found.append(
                f"R16 {key} {'hangs' if event.is_hanging else 'does not hang'}, by what was made of a late report"
            )
        if event.needs_undo != (event.is_hanging and self._can_be_undone(event)):
            found.append(f"R16 {key} hangs, and its undo is {'' if event.needs_undo else 'not '}asked for")
        if event.settles:
            self._settle(key, event)
        elif event.needs_undo:
            self.hanging.add(key)
            self.asking.add(key)
            self.settled.discard(key)
            self.succeeded.discard((key, Phase.COMPENSATION))
            self.failed.add((key, Phase.COMPENSATION))
        return found

    def _should_settle(self, event: m.LateReportReceived) -> bool:
        key = StepKey(event.step, event.item)
        half = (key, Phase.ACTION)
        if self.ended or event.phase is not Phase.ACTION or event.edition != self.editions.get(half, 1):
            return False
        if self._is_undo_begun(key):
            return False
        if half in self.unsettled:
            is_sole = self.doubtful.get(half) == {event.number}
            return event.outcome is not OutcomeKind.FAILED or is_sole
        return event.outcome is OutcomeKind.SUCCEEDED and half in self.failed and not self.is_backward

    def _is_undo_begun(self, key: StepKey) -> bool:
        half = (key, Phase.COMPENSATION)
        return bool(self.numbers.get(half)) or half in self.failed or key in self.settled or key in self.given_up

    def _hangs(self, event: m.LateReportReceived) -> bool:
        key = StepKey(event.step, event.item)
        half = (key, Phase.ACTION)
        if event.phase is not Phase.ACTION or event.outcome is not OutcomeKind.SUCCEEDED:
            return False
        is_other_key = event.edition != self.editions.get(half, 1)
        return self._is_undone(key) or half in self.failed or key in self.skipped or is_other_key

    def _can_be_undone(self, event: m.LateReportReceived) -> bool:
        key = StepKey(event.step, event.item)
        if self.ended or not self.is_backward or self.definition.by_name[key.step].compensation is None:
            return False
        is_same_key = event.edition == self.editions.get((key, Phase.ACTION), 1)
        return is_same_key and (self._is_undone(key) or not self._is_undo_begun(key))

    def _settle(self, key: StepKey, event: m.LateReportReceived) -> None:
        half = (key, Phase.ACTION)
        self.unsettled.discard(half)
        self.doubtful.pop(half, None)
        self.last_unknown.discard(half)
        if event.outcome is not OutcomeKind.FAILED or key in self.in_doubt:
            self.told[key] = event.outcome

    def _ends_without(self, event: m.StepFailed | m.StepInDoubt) -> list[str]:
        key = StepKey(event.step, event.item)
        if self.told.pop(key, None) is OutcomeKind.SUCCEEDED:
            return [f"R16 {key} failed or is in doubt, though a late report says that it happened"]
        return []
