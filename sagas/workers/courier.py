"""The courier: carries what leaves this house to those it is for, and brings their replies. One process.

Run as `python -m sagas.workers.courier`, under the supervisor, on every worker
host. It holds nothing that would be lost with it: rows say what is to be carried,
and a reply is acknowledged when it is stored.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django must be ready
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from sagas.models import ServiceKind  # noqa: E402
from sagas.participants import known_services  # noqa: E402
from sagas.participants.broker import address  # noqa: E402
from sagas.workers.bus_line import BusLine  # noqa: E402
from sagas.workers.command_line import CommandLine  # noqa: E402
from sagas.workers.event_line import EventLine  # noqa: E402
from sagas.workers.webhook_line import WebhookLine  # noqa: E402

if TYPE_CHECKING:
    from types import FrameType

    from sagas.workers.line import Line

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the registry
STILL_S_MAX = 60.0  # a line that has not turned for so long hangs
STOP_S = 4.0
EXIT_HANGS = 70  # EX_SOFTWARE of sysexits.h


class Courier:
    """Keeps a line to each broker that services stand behind, one that delivers webhooks, one for events."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, bool], CommandLine] = {}
        self._webhooks = WebhookLine()
        self._events = EventLine()
        url = getattr(settings, "SAGAWEB_EVENTS_URL", "")
        self._bus = [BusLine(url)] if url else []
        self._is_over = threading.Event()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End soon. Safe in a signal handler."""
        self._is_over.set()

    def work(self) -> int:
        """Carry until told to stop; return the exit status."""
        self._webhooks.start()
        self._events.start()
        for bus in self._bus:
            bus.start()
        while not self._is_over.wait(LOOK_S):
            try:
                self._look()
            except Exception:  # whatever it is: the lines go on, and the next look comes soon
                log.warning("A look at the registry of services broke; looking again", exc_info=True)
                connections.close_all()
            hanging = [line for line in self._all() if line.still_s() > STILL_S_MAX]
            if hanging:
                log.error("The line to %s hangs: the courier starts again.", hanging[0].shown)
                os._exit(EXIT_HANGS)
        for line in self._all():
            line.stop()
        until = time.monotonic() + STOP_S
        for line in self._all():
            line.join(max(0.0, until - time.monotonic()))
        return 0

    def _all(self) -> list[Line]:
        return [*self._lines.values(), self._webhooks, self._events, *self._bus]

    def _look(self) -> None:
        """Open lines to brokers that are new, tell the others which services stand behind them, close the rest."""
        behind: dict[tuple[str, bool], list[known_services.KnownService]] = {}
        for service in known_services.load(timezone.now()).values():
            if service.kind == ServiceKind.COMMAND:
                behind.setdefault((address(service), service.allow_private), []).append(service)
        for door in [door for door in self._lines if door not in behind]:
            self._lines.pop(door).stop()
        for door, services in behind.items():
            if door not in self._lines:
                url, allow_private = door
                self._lines[door] = CommandLine(url, allow_private=allow_private)
                self._lines[door].serve(services)
                self._lines[door].start()
            self._lines[door].serve(services)


def main() -> int:
    """Run until SIGTERM; return the exit status."""
    courier = Courier()
    signal.signal(signal.SIGTERM, courier.stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which tells us
    return courier.work()


if __name__ == "__main__":
    sys.exit(main())
