"""What an attempt came to: four values, never an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sagas.core.vocabulary import Json, OutcomeKind


@dataclass(frozen=True, slots=True)
class Error:
    """Why an attempt did not succeed: a stable code, a sentence for people, and details."""

    code: str
    message: str
    details: Json = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The participant said so."""

    output: Json = None
    passes_pivot: bool = False  # what happened cannot be undone: a sub-saga passed its own point of no return

    kind = OutcomeKind.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Rejected:
    """The participant said no, and nothing happened there. Never retried.

    `is_explicit` is false for an answer that only looks like a refusal (a bare
    HTTP 4xx): such a one does not settle an earlier unknown attempt.
    """

    error: Error
    is_explicit: bool = True

    kind = OutcomeKind.REJECTED


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work, and certainly had no effect.

    `is_counted` is false when the attempt was never sent or ended with its
    worker: it then uses up none of the policy's attempts. `is_retriable` is
    false when trying again cannot help (an expression error). `settles` is true
    when it is said of the key as a whole, as by a probe: nothing ever happened
    under it, whatever earlier attempts came to.
    """

    error: Error
    retry_after_s: float | None = None
    is_counted: bool = True
    is_retriable: bool = True
    settles: bool = False

    kind = OutcomeKind.FAILED


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say whether it happened."""

    error: Error
    retry_after_s: float | None = None
    is_counted: bool = True

    kind = OutcomeKind.UNKNOWN


Outcome: TypeAlias = Succeeded | Rejected | Failed | Unknown

WORKER_LOST = "worker_lost"
TERMINATED = "terminated"
NOT_SENT = "not_sent"
SERVICE_HELD = "service_held"
SERVICE_SICK = "service_sick"
SERVICE_FULL = "service_full"
BEFORE_SERVICE = frozenset({SERVICE_HELD, SERVICE_SICK, SERVICE_FULL})  # it waits before it, and was not sent
ACTION_NOT_REGISTERED = "action_not_registered"
SAGA_UNREADABLE = "saga_unreadable"
SERVICE_UNKNOWN = "service_unknown"
SERVICE_KIND = "service_kind"
NOT_CARRIED_OUT = "not_carried_out"  # by this worker: it has not what calls such a service
NO_CALLBACK_ADDRESS = "no_callback_address"
CODE_MISSING = frozenset((  # nothing is wrong with the run itself: code or settings are missing that a person puts back
    ACTION_NOT_REGISTERED, SAGA_UNREADABLE, SERVICE_UNKNOWN, SERVICE_KIND, NOT_CARRIED_OUT, NO_CALLBACK_ADDRESS,
))  # fmt: skip
NOT_DONE = "not_done"
OVERTAKEN = "overtaken"
TIMED_OUT = "timed_out"
EXPRESSION_ERROR = "expression_error"
REDACTED_LOST = "redacted_lost"
