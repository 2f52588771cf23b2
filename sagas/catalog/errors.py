"""Why the catalog refuses. Every refusal is a `CatalogError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.document import Problem


class CatalogError(Exception):
    """The catalog refuses."""


class DocumentInvalidError(CatalogError):
    """The document has problems; `problems` lists all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class PublishConflictError(CatalogError):
    """The version named as base is not the latest; `latest` is its number, 0 when there is none."""

    def __init__(self, saga: str, latest: int) -> None:
        now = f"version {latest} is the latest now" if latest else "no version is published yet"
        super().__init__(f"{saga}: {now}; compare before you publish.")
        self.latest = latest


class SagaNameMismatchError(CatalogError):
    """The document names another saga than the one it is published to."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"This document is of the saga `{found}`, not of `{expected}`; a name is fixed for life.")
        self.expected = expected
        self.found = found


class VersionUnreadableError(CatalogError):
    """What is stored of a version does not compile with the code that is here."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The code that is here cannot read the version: {why}")


class VersionUnknownError(CatalogError):
    """There is no such version."""

    def __init__(self, version_id: UUID) -> None:
        super().__init__(f"There is no version with the id {version_id}.")
        self.version_id = version_id
