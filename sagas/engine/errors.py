"""What an order or a start may come back with, when it is refused.

EngineError
├── SagaUnknownError, SagaArchivedError, SagaUnreadableError
├── InputInvalidError
├── KeyReusedError
├── RequestKeyReusedError, RequestKeyBusyError
├── RunUnknownError
├── CallbackUnknownError
├── OrderRefusedError
└── RevisionStaleError
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Verb


class EngineError(Exception):
    """The engine refuses, and nothing was changed."""


class SagaUnknownError(EngineError):
    """No such saga, or no such published version of it."""


class SagaArchivedError(EngineError):
    """The saga takes no new runs."""


class SagaUnreadableError(EngineError):
    """The version that would be started does not compile with the code that is here."""


class InputInvalidError(EngineError):
    """The input, key or labels do not fit the definition."""

    def __init__(self, problems: tuple[Problem, ...], *, within: str = "") -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems
        self.within = within  # JSON pointer of what the problems' own pointers start from


class KeyReusedError(EngineError):
    """A run with this key exists, with another input."""

    def __init__(self, key: str, run_id: UUID) -> None:
        super().__init__(f"The key {key!r} belongs to run {run_id}, which has another input.")
        self.key = key
        self.run_id = run_id


class RequestKeyReusedError(EngineError):
    """The idempotency key of a request came before, with another request."""

    def __init__(self, key: str, run_id: UUID) -> None:
        super().__init__(f"The key {key!r} came with another request.")
        self.run_id = run_id


class RequestKeyBusyError(EngineError):
    """Many requests with the same idempotency key came at once, and this one lost each race."""


class RunUnknownError(EngineError):
    """No such run."""


class CallbackUnknownError(EngineError):
    """Nobody was given this token. Whatever is wrong with it, there is nothing more to say."""


class OrderRefusedError(EngineError):
    """The run's state does not allow the order."""

    def __init__(self, why: str, *, status: str, allowed: tuple[Verb, ...]) -> None:
        super().__init__(why)
        self.why = why
        self.status = status
        self.allowed = allowed


class RevisionStaleError(EngineError):
    """The run has moved since the caller looked."""

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(f"The run has moved: it is at revision {current}, not {expected}.")
        self.current = current
