"""What a participant is given (`Call`), and the exceptions by which it says no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.vocabulary import NO_ITEM, Json, Phase

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt, as the participant sees it. It is told everything here and asks nothing back.

    `idempotency_key` is the same for every attempt of one half, so that a
    participant which remembers it acts once; `attempt` counts from 1.
    `action_key` and `outcome` are there in a compensation: the key of the action
    to undo, and how that ended: `succeeded`, or `unknown` when nobody can say
    whether it happened (a compensation must bear that it never did). A probe has
    no key of its own: both keys are those of the action it is asked about.
    """

    run_id: str
    saga: str
    step: str
    phase: Phase
    attempt: int
    idempotency_key: str
    arguments: Json
    timeout_s: float
    item: int = NO_ITEM
    action_key: str = ""
    outcome: str = ""
    deadline_at: datetime | None = None
    is_unsettled: bool = False  # an earlier attempt under this key ended unknown, and nothing has settled it
    callback_url: str = ""  # where the outcome may be said later, of an action that is asynchronous
    correlation: str = ""  # of a command: what its reply must carry, and nobody else is to know
    is_redacted: bool = False  # something that the step is given or gives back must not be shown, in no log either


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer that is no outcome: the participant has taken the attempt on, and will say later what became of it."""

    by: str  # who, in words: the service


class _Refusal(Exception):  # noqa: N818 - its children have the short names that users write
    """Something a participant says about an attempt, in words that people read."""

    def __init__(self, message: str, *, code: str, details: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Rejected(_Refusal):
    """Raise it to say no: nothing happened, and asking again will not help. Never retried."""

    def __init__(self, message: str, *, code: str = "rejected", details: Json = None) -> None:
        super().__init__(message, code=code, details=details)


class NoEffect(_Refusal):
    """Raise it to say that it did not work and certainly had no effect. Retried by the step's policy."""

    def __init__(self, message: str, *, code: str = "no_effect", details: Json = None) -> None:
        super().__init__(message, code=code, details=details)


class NotDone(_Refusal):
    """Raise it in a probe to say that the action never happened. It is then tried again by the step's policy."""

    def __init__(
        self, message: str = "The action never happened.", *, code: str = "not_done", details: Json = None
    ) -> None:
        super().__init__(message, code=code, details=details)
