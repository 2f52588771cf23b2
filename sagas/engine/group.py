"""Group commit: transitions that finish while a commit is under way share the next one."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError

from sagas.engine import journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from uuid import UUID

    from sagas.engine.journal import Append

logger = logging.getLogger(__name__)

GROUP_MAX = 500  # one statement stays below a few megabytes and some tens of milliseconds
QUIET_RUNS = 4  # with so few in hand, latency matters and a group cannot form
LINGER_S_MAX = 0.005
TRIES_MAX = 3  # of a group that the database rolled back for another's sake


class Refused(Exception):  # noqa: N818 - a verdict of the database, not a fault of ours
    """The database refuses the data of this transition."""


class GroupCommit:
    """Collects transitions on the event loop and writes them in the journal's thread."""

    def __init__(self, executor: Executor, held_count: Callable[[], int]) -> None:
        """Write through `executor`, a single thread; `held_count` says how many runs are in hand."""
        self._executor = executor
        self._held_count = held_count
        self._waiting: list[tuple[Append, asyncio.Future[bool]]] = []
        self._has_work = asyncio.Event()
        self._commit_s = 0.001
        self.written = 0

    async def append(self, item: Append) -> bool:
        """Write one transition; return whether it was written. False means that the run is not ours any more.

        Raises:
            Refused: the database refuses its data.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._has_work.set()
        return await done

    async def work(self) -> None:
        """Write group after group until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._has_work.wait()
            if self._held_count() > QUIET_RUNS and len(self._waiting) < GROUP_MAX:
                await asyncio.sleep(min(LINGER_S_MAX, 5 * self._commit_s))
            group = self._take_group()
            if not self._waiting:
                self._has_work.clear()
            began = time.monotonic()
            try:
                written, refused = await loop.run_in_executor(self._executor, _write, [item for item, _ in group])
            except (OperationalError, InterfaceError):
                # Nobody knows whether it was committed. No participant is called;
                # the rows tell when the runs are claimed anew.
                logger.exception("A commit of %d runs broke; they will be claimed anew", len(group))
                written, refused = set(), set()
            except Exception:  # whatever it is: without this thread of work every run in hand would wait for ever
                logger.exception("A commit of %d runs failed; they will be claimed anew", len(group))
                written, refused = set(), set()
            self._commit_s = time.monotonic() - began
            self.written += len(written)
            for item, done in group:
                if done.done():
                    continue
                if item.run_id in refused:
                    done.set_exception(Refused())
                else:
                    done.set_result(item.run_id in written)

    def _take_group(self) -> list[tuple[Append, asyncio.Future[bool]]]:
        """Take what waits, each run once.

        A pump that slept past its lease may have claimed a run anew while its
        older driver still writes: two transitions of one run, under two tokens.
        In one statement they would be mistaken for each other.
        """
        group: list[tuple[Append, asyncio.Future[bool]]] = []
        later: list[tuple[Append, asyncio.Future[bool]]] = []
        seen: set[UUID] = set()
        for item, done in self._waiting:
            if len(group) < GROUP_MAX and item.run_id not in seen:
                seen.add(item.run_id)
                group.append((item, done))
            else:
                later.append((item, done))
        self._waiting = later
        return group


def _write(batch: list[Append]) -> tuple[set[UUID], set[UUID]]:
    tries = 0
    while True:
        try:
            return journal.append(batch), set()
        except journal.RunDataError as error:
            return error.written, error.refused
        except OperationalError as error:
            tries += 1
            if tries == TRIES_MAX or not _is_rolled_back(error):
                raise


def _is_rolled_back(error: OperationalError) -> bool:
    """Whether the database itself says that nothing was written: a deadlock or a serialization failure."""
    return getattr(error.__cause__, "sqlstate", None) in {"40P01", "40001"}
