"""A script at work: what each attempt comes to, and what truly became of those that nobody knows of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from sagas.core import simulated_probe
from sagas.core.outcome import TIMED_OUT, WORKER_LOST, Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.script import PLAIN, Answer, Ending, Part
from sagas.core.simulation import Note
from sagas.core.vocabulary import NO_ITEM, Json, Phase, StepKey

if TYPE_CHECKING:
    from sagas.core.state import HalfState

_ROLLED_BACK = "An atomic action that does not answer is rolled back: it certainly did not happen."


class Reading(Protocol):
    """Who reads the script: knows which outputs are made up, and keeps remarks."""

    made_up: set[str]

    def note(self, note: Note) -> None:
        """Keep a remark."""


class Scripted:
    """The parts of a script, and what they have told so far."""

    def __init__(self, parts: Mapping[tuple[str, Phase], Part], by: Reading) -> None:
        """Begin with what `by` was given."""
        self.parts = parts
        self.has_happened: dict[tuple[str, Phase], bool | None] = {}  # what truly became of unknown outcomes
        self._by = by

    def part(self, key: StepKey, phase: Phase) -> Part:
        """Return the script of one half: of an item by itself, else of its list."""
        return self.parts.get((str(key), phase)) or self.parts.get((key.step, phase), PLAIN)

    def answer(self, key: StepKey, phase: Phase, number: int) -> Answer:
        """Return how the attempt `number` ends; a probe that is not scripted tells the truth."""
        part = self.part(key, phase)
        if phase is not Phase.PROBE:
            return part.answer(number)
        return simulated_probe.answer_of(part, number, happened=self.has_happened.get((str(key), Phase.ACTION)))

    def outcome(self, key: StepKey, phase: Phase, half: HalfState) -> Outcome:
        """Return what the attempt in flight comes to."""
        answer = self.answer(key, phase, half.number)
        if phase is Phase.PROBE:
            return self._said(key, answer)
        match answer.ending:
            case Ending.SUCCEEDED:
                return Succeeded(answer.output if phase is Phase.COMPENSATION else self._output(key, answer))
            case Ending.REJECTED:
                return Rejected(Error("rejected", "Rejected by the script."))
            case Ending.FAILED:
                return Failed(Error("failed", "Failed by the script, without effect."))
        code = WORKER_LOST if answer.ending is Ending.WORKER_LOST else TIMED_OUT
        is_counted = answer.ending is Ending.UNKNOWN
        if half.is_atomic:
            self._by.note(Note("atomic", _ROLLED_BACK, key.step, phase))
            return Failed(Error(code, _ROLLED_BACK), is_counted=is_counted)
        known = self.has_happened.get((str(key), phase), False)
        truly = True if known or answer.has_happened else known if answer.has_happened is False else None
        self.has_happened[str(key), phase] = truly
        what = "The worker was lost" if answer.ending is Ending.WORKER_LOST else "No answer came in time"
        return Unknown(Error(code, f"{what}; nobody knows whether it happened."), is_counted=is_counted)

    def _said(self, key: StepKey, answer: Answer) -> Outcome:
        """A probe answers: from here on that is the truth."""
        truth = simulated_probe.truth_in(answer)
        if truth is not None:
            self.has_happened[str(key), Phase.ACTION] = truth
        if answer.ending is Ending.SUCCEEDED:
            return Succeeded(self._output(key, answer))
        return simulated_probe.outcome_of(answer)

    def _output(self, key: StepKey, answer: Answer) -> Json:
        if not answer.has_output:
            self._by.made_up.add(key.step)
            return {}
        if key.item == NO_ITEM:  # other items of a list may lack theirs
            self._by.made_up.discard(key.step)
        return answer.output
