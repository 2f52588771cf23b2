"""What a simulation came to: the end, every entry, what was undone, what stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.backward import DONE_UNDOING
from sagas.core.codec import encode
from sagas.core.hidden_fields import changed_entry
from sagas.core.limits import PAYLOAD_BYTES_MAX
from sagas.core.missing import Missing, missing
from sagas.core.redaction import INPUT, OUTPUT
from sagas.core.script import COMPENSATION_MARK
from sagas.core.sealed import MASK
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, Json, OutcomeKind, Phase, RunStatus, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.definition import Definition, Step
    from sagas.core.state import RunState


class SimulatedStatus(StrEnum):
    """How a simulation ends: as a run ends or rests, or because there is no end to it."""

    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PARTIALLY_COMPENSATED = "partially_compensated"
    TERMINATED = "terminated"
    NEEDS_ATTENTION = "needs_attention"
    PAUSED = "paused"
    WAITING = "waiting"  # for a signal or an answer that by the script never comes, with no time-out
    STILL_RETRYING = "still_retrying"  # for ever, by its policy: no script would end it
    CUT_SHORT = "cut_short"  # a limit of the simulation, not of the saga


class Why(StrEnum):
    """Why something stays behind."""

    NO_COMPENSATION = "no_compensation"  # `compensation: none`
    COMPENSATION_FAILED = "compensation_failed"
    GIVEN_UP = "given_up"
    NOT_UNDONE_YET = "not_undone_yet"  # its compensation waits, or is being tried
    PAST_PIVOT = "past_pivot"
    TERMINATED = "terminated"
    UNDECIDED = "undecided"  # the run may still go either way


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a step did (or may have done) that is not undone at the end."""

    step: str
    why: Why
    is_certain: bool = True  # false: nobody knows whether it is there

    def as_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {"step": self.step, "why": self.why.value, "is_certain": self.is_certain}


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of the result should know: a stable code and a sentence."""

    code: str
    message: str
    step: str = ""
    phase: Phase | None = None


@dataclass(frozen=True)
class Simulation:
    """One run on paper. Times are seconds from its start."""

    definition: Definition
    status: SimulatedStatus
    state: RunState
    journal: tuple[tuple[m.Event, datetime], ...]
    notes: tuple[Note, ...]
    took_s: float  # until the end, or until it rests
    waited_s: float  # of these, with nothing in flight
    has_happened: Mapping[tuple[str, Phase], bool | None]
    cut_short: str = ""  # which limit ended it: entries, expressions or time

    @property
    def reason(self) -> Json:
        """Why the run turned round or stopped: `{cause, step?, outcome?, code?, message?}`; None when it did not."""
        return self.state.reason

    @property
    def output(self) -> Json:
        """What the run gives back."""
        return self.state.output

    @property
    def attention(self) -> list[str]:
        """Halves that wait for a person: `ship`, `pay.compensation`."""
        return [_half_name(str(one.key), one.phase) for one in self.state.attention if one.step]

    @property
    def undone(self) -> list[str]:
        """Steps whose compensation succeeded or was settled, in that order; of a list each item (`pack[3]`).

        Of a choreography the reactions that another one undid, each time (`pack[1]` is the second).
        """
        return [
            str(StepKey(event.step, event.item))
            for event, _ in self.journal
            if isinstance(event, m.CompensationSettled | m.ReactionUndone)
            or (
                isinstance(event, m.AttemptEnded)
                and event.phase is Phase.COMPENSATION
                and event.outcome is OutcomeKind.SUCCEEDED
            )
        ]

    @property
    def undone_by(self) -> list[str]:
        """Of a choreography: beside each of `undone`, the reaction that undid it."""
        return [event.by for event, _ in self.journal if isinstance(event, m.ReactionUndone)]

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Of a choreography that rests: which events are missing, and from whom."""
        chart = self.definition.choreography
        return () if chart is None else missing(chart, self.state)

    @property
    def leftovers(self) -> list[Leftover]:
        """What stays behind, in the order of the steps; nothing when the run completed, as it was meant to."""
        if self.state.status is RunStatus.COMPLETED:
            return []
        found = (self._leftover(key) for step in self.definition.steps if step.writes for key in self._runs_of(step))
        return [one for one in found if one is not None]

    def _runs_of(self, step: Step) -> list[StepKey]:
        """Return the runs of one step: of a list its items, of a reaction each time that it began."""
        if self.state.watch is not None:
            return sorted({StepKey(step.name), *(key for key in self.state.steps if key.step == step.name)})
        known = self.state.lists.get(step.name)
        if known is None:
            return [StepKey(step.name)]
        return [StepKey(step.name, number) for number in range(known.total)]

    def _leftover(self, key: StepKey) -> Leftover | None:
        state = self.state.step(key)
        if state.reacting is not None and state.reacting.undoes:
            return None  # what undoes is not undone
        is_open_question = state.status is StepStatus.IN_DOUBT or (
            state.status is not StepStatus.SUCCEEDED and state.action.is_unsettled
        )
        if state.compensation_status in DONE_UNDOING or not (state.status is StepStatus.SUCCEEDED or is_open_question):
            return None
        happened = self.has_happened.get((str(key), Phase.ACTION)) if is_open_question else True
        is_undone = self._undone_in_doubt.get(key.step, False)
        if state.compensation.is_unsettled:
            is_undone = self.has_happened.get((str(key), Phase.COMPENSATION), False)
        if happened is False or is_undone is True:
            return None
        return Leftover(str(key), self._why(state.compensation_status), happened is True and is_undone is False)

    @cached_property
    def _undone_in_doubt(self) -> dict[str, bool | None]:
        """Of a choreography: reactions of whose undoing nobody knows the outcome, and what truly became of that."""
        return {
            step.reacting.undoes: self.has_happened.get((str(key), Phase.ACTION), False)
            for key, step in self.state.steps.items()
            if step.reacting is not None and step.reacting.undoes and step.action.is_unsettled
        }

    def _why(self, status: CompensationStatus) -> Why:
        match status:
            case CompensationStatus.NOT_NEEDED:
                return Why.NO_COMPENSATION
            case CompensationStatus.FAILED:
                return Why.COMPENSATION_FAILED
            case CompensationStatus.GIVEN_UP:
                return Why.GIVEN_UP
            case CompensationStatus.NONE if self.state.is_past_pivot:
                return Why.PAST_PIVOT
            case CompensationStatus.NONE if self.state.status is not RunStatus.TERMINATED:
                return Why.UNDECIDED
        return Why.TERMINATED if self.state.status is RunStatus.TERMINATED else Why.NOT_UNDONE_YET

    @property
    def trace(self) -> list[dict[str, Json]]:
        """The journal: `{sequence, at_s, kind, …}` with the members of journal format 1, payloads up to 256 KiB in all.

        What no longer fits is named in `left_out` instead. The input of the run is not repeated.
        """
        return list(self._lines())

    def _lines(self) -> Iterator[dict[str, Json]]:
        left = PAYLOAD_BYTES_MAX
        for sequence, (event, at) in enumerate(self.journal, start=1):
            kind, data = encode(event)
            data = changed_entry(self.definition.redaction, event, data, lambda _: MASK)
            line = {"sequence": sequence, "at_s": self._seconds(at), "kind": kind, **data}
            if isinstance(event, m.RunStarted):
                line = {key: line[key] for key in line if key not in {"run", "version", "input", "by"}}
            if isinstance(event, m.RetryScheduled):
                line["next_at_s"] = self._seconds(event.at)
                del line["at"]
            if isinstance(event, m.WaitStarted) and event.until is not None:
                line["until_s"] = self._seconds(event.until)
                del line["until"]
            if "deadline_at" in line and isinstance(event, m.RunStarted) and event.deadline_at is not None:
                line["deadline_s"] = self._seconds(event.deadline_at)
                del line["deadline_at"]
            for name in ("input", "output", "payload", "items", "event"):
                if line.get(name) is None:
                    continue
                left -= len(json.dumps(line[name]))
                if left < 0:
                    del line[name]
                    line["left_out"] = [*line.get("left_out", []), name]
            yield line

    def _seconds(self, at: datetime) -> float:
        return round((at - self.journal[0][1]).total_seconds(), 6)

    @property
    def steps(self) -> list[dict[str, Json]]:
        """Each step with both statuses and the number of attempts of both halves; of a list, those of all items."""
        return [self._step(step) for step in self.definition.steps]

    def _step(self, step: Step) -> dict[str, Json]:
        state = self.state.step(StepKey(step.name, NO_ITEM))
        known = self.state.lists.get(step.name)
        runs = [self.state.step(key) for key in self._runs_of(step)]
        return {
            "step": step.name,
            "title": step.title,
            "status": state.status.value,
            "compensation_status": state.compensation_status.value,
            "is_pivot": step.is_pivot,
            "items_total": None if known is None else known.total,
            "items_done": None if known is None else known.done,
            "attempts_made": sum(run.action.number for run in runs),
            "compensation_attempts_made": sum(run.compensation.number for run in runs),
            "error": state.error,
        }

    def as_json(self) -> dict[str, Json]:
        """Return all of it as JSON: what the API and `--json` give."""
        return {
            "saga": self.definition.saga,
            "status": self.status.value,
            "reason": self.reason,
            "attention": self.attention,
            "input": self.definition.redaction.masked(INPUT, self.state.input),
            "output": self.definition.redaction.masked(OUTPUT, self.output),
            "took_s": round(self.took_s, 6),
            "waited_s": round(self.waited_s, 6),
            "undone": self.undone,
            "undone_by": self.undone_by,
            "missing": [one.as_json() for one in self.missing],
            "leftovers": [one.as_json() for one in self.leftovers],
            "steps": self.steps,
            "notes": [
                {"code": one.code, "message": one.message, "step": one.step, "phase": one.phase and one.phase.value}
                for one in self.notes
            ],
            "cut_short": self.cut_short,
            "trace": self.trace,
        }


def _half_name(step: str, phase: Phase) -> str:
    return step + COMPENSATION_MARK if phase is Phase.COMPENSATION else step
