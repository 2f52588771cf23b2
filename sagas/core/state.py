"""The state of a run: the fold of its journal.

`evolve.py` makes the next state from the last one; nobody else changes one.
A step that was never touched has no entry in `steps` and is pending.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime

from sagas.core.list_state import ListState
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    Json,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    StepStatus,
    WaitingFor,
)
from sagas.core.watch import Reacting, Watch

IN_OTHER_HANDS = frozenset({WaitingFor.CHILD, WaitingFor.CALLBACK})  # an attempt was made, and its end is told later


@dataclass(frozen=True, slots=True)
class HalfState:
    """What the engine remembers of one half of a step run: its action, its compensation, or its probe."""

    number: int = 0  # of the last attempt started; 0: none yet
    edition: int = 1
    counted: int = 0  # attempts that used up the budget, since the edition or the last retry order (or: question)
    lost_in_a_row: int = 0  # attempts in a row that ended with their worker
    is_awaiting: bool = False  # an attempt is in flight
    is_atomic: bool = False  # ... and it ends in the same transaction as its entry
    is_unsettled: bool = False  # an attempt under this key ended unknown
    sole_unknown: int = 0  # its number, when it is the only one that did
    late: OutcomeKind | None = None  # what a late report says of this key while a newer attempt is in flight
    late_output: Json = None
    due_at: datetime | None = None  # of the next attempt, while retrying; of the end of a wait, for a callback too
    waits_for: WaitingFor | None = None  # while the step waits: what ends it, beside the time
    accepted_by: str = ""  # who has the attempt in hand, or had it: the run of a sub-saga, or a service
    started_at: datetime | None = None  # of the last attempt
    timeout_s: float = 0.0  # of the last attempt, seconds
    has_input: bool = False
    input: Json = None  # as rendered at the first attempt of this edition; what a wait is about; a list's items
    items_total: int | None = None  # how many items that list has; None: this is no list

    @property
    def is_wait(self) -> bool:
        """Whether it waits without having called anybody."""
        return self.waits_for is not None and self.waits_for not in IN_OTHER_HANDS

    @property
    def is_out(self) -> bool:
        """Whether an attempt has neither ended nor been written off: in flight, or in other hands."""
        return self.is_awaiting or self.waits_for in IN_OTHER_HANDS

    @property
    def is_called_back(self) -> bool:
        """Whether a service has taken the attempt on, and is to say later what became of it."""
        return self.waits_for is WaitingFor.CALLBACK

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was tried yet."""
        return self.number == 0


UNTRIED = HalfState()


@dataclass(frozen=True, slots=True)
class StepState:
    """One step run: both statuses, both halves, and the probe that may be asked about the action."""

    status: StepStatus = StepStatus.PENDING
    compensation_status: CompensationStatus = CompensationStatus.NONE
    action: HalfState = UNTRIED
    compensation: HalfState = UNTRIED
    probe: HalfState = UNTRIED
    output: Json = None
    error: Json = None  # {code, message, details?} of the last attempt that did not succeed
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reacting: Reacting | None = None  # of a choreographed run: to what

    def half(self, phase: Phase) -> HalfState:
        """The half that `phase` is about."""
        if phase is Phase.ACTION:
            return self.action
        return self.compensation if phase is Phase.COMPENSATION else self.probe

    @property
    def is_probing(self) -> bool:
        """Whether the probe is being asked about the action, or is to be asked again."""
        return self.probe.is_awaiting or self.probe.due_at is not None

    @property
    def counts(self) -> int:
        """What it adds to the steps that are done: nothing, when it undoes another one."""
        return 0 if self.reacting is not None and self.reacting.undoes else 1

    @property
    def losses(self) -> int:
        """How often in a row the step, by its action or its probe, ended its worker."""
        return self.action.lost_in_a_row + self.probe.lost_in_a_row


UNTOUCHED = StepState()
_KNOWN = frozenset({StepStatus.PENDING, StepStatus.SUCCEEDED, StepStatus.SKIPPED})

VERSION_UNREADABLE = "version_unreadable"  # the code of an attention about the run as a whole: no step is named


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that only a person can clear."""

    step: str
    phase: Phase
    code: str
    item: int = NO_ITEM
    message: str = ""  # what its step does not say

    @property
    def key(self) -> StepKey:
        """The step run it is about."""
        return StepKey(self.step, self.item)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that came before a step waited for it; kept until one does."""

    name: str
    payload: Json = None
    by: str = ""


@dataclass(slots=True)
class RunState:
    """One run as its journal tells it."""

    run: str = ""
    saga: str = ""
    version: int = 0
    status: RunStatus = RunStatus.PENDING
    direction: Direction = Direction.FORWARD
    is_turning: bool = False  # asked to turn round; attempts in flight are drained
    is_past_pivot: bool = False
    is_overdue: bool = False
    is_hanging: bool = False  # something happened that nothing will undo, though the run says otherwise
    is_paused: bool = False  # nothing new is dispatched; what is in flight ends
    input: Json = None
    output: Json = None
    key: str = ""
    labels: Json = None
    amount: int | None = None
    created_by: str = ""
    parent: str = ""  # the run it belongs to, when it is a sub-saga
    parent_step: str = ""
    depth: int = 0
    reason: Json = None
    steps: dict[StepKey, StepState] = field(default_factory=dict)
    open: set[tuple[StepKey, Phase]] = field(
        default_factory=set
    )  # running, waiting or retrying; a probe in its action's place
    lists: dict[str, ListState] = field(default_factory=dict)  # by step, once its list is known
    attention: tuple[Attention, ...] = ()
    signals: tuple[Signal, ...] = ()  # not taken yet, oldest first
    steps_total: int = 0
    steps_done: int = 0  # succeeded or skipped
    undo_total: int = 0
    undo_done: int = 0  # compensations that succeeded, were settled or given up
    sequence: int = 0
    revision: int = 0
    inbox_done: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deadline_at: datetime | None = None
    watch: Watch | None = None  # of a choreographed run
    to_react: tuple[StepKey, ...] = ()  # reactions that are to begin

    def step(self, key: StepKey) -> StepState:
        """The state of one step run."""
        return self.steps.get(key, UNTOUCHED)

    @property
    def in_question(self) -> list[StepKey]:
        """Step runs of which something may be settled by hand: what became of all others is known."""
        return [
            key
            for key, step in self.steps.items()
            if step.status not in _KNOWN or step.compensation_status is CompensationStatus.FAILED
        ]

    def is_list(self, key: StepKey) -> bool:
        """Whether `key` is a step under `for_each` as a whole, whose items are known."""
        return key.item == NO_ITEM and key.step in self.lists

    def copy(self) -> RunState:
        """Return a state of its own; the parts are immutable and shared."""
        twin = object.__new__(RunState)
        for name in _RUN_FIELDS:
            setattr(twin, name, getattr(self, name))
        twin.steps = dict(self.steps)
        twin.open = set(self.open)
        twin.lists = {name: one.copy() for name, one in self.lists.items()}
        return twin

    @property
    def is_unreadable(self) -> bool:
        """Whether the run rests because nobody who had it in hand could read its version."""
        return any(one.code == VERSION_UNREADABLE for one in self.attention)

    @property
    def awaiting(self) -> list[tuple[StepKey, Phase]]:
        """Halves with an attempt in flight."""
        return [(key, phase) for key, phase in self.open if self.step(key).half(phase).is_awaiting]


_RUN_FIELDS = tuple(one.name for one in fields(RunState))
