"""The closed vocabularies of the law. Code, tables, screens and API use these words and no others."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

Json: TypeAlias = Any  # JSON: dict, list, str, int, float, bool, None

NO_ITEM = -1  # the item number of a step that is not under `for_each`


class RunStatus(StrEnum):
    """Where a run stands as a whole; the only eight."""

    PENDING = "pending"
    RUNNING = "running"
    COMPENSATING = "compensating"
    NEEDS_ATTENTION = "needs_attention"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PARTIALLY_COMPENSATED = "partially_compensated"
    TERMINATED = "terminated"

    @property
    def is_final(self) -> bool:
        """Whether nothing moves any more."""
        return self in FINAL


FINAL = frozenset({RunStatus.COMPLETED, RunStatus.COMPENSATED, RunStatus.PARTIALLY_COMPENSATED, RunStatus.TERMINATED})


class Direction(StrEnum):
    """Forward does, backward undoes."""

    FORWARD = "forward"
    BACKWARD = "backward"


class StepStatus(StrEnum):
    """The forward half of a step."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"


class CompensationStatus(StrEnum):
    """The backward half of a step."""

    NONE = "none"
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SETTLED = "settled"
    GIVEN_UP = "given_up"
    NOT_NEEDED = "not_needed"


class Phase(StrEnum):
    """What an attempt tries."""

    ACTION = "action"
    COMPENSATION = "compensation"
    PROBE = "probe"


class OutcomeKind(StrEnum):
    """The four outcomes of an attempt."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class WaitingFor(StrEnum):
    """What a resting run waits for."""

    TIMER = "timer"
    SIGNAL = "signal"
    CALLBACK = "callback"
    APPROVAL = "approval"
    CHILD = "child"
    SERVICE = "service"
    RETRY = "retry"
    EVENT = "event"


class Verb(StrEnum):
    """What a person or the API may order of a run."""

    CANCEL = "cancel"
    RETRY = "retry"
    SKIP = "skip"
    SETTLE = "settle"
    GIVE_UP = "give_up"
    PAUSE = "pause"
    RESUME = "resume"
    TERMINATE = "terminate"
    SIGNAL = "signal"
    APPROVE = "approve"
    REPORT = "report"  # of a sub-saga to its parent: how it ended
    UNDO = "undo"  # of a parent to a sub-saga that is completed
    EVENT = "event"  # to a choreographed run: an event of it came


INTERNAL = frozenset({Verb.REPORT, Verb.UNDO, Verb.EVENT})  # runs and events bring these; no face takes them


class Role(StrEnum):
    """Who may do what; each role includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    AUTHOR = "author"
    ADMIN = "admin"


_KEY = re.compile(r"(\w+)(?:\[(0|[1-9][0-9]{0,8})\])?", re.ASCII)


class StepKey(NamedTuple):
    """One step run: the step's name, and its item number under `for_each`."""

    step: str
    item: int = NO_ITEM

    def __str__(self) -> str:
        return self.step if self.item == NO_ITEM else f"{self.step}[{self.item}]"

    @classmethod
    def parse(cls, text: str) -> StepKey | None:
        """Return the step run that people call `pay`, or `pay[3]`; None when it is called neither way.

        >>> StepKey.parse("pay[3]")
        StepKey(step='pay', item=3)
        """
        found = _KEY.fullmatch(text)
        return None if found is None else cls(found[1], NO_ITEM if found[2] is None else int(found[2]))


class AttemptKey(NamedTuple):
    """One attempt within a run. `number` counts all attempts of this half, from 1."""

    step: str
    item: int
    phase: Phase
    number: int

    @property
    def step_key(self) -> StepKey:
        """The step run this is an attempt of."""
        return StepKey(self.step, self.item)


def idempotency_key(run_id: str, key: StepKey, phase: Phase, edition: int = 1) -> str:
    """Return the key that every attempt of one edition of one half carries.

    >>> idempotency_key("0192", StepKey("pay"), Phase.ACTION)
    '0192:pay:action'
    >>> idempotency_key("0192", StepKey("pay", 3), Phase.COMPENSATION, 2)
    '0192:pay[3]:compensation#2'
    """
    return f"{run_id}:{key}:{phase}" + ("" if edition == 1 else f"#{edition}")
