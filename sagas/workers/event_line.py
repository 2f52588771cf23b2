"""Carrying events on: what reactions of ours emitted goes to all who name it; what was buffered too long is parked."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, InterfaceError, connections

from sagas.choreography.router import park_expired, route_waiting

log = logging.getLogger(__name__)

LOOK_S = 0.25
TAKEN_MAX = 200  # at a time: one transaction


class EventLine:
    """A thread of the courier."""

    shown = "events"

    def __init__(self) -> None:
        self._is_over = threading.Event()
        self._turned = time.monotonic()
        self._thread = threading.Thread(target=self._keep, name="events", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._is_over.set()

    def join(self, wait_s: float) -> None:
        """Wait for the end, so long at most."""
        self._thread.join(wait_s)

    def still_s(self) -> float:
        """Return for how long the line has not come round, in seconds."""
        return time.monotonic() - self._turned

    def _keep(self) -> None:
        while not self._is_over.is_set():
            self._turned = time.monotonic()
            try:
                count = route_waiting(TAKEN_MAX)
                park_expired(TAKEN_MAX)
            except (DatabaseError, InterfaceError):
                log.warning("The database cannot be reached for events", exc_info=True)
                connections.close_all()
                count = 0
            except Exception:
                log.exception("Carrying events broke; it starts again")
                count = 0
            if count < TAKEN_MAX:
                self._is_over.wait(LOOK_S)
        connections.close_all()
