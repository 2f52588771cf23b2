"""Carrying events on: what reactions of ours emitted goes to all who name it; what was buffered too long is parked."""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError, InterfaceError, connections

from sagas.choreography.router import park_expired, route_waiting
from sagas.workers.line import Line

log = logging.getLogger(__name__)

LOOK_S = 0.25
TAKEN_MAX = 200  # at a time: one transaction


class EventLine(Line):
    """A thread of the courier."""

    def __init__(self) -> None:
        super().__init__("events", {"events": self._keep})

    def _keep(self) -> None:
        while not self._is_over.is_set():
            self._turned["events"] = time.monotonic()
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
