"""Sagas in Django. The short imports for users: `from sagas import start, action, Rejected, NoEffect, NotDone`.

They are loaded when first asked for, so that importing `sagas.core` does not import Django.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json
    from sagas.models import SagaRun
    from sagas.participants.base import NoEffect, NotDone, Rejected
    from sagas.participants.registry import action

__all__ = ["NoEffect", "NotDone", "Rejected", "action", "start"]

_PLACES = {
    "NoEffect": "sagas.participants.base",
    "NotDone": "sagas.participants.base",
    "Rejected": "sagas.participants.base",
    "action": "sagas.participants.registry",
}


def start(
    saga: str,
    input: Json,  # noqa: A002 - the word of the definition and of the API
    *,
    key: object = None,
    labels: dict[str, str] | None = None,
    version: int | None = None,
    by: str = "python",
) -> SagaRun:
    """Start a run inside the caller's transaction: it exists if and only if that commits.

    The same `key` with the same input gives the same run.

    Raises:
        SagaUnknownError, SagaArchivedError, SagaUnreadableError, InputInvalidError, KeyReusedError
            (`sagas.engine.errors`).
    """
    from sagas.engine.commands import start_run

    return start_run(saga, input, by=by, key=None if key is None else str(key), labels=labels, version=version).run


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(place), name)
