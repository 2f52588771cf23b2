"""Services for tests of the engine: each answers as the test has put into `ANSWERS` under the key of the call."""

from __future__ import annotations

import inspect
from typing import Any

from sagas.core.outcome import Succeeded
from sagas.models import Service
from sagas.participants.base import Accepted

ANSWERS: dict[str, Any] = {}  # by step and phase: a value, or a function of the call, which may be async
CALLED: list[tuple[str, Any]] = []  # the same key, and the call


def accept(_call: Any) -> Accepted:
    """An answer: taken on, and more later."""
    return Accepted("inventory")


class FakeHttp:
    """Carries requests out without a network."""

    is_closed = False

    async def perform(self, action: Any, call: Any, service: Any) -> Any:
        """Answer as the test says."""
        key = f"{call.step}:{call.phase}"
        CALLED.append((key, call))
        answer = ANSWERS.get(key, Succeeded({"did": f"{action.name} of {service.name}"}))
        answer = answer(call) if callable(answer) else answer
        return await answer if inspect.isawaitable(answer) else answer

    async def close(self) -> None:
        """Be closed."""
        FakeHttp.is_closed = True


def make_service(name: str = "inventory", **more: Any) -> Service:
    """Register a service."""
    return Service.objects.create(name=name, **{"base_url": "https://inventory.example.org", **more})


def called() -> list[str]:
    """Return what was called, in order."""
    return [key for key, _ in CALLED]


def token_of(call: Any) -> str:
    """Return the token of the address at which the service may call back."""
    return str(call.callback_url).rstrip("/").rpartition("/")[2]
