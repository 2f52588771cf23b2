"""Calling services: one attempt of an action over HTTP or by a command, handed to what carries such attempts out.

The registry is read in the journal's thread, once a second at most, whatever the
number of attempts. A service that is not there, or of another kind, is missed as
code is: the attempt fails without effect and is tried again, and then a person is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sagas.core.definition import CommandAction, HttpAction
from sagas.core.http_request import fault_of
from sagas.core.outcome import (
    NO_CALLBACK_ADDRESS,
    SERVICE_KIND,
    SERVICE_UNKNOWN,
    TIMED_OUT,
    Error,
    Failed,
    Unknown,
)
from sagas.core.vocabulary import Phase
from sagas.engine.outbox import OutboxCommands
from sagas.models.services import ServiceKind
from sagas.participants import known_services
from sagas.participants.local import BAD_ARGUMENTS, CODE_AWAITED_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagas.core.outcome import Outcome
    from sagas.engine.clock import Clock
    from sagas.engine.outbox import InThread
    from sagas.participants.base import Accepted, Call
    from sagas.participants.known_services import KnownService

KNOWN_FOR_S = 1.0  # what was read of the registry is good for so long
GRACE_S = 1.0  # beyond the time-out, for what carries attempts out to say so itself


class HttpCaller(Protocol):
    """Carries requests out."""

    async def perform(self, action: HttpAction, call: Call, service: KnownService) -> Outcome | Accepted:
        """Carry out one attempt within `call.timeout_s` seconds."""

    async def close(self) -> None:
        """Let go of all connections."""


class CommandSender(Protocol):
    """Hands commands to a broker."""

    async def perform(self, action: CommandAction, call: Call, service: KnownService) -> Outcome | Accepted:
        """Hand one attempt over; `Accepted` once it is safe that the command will be sent."""

    async def close(self) -> None:
        """Let go of all connections."""


def make_http() -> HttpCaller:
    """Return what carries requests out, where nothing else is said."""
    from sagas.participants.http import HttpParticipants

    return HttpParticipants()


class ServiceCalls:
    """What one pump calls services with."""

    def __init__(
        self,
        in_thread: InThread,
        clock: Clock,
        *,
        http: HttpCaller | None = None,
        commands: CommandSender | None = None,
    ) -> None:
        """Begin with nothing known of the registry.

        Args:
            in_thread: does work in the thread that may read the database.
            clock: the time, for secrets that end.
            http: carries requests out.
            commands: hands commands over.
        """
        self._in_thread = in_thread
        self._clock = clock
        self._http = http or make_http()
        self._commands = commands or OutboxCommands(in_thread, clock)
        self._known: Mapping[str, KnownService] = {}
        self._known_until = 0.0
        self._reading = asyncio.Lock()

    async def perform(
        self, action: HttpAction | CommandAction, call: Call, on_sent: Callable[[], None]
    ) -> Outcome | Accepted:
        """Carry out one attempt; `on_sent` is called just before it leaves.

        Raises:
            asyncio.CancelledError: the pump itself cancelled the attempt, and with it the request.
        """
        service = await self._find(action.service)
        if service is None or (refusal := _refusal(action, call, service)) is not None:
            on_sent()
            if service is None:
                return _missing(SERVICE_UNKNOWN, f"No service called {action.service} is registered.")
            return refusal or _missing(SERVICE_UNKNOWN, "")
        call = replace(call, timeout_s=min(call.timeout_s, service.timeout_s or call.timeout_s))
        on_sent()
        try:
            async with asyncio.timeout(call.timeout_s + GRACE_S):
                if isinstance(action, HttpAction):
                    return await self._http.perform(action, call, service)
                return await self._commands.perform(action, call, service)
        except TimeoutError:
            return Unknown(Error(TIMED_OUT, f"No answer within {call.timeout_s:g} s."))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.close()
        await self._commands.close()

    async def _find(self, name: str) -> KnownService | None:
        async with self._reading:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._known_until:
                self._known = await self._in_thread(partial(known_services.load, self._clock.carried()))
                self._known_until = loop.time() + KNOWN_FOR_S
        return self._known.get(name)


def _refusal(action: HttpAction | CommandAction, call: Call, service: KnownService) -> Failed | None:
    """Return why an attempt must not leave; None when it may."""
    kind = ServiceKind.HTTP if isinstance(action, HttpAction) else ServiceKind.COMMAND
    if service.kind != kind:
        words = "over HTTP" if kind is ServiceKind.HTTP else "by commands"
        return _missing(SERVICE_KIND, f"Service {service.name} is not one that is called {words}.")
    if not isinstance(action, HttpAction):
        return None
    if action.is_async and not call.callback_url and call.phase is not Phase.PROBE:
        message = f"SAGAWEB_BASE_URL is not set, so {service.name} could not call back. It was not called."
        return _missing(NO_CALLBACK_ADDRESS, message)
    if fault := fault_of(call.arguments, action.method):
        return Failed(Error(BAD_ARGUMENTS, f"Not sent: {fault}."), is_retriable=False)
    return None


def _missing(code: str, message: str) -> Failed:
    """Return the outcome where something is missing that another worker may have, or a person puts there."""
    return Failed(Error(code, message), retry_after_s=CODE_AWAITED_S)
