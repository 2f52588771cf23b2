"""A machine that dies at a chosen point: one thread, a clock that jumps, a database in memory.

Everything durable goes past `Machine.point`: each SQL statement, each COMMIT and
each participant's effect, before and after. Where the machine dies, what was not
committed is rolled back, and from then on nothing can be stored or called: every
later point raises as well, until the machine is buried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper

from sagas.engine import pump
from sagas.engine.clock import Clock

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
POINTS_MAX = 20_000  # of one life: more means that the run never comes to rest


class Died(BaseException):
    """The machine is dead. No code under test may survive it, so it is no Exception."""


class StuckError(AssertionError):
    """Nothing will ever happen any more, or the same things for ever."""


class Machine:
    """Counts the points of a life, and dies at one of them."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.skew_s = 0.0  # what the clock on the wall is ahead of the time that passes, or behind it
        self.faults: list[str] = []  # what the engine complained of while it was alive
        self.trace: list[str] | None = None
        self.on_point: Callable[[int, str], None] | None = None
        self.lives = 0
        self.reached = 0
        self._dies_at = 0
        self.is_dead = False
        self.is_resting = True  # no life: what the tests themselves ask of the database is no point
        self.is_unwinding = False
        self.connection = _memory(self)

    def live(self, dies_at: int = 0) -> None:
        """Begin a life that ends at point `dies_at`; 0: it does not."""
        self.lives += 1
        self.reached, self._dies_at = 0, dies_at
        self.is_dead = self.is_resting = False

    def point(self, what: str) -> None:
        """Be at a point where the machine may die.

        Raises:
            Died: it does, or it is dead already.
        """
        if self.is_dead:
            raise Died
        if self.is_resting:
            return
        self.reached += 1
        if self.trace is not None:
            self.trace.append(what)
        if self.reached > POINTS_MAX:
            raise StuckError(f"The run does not come to rest: {POINTS_MAX} points, the last one {what}")
        if self.reached == self._dies_at:
            self.is_dead = True
            self.connection.connection.rollback()  # what the database does with what was not committed
            logging.disable(logging.CRITICAL)  # whatever a dead process says is not heard
            raise Died
        if self.on_point is not None:
            self.on_point(self.reached, what)

    def bury(self) -> None:
        """Forget what the dead process had in its memory of the connection."""
        logging.disable(logging.NOTSET)
        self.is_dead, self.is_resting, self._dies_at = False, True, 0
        wrapper = self.connection
        if wrapper.connection.in_transaction:
            raise AssertionError("A dead machine has left a transaction open")
        wrapper.in_atomic_block = wrapper.needs_rollback = wrapper.closed_in_transaction = False
        wrapper.savepoint_ids, wrapper.atomic_blocks, wrapper.run_on_commit = [], [], []
        wrapper.autocommit = wrapper.commit_on_exit = True
        wrapper.errors_occurred = False

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now_s + self.skew_s)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database past the engine: no point, seen by nobody."""
        return self.connection.connection.execute(sql, values).fetchall()

    def run(self, main: Callable[[], Any]) -> None:
        """Run the coroutine of `main` on a loop of virtual time.

        Raises:
            Died: the machine died; all of its tasks are gone.
        """
        loop = VirtualLoop(self)
        loop.set_exception_handler(self._heard)
        try:
            loop.run_until_complete(main())
        finally:
            self.is_unwinding = True  # the loop turns once more, so that nothing is left waiting
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.is_unwinding = False
            loop.close()

    def _heard(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.is_dead and not isinstance(context.get("exception"), Died):
            self.faults.append(f"the loop complained: {context.get('message')} {context.get('exception')!r}")


class VirtualClock(Clock):
    """The machine's time."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def now(self) -> datetime:
        return self._machine.now()

    carried = read = now


class _Selector:
    """Instead of waiting, time goes on; what waits for nothing that can come is stuck."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def select(self, timeout: float | None = None) -> list[Any]:
        machine = self._machine
        if machine.is_unwinding:
            machine.now_s += timeout or 0.0
            return []
        if machine.is_dead:
            raise Died
        if timeout is None:
            raise StuckError("Everything waits, and nothing will come")
        machine.now_s += timeout or 0.0
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop without sockets whose time jumps to the next timer."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._selector = _Selector(machine)

    def time(self) -> float:
        return self._machine.now_s

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class InlineExecutor(Executor):
    """Does everything at once, in the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - as a thread's executor does
            future.set_exception(error)
        return future


class InlinePump(pump.Pump):
    """The pump, with its lease thread as a task of the loop."""

    def _start_threads(self, loop: asyncio.AbstractEventLoop) -> None:
        self._keeping = loop.create_task(self._keep())

    async def _keep(self) -> None:
        while not self._is_over.is_set():
            await asyncio.sleep(pump._renew_every_s())
            self._renew()


def _memory(machine: Machine) -> DatabaseWrapper:
    """Open a database in memory whose statements and commits are points."""
    default = connections.settings["default"]
    wrapper = DatabaseWrapper(
        {**default, "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None,
         "OPTIONS": {"transaction_mode": "IMMEDIATE"}},
        "default",
    )  # fmt: skip
    commit = wrapper._commit

    def counted(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if machine.is_resting:
            return execute(sql, params, many, context)
        machine.point(f"before {sql[:70]}")
        answer = execute(sql, params, many, context)
        machine.point(f"after {sql[:70]}")
        return answer

    def counted_commit() -> None:
        if machine.is_resting:
            commit()
            return
        machine.point("before COMMIT")
        commit()
        machine.point("after COMMIT")

    wrapper._commit = counted_commit  # type: ignore[method-assign]
    wrapper.execute_wrappers.append(counted)
    wrapper.inc_thread_sharing()
    return wrapper


@contextmanager
def in_its_place(machine: Machine) -> Iterator[None]:
    """Make the machine's database the default one, inside the event loop as well (Django keeps one for each)."""
    with patch.object(connections, "_connections", SimpleNamespace(default=machine.connection)):
        yield
