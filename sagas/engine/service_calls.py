"""Calling services: one attempt of an action over HTTP or by a command, handed to what carries such attempts out.

The registry is read in the journal's thread, once a second at most, whatever the
number of attempts. A service that is not there, or of another kind, is missed as
code is: the attempt fails without effect and is tried again, and then a person is asked.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from django.db import DatabaseError, InterfaceError

from sagas.core.definition import CommandAction, HttpAction
from sagas.core.http_request import fault_of
from sagas.core.outcome import (
    NO_CALLBACK_ADDRESS,
    SERVICE_FULL,
    SERVICE_HELD,
    SERVICE_KIND,
    SERVICE_SICK,
    SERVICE_UNKNOWN,
    TIMED_OUT,
    Error,
    Failed,
    Rejected,
    Unknown,
)
from sagas.core.vocabulary import Phase
from sagas.engine.gate import Gate, Read, exchange
from sagas.engine.outbox import OutboxCommands
from sagas.models.services import BreakerState, ServiceKind
from sagas.participants import known_services
from sagas.participants.local import BAD_ARGUMENTS, CODE_AWAITED_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sagas.core.outcome import Outcome
    from sagas.engine.clock import Clock
    from sagas.engine.outbox import InThread
    from sagas.engine.room import Room
    from sagas.participants.base import Accepted, Call
    from sagas.participants.known_services import KnownService

logger = logging.getLogger(__name__)

IN_LINE_S = 1.0  # an attempt waits so long in hand for a place
FULL_S, HELD_S = 1.0, 20.0  # and then comes again after so long or later, each at a moment of its own (`Room`)
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
        self._keeping: asyncio.Task[None] | None = None
        self.gate = Gate()

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
        if (waits := await self._enter(service.name)) is not None:
            on_sent()
            return waits
        on_sent()
        began, outcome = self._clock.carried(), None
        try:
            outcome = await self._send(action, call, service)
        finally:
            self._leave(service.name, began, outcome)
        return outcome

    async def _send(self, action: HttpAction | CommandAction, call: Call, service: KnownService) -> Outcome | Accepted:
        try:
            async with asyncio.timeout(call.timeout_s + GRACE_S):
                if isinstance(action, HttpAction):
                    return await self._http.perform(action, call, service)
                return await self._commands.perform(action, call, service)
        except TimeoutError:
            return Unknown(Error(TIMED_OUT, f"No answer within {call.timeout_s:g} s."))

    async def _enter(self, name: str) -> Failed | None:
        """Take a place before a service, after a moment if need be; else say why the attempt waits outside."""
        if self.gate.took(name, self._clock.carried()):
            return None
        found = self.gate.find(name)
        if found is not None and not found[1].is_held and found[0].stand.state is BreakerState.CLOSED:
            turn = found[0].line_up()
            with suppress(TimeoutError):
                await asyncio.wait_for(turn, IN_LINE_S)
            if self.gate.took(name, self._clock.carried()):
                return None
        return outside(name, self.gate.find(name), self._clock.carried())

    def _leave(self, name: str, began: datetime, outcome: Outcome | Accepted | None) -> None:
        now = self._clock.carried()
        if outcome is None:
            self.gate.left(name, now)
            return
        error = "" if is_answer(outcome) else f"{outcome.error.code}: {outcome.error.message}"  # type: ignore[union-attr]
        is_refusal = isinstance(outcome, Rejected)
        self.gate.ended(name, began=began, now=now, dice=random.random(), error=error, is_refusal=is_refusal)

    async def close(self) -> None:
        """Let go of all connections."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            changes, tallies, now = self.gate.changes(), self.gate.counted(), self._clock.carried()
            with suppress(DatabaseError, InterfaceError, RuntimeError):  # what was counted last is worth one try
                await self._in_thread(lambda: exchange(changes, tallies, now))
        await self._http.close()
        await self._commands.close()

    async def _find(self, name: str) -> KnownService | None:
        async with self._reading:
            if asyncio.get_running_loop().time() >= self._known_until:
                await self._read()
            if self._keeping is None:
                self._keeping = asyncio.create_task(self._keep_in_step())
        return self._known.get(name)

    async def _read(self) -> None:
        """Tell the other pumps what was seen of services, and read what they and people did."""
        now = self._clock.carried()
        changes, tallies = self.gate.changes(), self.gate.counted()

        def work() -> tuple[Mapping[str, KnownService], list[Read]]:
            return known_services.load(now), exchange(changes, tallies, now)

        self._known, read = await self._in_thread(work)
        self._known_until = asyncio.get_running_loop().time() + KNOWN_FOR_S
        self.gate.take_in(read, self._clock.carried())

    async def _keep_in_step(self) -> None:
        """From the first call on: exchange once a second, also when nobody calls."""
        while True:
            await asyncio.sleep(KNOWN_FOR_S)
            try:
                async with self._reading:
                    await self._read()
            except (DatabaseError, InterfaceError):
                logger.warning("What services came to could not be exchanged; again in a second", exc_info=True)


def outside(name: str, found: tuple[Room, Read] | None, now: datetime) -> Failed:
    """Return what an attempt comes to that waits before a service: it was not sent, and uses up nothing."""
    if found is None:
        return _before(SERVICE_FULL, f"Nothing is known of {name} yet.", FULL_S)
    room, read = found
    if read.is_held:
        why = f": {read.held_reason}" if read.held_reason else ""
        message = f"{name} is held by {read.held_by or 'somebody'}{why}"
        code, earliest = SERVICE_HELD, now + timedelta(seconds=HELD_S)
    elif (stand := room.stand.looked_at(now)).state is BreakerState.CLOSED or stand.try_at is None:
        message = f"{name} has as many calls in flight as it may."
        code, earliest = SERVICE_FULL, now + timedelta(seconds=FULL_S)
    else:
        message = f"{name} does not answer; the first calls are let in again at {stand.try_at:%H:%M:%S} UTC."
        code, earliest = SERVICE_SICK, max(now + timedelta(seconds=FULL_S), stand.try_at)
    return _before(code, message, (room.turn_away(now, code, earliest) - now).total_seconds())


def _before(code: str, message: str, retry_after_s: float) -> Failed:
    return Failed(Error(code, message), retry_after_s=retry_after_s, is_counted=False)


def is_answer(outcome: Outcome | Accepted) -> bool:
    """Whether a service answered, be it with a no: what it says of the attempt is another question."""
    if not isinstance(outcome, Failed | Unknown):
        return True
    status = outcome.error.code.removeprefix("http_")
    return status.isdecimal() and status < "500" and status != "408"


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
