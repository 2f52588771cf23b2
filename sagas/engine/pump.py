"""A pump: claims due runs and drives hundreds of them at once, for one shift.

Three kinds of threads: the event loop, where runs are driven and which never
touches the database; the journal thread, which claims and writes; and the lease
thread, which renews and beats whatever user code does. Actions have pools of
their own (`perform.py`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from django.db import DatabaseError, InterfaceError, connection, connections

from sagas import wakeups
from sagas.core.due import due_at
from sagas.engine import lease, slot, stored, unread
from sagas.engine.clock import Clock
from sagas.engine.drive import Driver
from sagas.engine.group import GroupCommit
from sagas.engine.journal_thread import JournalThread
from sagas.engine.law import law_of
from sagas.engine.perform import LATE_MAX, Performer
from sagas.engine.service_calls import ServiceCalls
from sagas.models import Order, SagaRun
from sagas.participants import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor
    from datetime import datetime
    from uuid import UUID

    from sagas.core.definition import Definition
    from sagas.core.outcome import Outcome
    from sagas.core.state import RunState
    from sagas.engine.service_calls import CommandSender, HttpCaller

logger = logging.getLogger(__name__)

HELD_MAX = 500  # runs in hand: with their payloads some tens of megabytes
CLAIM_MAX = 100  # a larger batch keeps the journal's thread from committing
INBOX_EVERY_S = 0.25  # rule 21 of the law
POLL_S = 0.5  # beside the bell
POLL_WITHOUT_BELL_S = 0.03
STOP_GRACE_S = 3.0
LOOP_STILL_S_MAX = 20.0  # of an event loop; far more than a busy machine or a large claim takes
DRAIN_S_MAX = 200.0  # after a shift, for the attempts still in flight; below the task's time-out

Result = TypeVar("Result")
Claimed = tuple["UUID", int, "Definition", "RunState", "list[Order]"]


def run_shift(
    group: str,
    number: int,
    *,
    length_s: float,
    should_stop: Callable[[], bool],
    hand_over: Callable[[], None] | None = None,
) -> int:
    """Be the pump of one slot for a shift; returns at once when a live pump holds it.

    Args:
        group: the worker group the slot belongs to.
        number: the slot, from 0.
        length_s: for so long new runs are claimed, seconds; then what is in flight is drained.
        should_stop: asked every fraction of a second; true gives the runs back and ends the shift soon.
        hand_over: called in the journal's thread once the slot is free for the next
            shift, while attempts of this one may still be in flight. Not called on a stop.

    Raises:
        Exception: a module with actions cannot be imported; whatever it raised.

    Returns:
        How many threads are left behind in actions that have not come back. No
        thread can be stopped; the process is to end before there are too many.
    """
    registry.discover()  # a worker whose participants cannot be imported takes no run
    clock = Clock()
    try:
        token = slot.take(group, number, clock.read())
    finally:
        connections.close_all()  # the shift's threads have their own
    if token is None:
        return 0
    return asyncio.run(_work(group, number, token, clock, length_s, should_stop, hand_over))


async def _work(  # the loop must run before a pump is made
    group: str,
    number: int,
    token: int,
    clock: Clock,
    length_s: float,
    should_stop: Callable[[], bool],
    hand_over: Callable[[], None] | None,
) -> int:
    pump = Pump(group, number, token, clock)
    await pump.work(length_s, should_stop, hand_over)
    return pump.performer.late


class Pump:
    """One shift of one pump."""

    def __init__(
        self,
        group: str,
        number: int,
        token: int,
        clock: Clock,
        *,
        database: Executor | None = None,
        performer: Performer | None = None,
        http: HttpCaller | None = None,
        commands: CommandSender | None = None,
    ) -> None:
        """Hold slot `number` of worker group `group` under `token`.

        Args:
            group: the worker group.
            number: the slot.
            token: what `slot.take` returned.
            clock: the time.
            database: a single thread that claims and writes; one of its own when None.
            performer: carries out attempts of Python actions; one of its own when None.
            http: carries out those that are requests to services.
            commands: hands over those that are commands.
        """
        self.clock = clock
        self.performer = performer or Performer()
        self.services = ServiceCalls(self.in_journal_thread, clock, http=http, commands=commands)
        self._slot = (group, number, token)
        self._database = database or JournalThread()
        self.one_suspect = asyncio.Lock()  # held by the one run that may be what ends workers (`Driver._is_suspect`)
        self.group = GroupCommit(self._database, lambda: len(self._drivers))
        self._drivers: dict[UUID, Driver] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._bell = asyncio.Event()
        self._is_over = threading.Event()
        self._is_slot_ours = True
        self._loop_at = clock.carried()
        self._turned = time.monotonic()
        self._beaten = 0
        self._next_due: datetime | None = None

    async def work(
        self, length_s: float, should_stop: Callable[[], bool], hand_over: Callable[[], None] | None
    ) -> None:
        """Claim and drive until the shift is over, then drain."""
        loop = asyncio.get_running_loop()
        self._start_threads(loop)
        background = [
            asyncio.create_task(work) for work in (self.group.work(), self._watch_inboxes(), self._keep_turning())
        ]
        ends_at = loop.time() + length_s
        try:
            while loop.time() < ends_at and not should_stop() and self._is_slot_ours and not self._is_worn_out():
                await self._claim_once(should_stop, ends_at)
            is_stop = should_stop() or not self._is_slot_ours
            if not is_stop:
                await loop.run_in_executor(self._database, self._free_slot, hand_over)
            await self._drain(STOP_GRACE_S if is_stop or self._is_worn_out() else DRAIN_S_MAX, should_stop)
            await self._let_go_of_all()
        finally:
            self._is_over.set()
            for task in [*background, *self._tasks.values()]:
                task.cancel()
            await asyncio.gather(*background, *self._tasks.values(), return_exceptions=True)
            await self.services.close()
            await loop.run_in_executor(self._database, self.performer.close)
            await loop.run_in_executor(self._database, self._free_slot, None)
            await loop.run_in_executor(self._database, connections.close_all)
            self._database.shutdown(wait=False)

    def _start_threads(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew leases and listen for the bell beside the loop, so that user code that holds it does no harm."""
        threading.Thread(target=self._keep_leases, name="lease", daemon=True).start()
        threading.Thread(target=self._listen, args=(loop,), name="bell", daemon=True).start()

    def _is_worn_out(self) -> bool:
        """Whether so many actions have not come back that others may wait for ever."""
        return self.performer.late >= LATE_MAX

    async def in_journal_thread(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, done in the thread that writes."""
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    def in_background(self, work: Callable[[Outcome], None], outcome: Outcome) -> None:
        """Have `work` done in the thread that writes; nobody waits for it."""
        with suppress(RuntimeError):  # the shift is over
            self._database.submit(work, outcome)

    # ---- claiming --------------------------------------------------------------

    async def _claim_once(self, should_stop: Callable[[], bool], ends_at: float) -> None:
        """Claim a batch, or wait until something may be due."""
        loop = asyncio.get_running_loop()
        self._bell.clear()
        self._next_due = None  # what was parked before this moment, the claim or the look below sees
        room = min(CLAIM_MAX, HELD_MAX - len(self._drivers))
        claimed: Sequence[Claimed] = ()
        if room > 0:
            try:
                claimed = await loop.run_in_executor(self._database, self._claim, room)
                if not claimed and connection.vendor == "postgresql":
                    self._note_due(await loop.run_in_executor(self._database, lease.next_due))
            except (DatabaseError, InterfaceError):
                logger.warning("A claim broke; trying again", exc_info=True)
        for run_id, token, definition, state, orders in claimed:
            self._take(Driver(self, run_id, token, definition, state), orders)
        if claimed:
            await asyncio.sleep(0)
            return
        wait_s = self._poll_s()
        rung = asyncio.create_task(self._bell.wait())
        until = min(loop.time() + wait_s, ends_at)
        while not rung.done() and loop.time() < until and not should_stop():
            await asyncio.wait([rung], timeout=min(0.1, max(0.0, until - loop.time())))
        rung.cancel()

    def _poll_s(self) -> float:
        if connection.vendor != "postgresql":
            return POLL_WITHOUT_BELL_S
        if self._next_due is None:
            return POLL_S
        wait_s = (self._next_due - self.clock.carried()).total_seconds()
        # What is overdue and was not won is locked by somebody: asking without a pause would keep a core busy.
        return min(POLL_S, wait_s) if wait_s > 0 else POLL_WITHOUT_BELL_S

    def _note_due(self, due: datetime | None) -> bool:
        """Wake at `due`, and return whether that is sooner than what is known."""
        is_sooner = due is not None and (self._next_due is None or due < self._next_due)
        if is_sooner:
            self._next_due = due
        return is_sooner

    def _claim(self, limit: int) -> list[Claimed]:
        """In the journal's thread: claim, and read all that is needed to drive what was won."""
        now = self.clock.now()
        if connection.vendor == "sqlite" and not SagaRun.objects.filter(due_at__lte=now).exists():
            return []  # a claim takes the write lock even when nothing is due
        tokens = lease.claim(limit, now=now)
        if not tokens:
            return []
        runs = list(SagaRun.objects.filter(id__in=tokens))
        stored.attach_versions(runs)
        states = stored.load(runs)
        laws = {version_id: law_of(version_id) for version_id in {run.version_id for run in runs}}
        waiting = {run.id: run.inbox_done for run in runs if run.inbox_last > run.inbox_done}
        orders = stored.load_orders(list(waiting), waiting) if waiting else {}
        claimed: list[Claimed] = []
        for run in runs:
            if run.id not in states:
                continue
            token, state, asked = tokens[run.id], states[run.id], orders.get(run.id, [])
            law = laws[run.version_id]
            if law.definition is None:
                unread.leave(run, token, law.why, state, asked, now)
            else:
                claimed.append((run.id, token, law.definition, state, asked))
        return claimed

    def _take(self, driver: Driver, orders: list[Order]) -> None:
        if (older := self._drivers.get(driver.run_id)) is not None:
            self.drop(older)  # we slept past its lease and have claimed the run anew: its token is old
        self._drivers[driver.run_id] = driver
        task = asyncio.create_task(driver.drive(orders))
        self._tasks[driver.run_id] = task
        task.add_done_callback(lambda done: self._ended(driver, done))

    def _ended(self, driver: Driver, task: asyncio.Task[None]) -> None:
        if self._tasks.get(driver.run_id) is task:
            del self._tasks[driver.run_id]
            del self._drivers[driver.run_id]
        if not task.cancelled() and task.exception() is not None:
            logger.error("Driving run %s broke; it will be claimed anew", driver.run_id, exc_info=task.exception())
        if self._note_due(due_at(driver.state)):
            self._bell.set()

    def drop(self, driver: Driver) -> None:
        """Forget a run that is not ours any more."""
        task = self._tasks.get(driver.run_id)
        if task is not None and self._drivers.get(driver.run_id) is driver:
            task.cancel()

    # ---- ending ----------------------------------------------------------------

    async def _drain(self, grace_s: float, should_stop: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_s
        is_stopping = should_stop()
        while self._tasks and loop.time() < until:
            await asyncio.wait(list(self._tasks.values()), timeout=0.1)
            if should_stop() and not is_stopping:
                is_stopping, until = True, min(until, loop.time() + STOP_GRACE_S)

    async def _let_go_of_all(self) -> None:
        await asyncio.gather(*(driver.let_go() for driver in list(self._drivers.values())), return_exceptions=True)

    def _free_slot(self, hand_over: Callable[[], None] | None) -> None:
        if self._is_slot_ours:
            self._is_slot_ours = False
            slot.free(*self._slot)
            if hand_over is not None:
                hand_over()

    # ---- watching --------------------------------------------------------------

    async def _watch_inboxes(self) -> None:
        """Look at the inboxes of the runs in hand, each quarter of a second."""
        loop = asyncio.get_running_loop()
        while True:
            seen = {run_id: driver.orders_seen for run_id, driver in self._drivers.items()}
            found: dict[UUID, list[Order]] = {}
            if seen:
                try:
                    found = await loop.run_in_executor(self._database, _new_orders, seen)
                except Exception:  # whatever it is: the next look comes soon, and nobody else looks
                    logger.warning("A look at the inboxes broke; looking again", exc_info=True)
            for run_id, orders in found.items():
                if run_id in self._drivers:
                    self._drivers[run_id].take_orders(orders)
            await asyncio.sleep(INBOX_EVERY_S)

    async def _keep_turning(self) -> None:
        """Show the lease thread that the loop turns, whatever the database does."""
        while True:
            self._loop_at, self._turned = self.clock.carried(), time.monotonic()
            await asyncio.sleep(INBOX_EVERY_S)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        def heard() -> None:
            with suppress(RuntimeError):  # the shift is over, and its loop with it
                loop.call_soon_threadsafe(self._bell.set)

        while not self._is_over.is_set():
            try:
                wakeups.listen(heard, self._is_over.is_set)
                return
            except Exception:
                logger.warning("The bell's connection broke; listening again in a second", exc_info=True)
                connections.close_all()
                self._is_over.wait(1.0)

    def _keep_leases(self) -> None:
        """In the lease thread: renew what is held and beat, several times in a lease."""
        every_s = _renew_every_s()
        while not self._is_over.wait(every_s):
            if time.monotonic() - self._turned > LOOP_STILL_S_MAX:
                logger.error(
                    "The event loop has stood still for %.0f s, as when an async action blocks: the runs are left to"
                    " other pumps", LOOP_STILL_S_MAX,
                )  # fmt: skip
                self._is_slot_ours = False
                break
            try:
                self._renew()
            except Exception:  # whatever it is: a thread that ended here would cost every run in hand its lease
                logger.warning("A renewal of leases broke; again in %.1f s", every_s, exc_info=True)
                connections.close_all()
        connections.close_all()

    def _renew(self) -> None:
        """Renew all leases in one statement, forget what somebody else has claimed, and beat."""
        now = self.clock.read()
        drivers = dict(self._drivers)
        held = [(run_id, driver.token) for run_id, driver in drivers.items()]
        for run_id in lease.renew(held, now=now) if held else ():
            drivers[run_id].forget_from_thread()  # that one, not one that has claimed the run meanwhile
        if self._is_slot_ours:
            self._beat(now, len(held))

    def _beat(self, now: datetime, held: int) -> None:
        written = self.group.written
        loop_at, driven = self._loop_at, written - self._beaten
        if slot.beat(*self._slot, now=now, loop_at=loop_at, held=held, driven=driven):
            self._beaten = written
        elif self._is_slot_ours:
            logger.warning("The slot of pump %s of %s was taken by another pump", self._slot[1], self._slot[0])
            self._is_slot_ours = False


def _renew_every_s() -> float:
    """Several times in a lease, in seconds."""
    return min(1.0, lease.length() / timedelta(seconds=5))


def _new_orders(seen: dict[UUID, int]) -> dict[UUID, list[Order]]:
    behind = {run_id: seen[run_id] for run_id, number in lease.inboxes(seen) if number > seen[run_id]}
    return stored.load_orders(list(behind), behind) if behind else {}
