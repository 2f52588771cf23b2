"""The product with the mixed sagas, on a database of its own, and what a test asks of it."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from typing import Any

import psutil

from tests.running import Place, Running, are_gone, wait_for

SETTINGS = {"SAGAWEB_DEMO": "1", "DJANGO_SETTINGS_MODULE": "tests.mixed.settings"}
COUNT = 300


class Mixed:
    """Starts commands of the product, and the runs."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place = place
        self._stack = stack
        stack.callback(self.close)
        self.call("prepare()")

    def start(self, *arguments: str) -> Running:
        running = Running(self.place, *arguments, **SETTINGS)
        self._stack.callback(running.close)
        return running

    def begin(self, call: str) -> Running:
        """Begin a call of `tests.mixed.orders` in a process of its own."""
        return self.start("shell", "-v", "0", "-c", f"from tests.mixed.orders import *; {call}")

    def call(self, call: str) -> str:
        """Make it, and return the last line it printed."""
        return self._done(self.begin(call))

    @staticmethod
    def _done(running: Running) -> str:
        assert running.wait() == 0, running.errors
        return running.lines[-1] if running.lines else ""

    def final(self) -> int:
        return int(self.place.read("SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NOT NULL")[0][0])

    def under_way(self) -> int:
        """Return how many runs are begun and not final."""
        return int(
            self.place.read("SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NULL AND sequence > 1")[0][0]
        )

    def judged(self, number: int) -> dict[str, Any]:
        verdict: dict[str, Any] = json.loads(self.call(f"judge({number})"))
        assert not verdict["faults"], verdict["faults"]
        return verdict

    def processes(self) -> list[psutil.Process]:
        """Return every process that has our data folder in its environment, whoever its parent is by now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SAGAWEB_DATA_DIR") == str(self.place.folder):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def close(self) -> None:
        """Kill what a failed test left, orphans too."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def nothing_is_left_behind(self) -> None:
        wait_for(lambda: are_gone(self.processes()), "every process gone", within_s=5)
