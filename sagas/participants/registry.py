"""The Python actions of this process, by name."""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from sagas.core.definition import ActionFacts
from sagas.participants.errors import RegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Action:
    """A registered callable and how it wants to be carried out."""

    name: str
    function: Callable[..., Any]
    signature: inspect.Signature
    is_async: bool
    is_atomic: bool
    reads_only: bool


_actions: dict[str, Action] = {}
_discovery = threading.RLock()  # an action's module may ask for `find` while it is being imported
_is_discovered = False


def action(
    name: str,
    *,
    atomic: bool = False,
    reads_only: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function as the action `name`; the function itself stays as it is.

    It is called as `function(call, **arguments)`. Plain functions run in a
    thread, `async def` ones in the worker's event loop.

    Args:
        name: what definitions say, such as `shop.process_payment`. One function per name.
        atomic: run in one transaction with the journal entry of its outcome
            (plain functions only): effects in this database happen exactly once.
        reads_only: it changes nothing anywhere, so there is nothing to undo.

    Raises:
        RegistrationError: the name is taken, or `atomic` on an `async def`.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        is_async = inspect.iscoroutinefunction(function)
        if atomic and is_async:
            message = f"The action {name!r} is an async function: only a plain one can be atomic."
            raise RegistrationError(message)
        known = _actions.get(name)
        if known is not None and _place(known.function) != _place(function):
            message = f"The action {name!r} is registered already, by {_place(known.function)}."
            raise RegistrationError(message)
        _actions[name] = Action(name, function, inspect.signature(function), is_async, atomic, reads_only)
        return function

    return register


def find(name: str) -> Action | None:
    """Return the action `name`, or None when no installed app registers it."""
    discover()
    return _actions.get(name)


def facts() -> Mapping[str, ActionFacts]:
    """Return what a definition may be checked against: every action of this process."""
    discover()
    return {name: ActionFacts(known.is_atomic, known.reads_only) for name, known in _actions.items()}


def _place(function: Callable[..., Any]) -> str:
    """Return where a function stands. Its module may be imported a second time after a failed first."""
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"


def discover() -> None:
    """Import `participants.py` and `sagas.py` of every installed app, once.

    Raises:
        Exception: what one of them raised; the next call tries again.
    """
    global _is_discovered  # noqa: PLW0603 - one registry per process
    if _is_discovered:
        return
    from django.utils.module_loading import autodiscover_modules

    with _discovery:
        if not _is_discovered:
            autodiscover_modules("participants", "sagas")
            _is_discovered = True
