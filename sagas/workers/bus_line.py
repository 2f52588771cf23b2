"""The line to the exchange of events: one thread takes in what services publish, one publishes what is ours."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from sagas.choreography import bus
from sagas.choreography.router import take
from sagas.models import DeadReply, EventOrigin
from sagas.participants.broker import BrokerError
from sagas.participants.event_bus import EventBus, Heard
from sagas.queries.commands import broker_shown

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

IDLE_S = 0.1
PUBLISHED_MAX = 100  # at a time
PAUSE_S, PAUSE_S_MAX = 0.25, 5.0
WHY_LENGTH_MAX = 300


class BusLine:
    """Both directions."""

    def __init__(self, url: str) -> None:
        """`url` holds the password, and is never shown."""
        self.shown = broker_shown(url)
        self._url = url
        self._is_over = threading.Event()
        self._turned = dict.fromkeys(("events in", "events out"), time.monotonic())
        self._threads = [
            threading.Thread(target=self._keep, args=(name, work), name=name, daemon=True)
            for name, work in (("events in", self._listen), ("events out", self._publish))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End soon."""
        self._is_over.set()

    def join(self, wait_s: float) -> None:
        """Wait for the end, so long at most."""
        for thread in self._threads:
            thread.join(wait_s)

    def still_s(self) -> float:
        """Return for how long the slower of the two threads has not come round, in seconds."""
        return time.monotonic() - min(self._turned.values())

    def _keep(self, name: str, work: Callable[[EventBus], None]) -> None:
        pause_s = PAUSE_S
        while not self._is_over.is_set():
            began = time.monotonic()
            line = EventBus(self._url)
            try:
                work(line)
            except BrokerError as error:
                log.warning("The broker at %s cannot be reached for %s: %s", self.shown, name, error)
            except (DatabaseError, InterfaceError):
                log.warning("The database cannot be reached for %s", name, exc_info=True)
            except Exception:
                log.exception("The line for %s broke; it starts again", name)
            finally:
                line.close()
                connections.close_all()
            pause_s = PAUSE_S if time.monotonic() - began > PAUSE_S_MAX else min(2 * pause_s, PAUSE_S_MAX)
            until = time.monotonic() + pause_s
            while time.monotonic() < until and not self._is_over.wait(0.1):
                self._turned[name] = time.monotonic()

    def _listen(self, line: EventBus) -> None:
        def is_over() -> bool:
            self._turned["events in"] = time.monotonic()
            return self._is_over.is_set()

        line.listen(self._take, is_over)

    def _take(self, heard: list[Heard]) -> None:
        """Store what came, then say so to the broker: what is not acknowledged is delivered again."""
        events = [one.event for one in heard if one.event is not None]
        take(events, origin=EventOrigin.BROKER, by=self.shown)
        DeadReply.objects.bulk_create(
            DeadReply(
                broker=self.shown,
                why=f"No event: {one.problems[0].message}"[:WHY_LENGTH_MAX],
                size_bytes=one.size_bytes,
                at=timezone.now(),
            )
            for one in heard
            if one.event is None
        )
        for one in heard:
            one.accept()

    def _publish(self, line: EventBus) -> None:
        while not self._is_over.is_set():
            self._turned["events out"] = time.monotonic()
            rows = bus.to_publish(PUBLISHED_MAX)
            if rows:
                line.publish([bus.as_cloud_event(row) for row in rows])
                bus.published(rows)
            else:
                line.rest()
                self._is_over.wait(IDLE_S)
