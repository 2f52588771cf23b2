"""A line of the courier: threads, each of which does one kind of work until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections

from sagas.participants.broker import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

PAUSE_S, PAUSE_S_MAX = 0.25, 5.0  # between two tries to reach a broker or the database


class Line:
    """Threads that begin and end together. Each writes down when it came round, so that one that hangs is seen."""

    def __init__(self, shown: str, works: Mapping[str, Callable[[], None]]) -> None:
        """`shown` is what people read of it; `works` are what its threads do, by their names."""
        self.shown = shown
        self._is_over = threading.Event()
        self._turned = dict.fromkeys(works, time.monotonic())
        self._threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End soon."""
        self._is_over.set()

    def join(self, wait_s: float) -> None:
        """Wait for the end, so long at most for each thread."""
        for thread in self._threads:
            thread.join(wait_s)

    def still_s(self) -> float:
        """Return for how long the slowest of its threads has not come round, in seconds."""
        return time.monotonic() - min(self._turned.values())


class BrokerLine(Line):
    """A line to a broker, which may go away for a while."""

    def __init__(self, shown: str, works: Mapping[str, Callable[[], None]]) -> None:
        """As `Line`; each work opens its own connection, and ends when it breaks."""
        super().__init__(shown, {name: partial(self._keep, name, work) for name, work in works.items()})

    def _keep(self, name: str, work: Callable[[], None]) -> None:
        """Do one kind of work until the end, again and again after a broken connection."""
        pause_s = PAUSE_S
        while not self._is_over.is_set():
            began = time.monotonic()
            try:
                work()
            except BrokerError as error:
                log.warning("The broker at %s cannot be reached for %s: %s", self.shown, name, error)
            except (DatabaseError, InterfaceError):
                log.warning("The database cannot be reached for %s of %s", name, self.shown, exc_info=True)
            except Exception:
                log.exception("The %s of %s broke; it starts again", name, self.shown)
            finally:
                connections.close_all()
            if time.monotonic() - began > PAUSE_S_MAX:
                pause_s = PAUSE_S
            until = time.monotonic() + pause_s
            while time.monotonic() < until and not self._is_over.wait(0.1):
                self._turned[name] = time.monotonic()
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
