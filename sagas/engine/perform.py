"""Carrying out one attempt: in the loop, in a thread, or in a transaction together with its entry."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection, connections

from sagas.core.outcome import TIMED_OUT, Error, Failed, Outcome, Succeeded, Unknown
from sagas.participants import local, registry
from sagas.participants.errors import NotAwaitedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from django.db.backends.base.base import BaseDatabaseWrapper

    from sagas.participants.base import Call
    from sagas.participants.registry import Action

THREADS = 16  # plain actions at once in one pump; each may hold a database connection
ATOMIC_THREADS = 4
LATE_MAX = 48  # threads beside these that never came back: no thread can be stopped, and each holds memory
SQLITE_ATOMIC_S_MAX = 2.0  # an atomic action holds the only write lock there is
SQLITE_LONG_S = 0.05  # an atomic action that took longer leaves the lock alone for a moment:
SQLITE_GAP_S = 0.12  # who waits for it looks again each 100 ms at the latest (SQLite's own pauses)


class _Pool:
    """The threads for one kind of action.

    `size` of them work on attempts that somebody awaits. One whose attempt timed
    out does not count among those, so actions that never come back do not stop
    the others: not before `LATE_MAX` of them.
    """

    def __init__(self, size: int, executor: Executor) -> None:
        self.executor = executor
        self.late = 0
        self._free = asyncio.Semaphore(size)

    async def take_place(self) -> None:
        """Wait until one more attempt may be carried out."""
        await self._free.acquire()

    def time_out(self) -> bool:
        """Give the place of an attempt that timed out to another; false when too many are late."""
        if self.late >= LATE_MAX:
            return False
        self.late += 1
        self._free.release()
        return True

    def come_back(self, *, is_late: bool) -> None:
        """Note that a thread is back; `is_late` is what `time_out` said of it."""
        if is_late:
            self.late -= 1
        else:
            self._free.release()


class Performer:
    """The threads of one pump, and the time-outs."""

    def __init__(self, make_executor: Callable[[int, str, Callable[[], None]], Executor] = ThreadPoolExecutor) -> None:
        """Make the pools; their threads start when they are needed.

        `make_executor` is given how many threads at most, their name, and what each does first.
        """
        self.is_single_writer = connection.vendor == "sqlite"
        self._connections: list[BaseDatabaseWrapper] = []

        def pool(size: int, name: str) -> _Pool:
            return _Pool(size, make_executor(size + LATE_MAX, name, self._open_thread))

        self._gap_until = 0.0
        self._plain = pool(THREADS, "action")
        self._atomic = pool(1 if self.is_single_writer else ATOMIC_THREADS, "atomic")

    @property
    def late(self) -> int:
        """How many threads have not come back from an attempt whose time is over."""
        return self._plain.late + self._atomic.late

    def _open_thread(self) -> None:
        """In each new thread of a pool: note its connections, so that `close` can end them from outside."""
        for alias in connections:
            connections[alias].inc_thread_sharing()
            self._connections.append(connections[alias])

    def close(self) -> None:
        """Start nothing more, and end the threads' connections.

        A thread that does not come back is left behind, since it cannot be stopped;
        without its connection it cannot commit anything late either.
        """
        for pool in (self._plain, self._atomic):
            pool.executor.shutdown(wait=False, cancel_futures=True)
        for known in self._connections:
            if known.connection is not None:
                with suppress(DatabaseError, InterfaceError):
                    known.close()

    async def perform(
        self, name: str, call: Call, on_sent: Callable[[], None], on_late: Callable[[Outcome], None]
    ) -> Outcome:
        """Carry out an attempt that is not atomic.

        `on_sent` is called when it leaves the queue for a thread; `on_late`, in that
        thread, with what it comes to when nobody waits for that any more: after the
        time-out, or when the run was lost, or the shift is over.
        """
        action = registry.find(name)
        if action is None:
            return local.not_registered(name)
        if action.is_async:
            on_sent()
            return await local.perform_async(action, call)
        await self._plain.take_place()
        on_sent()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        is_late = False
        end = threading.Lock()  # of the wait: taken by whoever ends it, the thread that comes back or the time

        def time_out() -> None:
            nonlocal is_late
            is_late = self._plain.time_out()
            if end.acquire(blocking=False) and not answer.done():
                answer.set_result(Unknown(Error(TIMED_OUT, f"No answer within {call.timeout_s:g} s.")))

        def come_back(outcome: Outcome, *, is_awaited: bool) -> None:
            timer.cancel()
            self._plain.come_back(is_late=is_late)
            if is_awaited and not answer.done():
                answer.set_result(outcome)
            elif is_awaited:  # given up in the moment in which the thread came back
                with suppress(RuntimeError):  # the pools are closed
                    self._plain.executor.submit(_say_late, on_late, outcome)

        def work() -> None:
            outcome = local.perform_plain(action, call)
            is_awaited = end.acquire(blocking=False)
            if not is_awaited:
                _say_late(on_late, outcome)
            try:
                loop.call_soon_threadsafe(partial(come_back, outcome, is_awaited=is_awaited))
            except RuntimeError:  # the shift is over, and its loop with it
                if is_awaited:
                    _say_late(on_late, outcome)

        timer = loop.call_later(call.timeout_s, time_out)
        self._plain.executor.submit(work)
        try:
            return await answer
        except asyncio.CancelledError:
            end.acquire(blocking=False)
            raise

    async def perform_atomic(
        self, action: Action, call: Call, commit: Callable[[Succeeded], None], on_sent: Callable[[], None]
    ) -> Outcome | None:
        """Carry out an atomic attempt; None when it and its entry are committed.

        `commit` runs in the thread, inside the transaction. After the time-out
        nothing can be committed any more, so the outcome is a definite failure.

        Raises:
            participants.errors.CommitUncertainError: the connection was lost in COMMIT.
        """
        timeout_s = min(call.timeout_s, SQLITE_ATOMIC_S_MAX) if self.is_single_writer else call.timeout_s
        is_late = has_begun = False

        def commit_in_time(outcome: Succeeded) -> None:
            nonlocal has_begun
            has_begun = True
            if is_late:
                raise NotAwaitedError
            commit(outcome)

        late = Failed(Error(TIMED_OUT, f"Not done within {timeout_s:g} s; rolled back."))
        await self._atomic.take_place()
        await self._leave_gap()
        on_sent()
        began = asyncio.get_running_loop().time()
        done = asyncio.wrap_future(self._atomic.executor.submit(local.perform_atomic, action, call, commit_in_time))
        has_lost_place = False

        def come_back(_: object) -> None:
            now = asyncio.get_running_loop().time()
            self._gap_until = now + SQLITE_GAP_S if self.is_single_writer and now - began > SQLITE_LONG_S else 0.0
            self._atomic.come_back(is_late=has_lost_place)

        done.add_done_callback(come_back)
        try:
            return await asyncio.wait_for(asyncio.shield(done), timeout_s)
        except TimeoutError:
            is_late = True
            if not self.is_single_writer and not has_begun:
                has_lost_place = self._atomic.time_out()
                return late
        outcome = await done  # a commit that had begun in time may still have won
        return None if outcome is None else late

    async def _leave_gap(self) -> None:
        """Keep off SQLite's write lock for a moment after an action that held it long.

        The lock is not fair: without a gap one atomic action after the other takes
        it, and leases, journal and web wait until they lapse.
        """
        wait_s = self._gap_until - asyncio.get_running_loop().time()
        if wait_s > 0:
            try:
                await asyncio.sleep(wait_s)
            except BaseException:
                self._atomic.come_back(is_late=False)
                raise


def _say_late(on_late: Callable[[Outcome], None], outcome: Outcome) -> None:
    """Tell of a late return, in the action's thread; its connections do not outlive a shift that is over."""
    try:
        on_late(outcome)
    finally:
        connections.close_all()
