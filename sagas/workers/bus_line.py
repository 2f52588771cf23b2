"""The line to the exchange of events: one thread takes in what services publish, one publishes what is ours."""

from __future__ import annotations

import time
from contextlib import closing

from django.utils import timezone

from sagas.choreography import bus
from sagas.choreography.router import take
from sagas.models import DeadReply, EventOrigin
from sagas.participants.event_bus import EventBus, Heard
from sagas.queries.commands import broker_shown
from sagas.workers.line import BrokerLine

IDLE_S = 0.1
PUBLISHED_MAX = 100  # at a time
WHY_LENGTH_MAX = 300


class BusLine(BrokerLine):
    """Both directions."""

    def __init__(self, url: str) -> None:
        """`url` holds the password, and is never shown."""
        super().__init__(broker_shown(url), {"events in": self._listen, "events out": self._publish})
        self._url = url

    def _listen(self) -> None:
        def is_over() -> bool:
            self._turned["events in"] = time.monotonic()
            return self._is_over.is_set()

        with closing(EventBus(self._url)) as line:
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

    def _publish(self) -> None:
        with closing(EventBus(self._url)) as line:
            while not self._is_over.is_set():
                self._turned["events out"] = time.monotonic()
                rows = bus.to_publish(PUBLISHED_MAX)
                if rows:
                    line.publish([bus.as_cloud_event(row) for row in rows])
                    bus.published(rows)
                else:
                    line.rest()
                    self._is_over.wait(IDLE_S)
