"""Actions for tests of the engine: each does what `BEHAVIOUR` says under its idempotency key, or its step."""

from __future__ import annotations

import inspect
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sagas import Rejected, action
from sagas.models import Saga

CALLS: list[tuple[str, int]] = []  # idempotency key without the run's id, attempt
BEHAVIOUR: dict[str, Callable[[Any], Any]] = {}
_lock = threading.Lock()


def reset() -> None:
    """Forget all calls and behaviours."""
    CALLS.clear()
    BEHAVIOUR.clear()


def count() -> dict[str, int]:
    """Return how often each key was called."""
    found: dict[str, int] = defaultdict(int)
    for key, _ in CALLS:
        found[key] += 1
    return dict(found)


def _note(call: Any, key: str = "") -> Any:
    key = key or call.idempotency_key.partition(":")[2]
    with _lock:
        CALLS.append((key, call.attempt))
    behave = BEHAVIOUR.get(key) or BEHAVIOUR.get(call.step)
    return behave(call) if behave else {"did": key}


@action("engine.plain")
def plain(call: Any, **_arguments: Any) -> Any:
    """A plain action: what it raises is unknown."""
    return _note(call)


@action("engine.awaited")
async def awaited(call: Any, **_arguments: Any) -> Any:
    """An async action; its behaviour may be async too."""
    answer = _note(call)
    return await answer if inspect.isawaitable(answer) else answer


@action("engine.atomic", atomic=True)
def atomic(call: Any, **_arguments: Any) -> Any:
    """An atomic action: it makes a row named for its key, once."""
    Saga.objects.create(name=call.idempotency_key.replace(":", "-")[-60:], title="an effect")
    return _note(call)


@action("engine.probe", reads_only=True)
def probe(call: Any, **_arguments: Any) -> Any:
    """A probe: what it does is under `<step>:probe`."""
    return _note(call, f"{call.step}:probe")


@action("engine.awaited_probe", reads_only=True)
async def awaited_probe(call: Any, **_arguments: Any) -> Any:
    """An async probe."""
    return _note(call, f"{call.step}:probe")


def refuse(_call: Any) -> None:
    """A behaviour: say no."""
    raise Rejected("not today", code="no")


def break_down(_call: Any) -> None:
    """A behaviour: raise what nobody expected."""
    raise RuntimeError("broke")
