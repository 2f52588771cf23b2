"""What the decider is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sagas.core.outcome import Outcome
from sagas.core.vocabulary import AttemptKey, Json, OutcomeKind, Phase, RunStatus, StepKey, Verb, WaitingFor


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody has the run in hand: begin it, start what is due, notice the deadline."""

    now: datetime
    dice: float = 0.5


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """An attempt came to an end. `dice` in [0, 1) spreads the next attempt's time."""

    attempt: AttemptKey
    outcome: Outcome
    now: datetime
    dice: float = 0.5


@dataclass(frozen=True, slots=True)
class ChildEnd:
    """How a sub-saga ended, or that it passed its pivot and cannot be undone."""

    run: str
    status: RunStatus
    output: Json = None
    is_past_pivot: bool = False


@dataclass(frozen=True, slots=True)
class AcceptAttempt:
    """Somebody has taken an attempt on, and will say later what became of it. `by` is who: a run's id, or a service."""

    attempt: AttemptKey
    by: str
    now: datetime
    dice: float = 0.5
    waits_for: WaitingFor = WaitingFor.CHILD


@dataclass(frozen=True, slots=True)
class LateReport:
    """What an attempt came to that nobody waited for any more: one that was recorded as unknown."""

    attempt: AttemptKey
    edition: int
    outcome: Outcome

    @property
    def key(self) -> StepKey:
        """The step run it is about."""
        return self.attempt.step_key


@dataclass(frozen=True, slots=True)
class TakeOrder:
    """An order from the inbox. `number` is its place there, from 1."""

    number: int
    verb: Verb
    by: str
    now: datetime
    reason: str = ""
    step: str | None = None
    arguments: Json = None  # retry: edited input, with `has_arguments`
    has_arguments: bool = False
    phase: Phase = Phase.ACTION  # settle: which half
    outcome: OutcomeKind = OutcomeKind.SUCCEEDED  # settle: what became of it; approve: rejected is no
    output: Json = None  # settle and skip: what the step gives to those after it
    reference: str = ""  # settle: where the evidence is
    signal: str = ""  # signal: its name; `arguments` is what it brings
    child: ChildEnd | None = None  # report: how the sub-saga ended
    late: LateReport | None = None  # report: what an attempt came to after all
    dice: float = 0.5


Command: TypeAlias = Look | ReportOutcome | AcceptAttempt | TakeOrder
