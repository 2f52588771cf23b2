"""One clock for all: the database's on PostgreSQL, this host's on SQLite.

Between two readings of the database a process counts on by its own monotonic
clock, so that a jump of the host's time moves nothing.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connection

_STALE_S = 60.0


class Clock:
    """The database's time, read now and then and carried on in between."""

    def __init__(self) -> None:
        """Start unread: the first `now` asks the database."""
        self._at = datetime.min.replace(tzinfo=UTC)
        self._mark = float("-inf")

    def now(self) -> datetime:
        """Return the time, UTC. Asks the database when the last reading is old: never call it on an event loop."""
        if time.monotonic() - self._mark > _STALE_S:
            self.read()
        return self.carried()

    def carried(self) -> datetime:
        """Return the time counted on from the last reading. Never blocks."""
        return self._at + timedelta(seconds=time.monotonic() - self._mark)

    def read(self) -> datetime:
        """Ask the database, and return what it said."""
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT clock_timestamp()")
                self._at = cursor.fetchone()[0]
        else:
            self._at = datetime.now(UTC)
        self._mark = time.monotonic()
        return self._at
