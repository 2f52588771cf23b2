"""Why the registry of services refuses. Every refusal is a `ServiceError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagas.core.problem import Problem


class ServiceError(Exception):
    """The registry refuses."""


class ServiceUnknownError(ServiceError):
    """There is no service of this name."""

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(f"There is no service {name[:80]!r}.{hint}")
        self.name = name


class ServiceInvalidError(ServiceError):
    """What is wanted has problems; `problems` lists all of them, each with the pointer of its member."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(problem.message for problem in self.problems))


class ServiceStaleError(ServiceError):
    """The service changed since it was read; `revision` is the present one, 0 when it is not there."""

    def __init__(self, name: str, revision: int) -> None:
        now = f"its revision is {revision} now" if revision else "it is not there"
        super().__init__(f"The service {name[:80]!r} is not as you read it: {now}.")
        self.revision = revision


class ServiceStateError(ServiceError):
    """The service's state does not allow this: it is held already, or is not held."""


class ServiceInUseError(ServiceError):
    """Sagas or unfinished runs still need the service; `sagas` and `runs` name them, the first ones at least."""

    def __init__(self, name: str, sagas: tuple[str, ...], runs: tuple[str, ...]) -> None:
        parts = []
        if sagas:
            parts.append(f"the latest version of {', '.join(sagas)} names it")
        if runs:
            parts.append(f"runs that have not ended need it, such as {', '.join(runs)}")
        super().__init__(f"The service {name!r} stays as it is: {', and '.join(parts)}.")
        self.sagas = sagas
        self.runs = runs
