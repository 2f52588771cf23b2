"""What the decider says: the lines of the journal.

Events are in the past tense and hold all that `evolve` needs; none needs the
definition to be replayed. Journal format 1 is their field names (codec.py):
a field may be added with a default, none may be renamed or removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sagas.core.end_events import (
    DeadlinePassed,
    RunCompensated,
    RunCompleted,
    RunPartiallyCompensated,
    RunPaused,
    RunReopened,
    RunResumed,
    RunTerminated,
)
from sagas.core.event_entries import EventEntry
from sagas.core.vocabulary import NO_ITEM, Json, OutcomeKind, Phase, StepKey, StepStatus, Verb, WaitingFor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run exists. Always the first entry, written with the row."""

    run: str
    saga: str
    version: int
    input: Json
    by: str
    key: str = ""
    labels: Json = None
    amount: int | None = None
    deadline_at: datetime | None = None
    steps: int = 0
    parent: str = ""  # the run it belongs to, when it is a sub-saga
    parent_step: str = ""
    depth: int = 0  # how many runs it stands within
    rerun_of: str = ""  # the run that it runs again
    is_choreographed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsListed:
    """The list of a step under `for_each` is known. Its items are numbered from 0."""

    step: str
    items: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsJoined:
    """No item of a list is under way any more: this is what they come to together.

    `status` is succeeded, failed or in_doubt; `done` counts those that succeeded or were skipped.
    """

    step: str
    status: StepStatus
    done: int
    total: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """An attempt was written down, before anybody is called.

    `input` is there on the first attempt of an edition only; later ones carry
    the same. The wait for an answer ends `timeout_s` seconds after the entry's time.
    """

    step: str
    phase: Phase
    number: int
    timeout_s: float
    item: int = NO_ITEM
    edition: int = 1
    is_first: bool = False
    is_atomic: bool = False
    input: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """The outcome of one attempt. A success ends its half too; see `StepFailed` and the like for the rest."""

    step: str
    phase: Phase
    number: int
    outcome: OutcomeKind
    item: int = NO_ITEM
    output: Json = None
    code: str = ""
    message: str = ""
    details: Json = None
    is_counted: bool = True
    settles: bool = False  # settles earlier unknown attempts under the same key
    passes_pivot: bool = False  # the point of no return: from here only forward


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAccepted:
    """The attempt is in other hands, which say later what became of it.

    `by` is the run of the sub-saga, or the service; `until` is when the wait for that is over.
    """

    step: str
    phase: Phase
    number: int
    waits_for: WaitingFor
    by: str
    item: int = NO_ITEM
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled:
    """The half waits for its next attempt."""

    step: str
    phase: Phase
    at: datetime
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStarted:
    """The step waits, and holds no worker. `until` is when the time is up; None: never.

    `about` says what for: `{signal}`, or `{group, prompt}` of an approval.
    """

    step: str
    waits_for: WaitingFor
    item: int = NO_ITEM
    until: datetime | None = None
    about: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitEnded:
    """What the step waited for has come: it succeeded, with `output`. `by` is who sent or approved."""

    step: str
    item: int = NO_ITEM
    output: Json = None
    by: str = ""
    passes_pivot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived:
    """A signal came. It is kept until a step waits for it; the first one is taken first."""

    name: str
    payload: Json = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """The action ended in a definite failure: rejected, or failed to the policy's end."""

    step: str
    outcome: OutcomeKind
    item: int = NO_ITEM
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInDoubt:
    """The attempts are spent and nobody can say whether the action happened."""

    step: str
    item: int = NO_ITEM
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationFailed:
    """The compensation gave up; a person must decide."""

    step: str
    outcome: OutcomeKind
    item: int = NO_ITEM
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequested:
    """Nothing new starts; attempts in flight are drained.

    `cause` is one of step_failed, in_doubt, deadline, cancel, parent.
    """

    cause: str
    step: str = ""
    item: int = NO_ITEM
    outcome: str = ""
    code: str = ""
    message: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDropped:
    """The pivot succeeded while attempts were drained: the run goes on forward."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedRound:
    """Compensation begins. Names are step keys as text; `undo` is in the order of starting forward."""

    undo: tuple[StepKey, ...] = ()
    not_needed: tuple[StepKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionNeeded:
    """Only a person can move this step on; the run as a whole when `step` is empty. `message` is what no step says."""

    step: str
    phase: Phase
    code: str
    item: int = NO_ITEM
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionCleared:
    """A person has decided, or nobody is needed any more."""

    step: str
    phase: Phase
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTaken:
    """An order from the inbox applied."""

    number: int
    verb: Verb
    by: str
    reason: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRefused:
    """An order that no longer applied when its turn came."""

    number: int
    verb: Verb
    by: str
    why: str
    reason: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateReportReceived:
    """An attempt that was recorded as unknown has said what it came to. `order` is its number in the inbox.

    It either settles the step (what follows from that is in the next entries), or
    is kept as evidence. It hangs when it happened although it is undone, or was
    taken for what never happened: then it needs an undo, or, where the run has
    ended or nothing undoes the step, it is only shown.
    """

    order: int
    step: str
    phase: Phase
    number: int
    outcome: OutcomeKind
    item: int = NO_ITEM
    edition: int = 1
    output: Json = None
    code: str = ""
    message: str = ""
    details: Json = None
    settles: bool = False
    is_hanging: bool = False
    needs_undo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionStarted:
    """An operator's retry gives the half a fresh budget; a new edition also gives it a new key."""

    step: str
    phase: Phase
    edition: int
    item: int = NO_ITEM
    input: Json = None
    is_edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettled:
    """What became of an action whose outcome nobody knew, or of one that failed, was recorded.

    By a person, or by a late report that the entry before tells of. `outcome` is succeeded
    (with `output`), or else it did not happen, and a `StepFailed` follows.
    """

    step: str
    outcome: OutcomeKind
    item: int = NO_ITEM
    output: Json = None
    reference: str = ""
    passes_pivot: bool = False
    is_late: bool = False  # by a late report


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped:
    """The run goes on without this step: a person decided so, its condition is false, or its wait is over.

    `cause` is, for a wait: timed_out, turn or terminated.
    """

    step: str
    item: int = NO_ITEM
    output: Json = None
    is_condition: bool = False
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationSettled:
    """A person undid the step by hand."""

    step: str
    item: int = NO_ITEM
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationGivenUp:
    """A person decided that what the step did stays behind."""

    step: str
    item: int = NO_ITEM


Event: TypeAlias = (
    RunStarted
    | ItemsListed
    | ItemsJoined
    | AttemptStarted
    | AttemptAccepted
    | AttemptEnded
    | RetryScheduled
    | WaitStarted
    | WaitEnded
    | SignalReceived
    | StepFailed
    | StepInDoubt
    | CompensationFailed
    | TurnRequested
    | TurnDropped
    | TurnedRound
    | AttentionNeeded
    | AttentionCleared
    | OrderTaken
    | OrderRefused
    | LateReportReceived
    | EditionStarted
    | StepSettled
    | StepSkipped
    | CompensationSettled
    | CompensationGivenUp
    | RunPaused
    | RunResumed
    | DeadlinePassed
    | EventEntry
    | RunCompleted
    | RunReopened
    | RunCompensated
    | RunPartiallyCompensated
    | RunTerminated
)
