"""Our supervisor: it keeps a web process and a worker group running, and leaves nothing behind.

Each child leads its own session, so that the whole of it can be killed at once, and
dies with us (`parent.py`). An exit status is never trusted: a child that ended
without being asked is started again, whatever it said.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from sagas.workers.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

log = logging.getLogger(__name__)

TICK_S = 0.1
STABLE_S = 2.0  # a child that was up for so long did not fail at its start
WAIT_S_MAX = 10.0  # between two starts of a child that keeps ending at once
STARTS_MAX = 5  # of a child that never came up, then its supervisor gives up
COURIER_STOP_S = 6.0  # for a broker's last confirmation
SHIFT_GRACE_S = 5.0  # a pump's own time for ending a shift
CLEAN_S = 2.0  # for the last words to the database, and for killed processes to vanish


class ChildNeverUpError(Exception):
    """A child ended at each of its first starts; the reason is in its own output."""


class Child:
    """One process that is kept running, as the leader of its own session."""

    def __init__(self, name: str, module: Sequence[str], *, stop_s: float, answers: Callable[[], bool]) -> None:
        """`module` is a module's name and its arguments; `stop_s` its time to end after SIGTERM.

        `answers` is asked until it says yes once for each start: the child is up.
        """
        self.name = name
        self.stop_s = stop_s
        self.is_up = False
        self._module = tuple(module)
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None
        self._up_at = 0.0
        self._start_at = 0.0  # not before
        self._was_ever_up = False
        self._failures = 0  # starts in a row that did not last

    def arguments(self) -> tuple[str, ...]:
        """Return the module to run, and its arguments."""
        return self._module

    def start(self) -> None:
        """Start it. Only from the main thread: the kernel ends a child with the thread that made it."""
        command = (sys.executable, "-m", "sagas.workers.parent", str(os.getpid()), *self.arguments())
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([sys.path[0] or ".", *_python_path()])}
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=2,  # stdout belongs to the supervisor's few lines
            start_new_session=True,
        )
        self.is_up = False

    def tend(self) -> None:
        """Start it, start it again, or see whether it has come up. Called at each tick.

        Raises:
            ChildNeverUpError: it never came up, and it is of no use to go on.
        """
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self.start()
            return
        status = self._process.poll()
        if status is not None:
            self._again(f"ended with {status}")
        elif not self.is_up and self._answers():
            self.is_up = self._was_ever_up = True
            self._up_at = time.monotonic()

    def _again(self, why: str) -> None:
        """Kill what is left of it and plan the next start: soon, but not in a tight circle."""
        has_lasted = self.is_up and time.monotonic() - self._up_at >= STABLE_S
        self.kill()
        self._process = None
        self.is_up = False
        self._failures = 0 if has_lasted else self._failures + 1
        if self._failures >= STARTS_MAX and not self._was_ever_up:
            raise ChildNeverUpError(f"The {self.name} ended at each of {STARTS_MAX} starts; see the lines above.")
        wait_s = min(WAIT_S_MAX, 0.25 * 2**self._failures) if self._failures > 1 else 0.0
        self._start_at = time.monotonic() + wait_s
        log.error("The %s %s; starting it again in %.1f s.", self.name, why, wait_s)

    def ask_to_end(self) -> None:
        """Send SIGTERM to the main process alone: in a worker group it tells the others itself."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    @property
    def has_ended(self) -> bool:
        """Whether the main process is gone."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """Kill all that is left of it, and wait until it has vanished."""
        if self._process is None:
            return
        group = self._process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self._process.wait()
        until = time.monotonic() + CLEAN_S
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < until:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(-group, os.WNOHANG)  # as the first process of a container we inherit its orphans
                os.killpg(group, 0)
                time.sleep(0.01)

    def close(self) -> None:
        """Clean up after the last stop."""


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


class WorkerGroup(Child):
    """A django-q2 cluster of ours, with a new name at each start, so that nothing old is mistaken for it."""

    def __init__(self, pumps: int) -> None:
        super().__init__(
            "worker group",
            (),
            stop_s=SHIFT_GRACE_S + 5.0,
            answers=lambda: self._watch is not None and self._watch.has_beaten,
        )
        self.pumps = pumps
        self.group = ""
        self._watch: Watch | None = None

    def arguments(self) -> tuple[str, ...]:
        """Return the cluster's module, the group's name, and the number of its pumps."""
        return ("sagas.workers.cluster", self.group, str(self.pumps))

    def start(self) -> None:
        """Start a cluster under a new name, and a watch over it; the rows of the last one are removed."""
        self.group = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        super().start()
        if self._watch:
            self._watch.close(wait_s=0)
        self._watch = Watch(self.group, self.pumps)
        self._watch.start()

    def tend(self) -> None:
        """As for every child; and start it again when it makes no progress."""
        if self._process is not None and self._watch is not None and self._watch.fault:
            self._again(f"was killed: {self._watch.fault}")
        super().tend()

    def close(self) -> None:
        """Remove the rows of the group."""
        if self._watch:
            self._watch.close(wait_s=CLEAN_S)


def courier_child() -> Child:
    """Return the process that hands commands to brokers and brings their replies."""
    return Child("courier", ("sagas.workers.courier",), stop_s=COURIER_STOP_S, answers=lambda: True)


class Supervisor:
    """Keeps its children running until a signal says stop."""

    def __init__(self, children: Sequence[Child], *, when_ready: Callable[[], None]) -> None:
        """`when_ready` is called once, when all children are up."""
        self._children = children
        self._when_ready = when_ready
        self._signals = 0

    def run(self) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP; a second one kills at once.

        Raises:
            ChildNeverUpError: a child could not be brought up at all.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        is_ready = False
        try:
            while not self._signals:
                for child in self._children:
                    child.tend()
                if not is_ready and all(child.is_up for child in self._children):
                    is_ready = True
                    self._when_ready()
                time.sleep(TICK_S)
        finally:
            self._end()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _end(self) -> None:
        asked_at = time.monotonic()
        for child in self._children:
            child.ask_to_end()
        waiting = list(self._children)
        while waiting and self._signals <= 1:
            waiting = [child for child in waiting if not child.has_ended and time.monotonic() - asked_at < child.stop_s]
            time.sleep(TICK_S / 2)
        for child in self._children:
            child.kill()
        for child in self._children:
            child.close()
