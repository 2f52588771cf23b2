"""A world of several runs: pumps beside each other, threads that hang, a clock that is set, things in between."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sagas.core.vocabulary import Phase, RunStatus, StepKey, idempotency_key
from sagas.models import Saga, SagaRun, SagaVersion
from tests.engine.stored_run import state_of
from tests.simulation.definitions import MORE, SOURCES
from tests.simulation.machine import InlineExecutor, InlinePump, Machine
from tests.simulation.script import OK, Half
from tests.simulation.world import World, burial_s

SAGAS = ("order", "beside", "pivot", "many", "waiting", "outer", "patient", "asking", "hurried", *MORE)
ALL_SAGAS = (*SOURCES, *MORE, "inner")
ANY_STEP = ""
SHIFT_S_MAX = 120.0
SOON_S = 0.5  # what is due later than that is not waited for: the clock jumps there
PROGRESS_S = 5.0  # L1: what is due is looked at within the lease and so many seconds
STOOD_S = 2.0  # how long another pump works while one stands still

Act = Callable[[], None]


@dataclass(frozen=True)
class Between:
    """Something that happens in the middle of a life: at its point `at`, or as soon after it as it can."""

    at: int
    act: Act


class HangingExecutor(InlineExecutor):
    """Threads of which the next few do not come back before they are let."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        crowd = self._crowd
        if not crowd.hangs:
            return super().submit(fn, *args, **kwargs)
        crowd.hangs -= 1
        crowd.hung.append(lambda: fn(*args, **kwargs))
        return Future()


class Crowd(World):
    """Several runs of several sagas, of which versions come."""

    tables = (*World.tables, SagaVersion._meta.db_table, Saga._meta.db_table)

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.tally: Counter[str] = Counter()  # what has happened, over all examples
        self.begin()

    def begin(self) -> None:
        """Nothing has happened yet."""
        self.restore(self.nothing)
        self.machine.skew_s = 0.0
        self.plans: dict[Half, list[str]] = {}  # how the next calls are answered; well when nothing is said
        self.hangs = 0  # how many of the next plain calls do not come back for now
        self.hung: list[Act] = []
        self.pumps: list[InlinePump] = []
        self._alive_since = 0.0

    # ---- what participants meet ---------------------------------------------------

    def name_of(self, key: str) -> str:
        """Return the key itself: there are several runs."""
        return key

    def key_of(self, run: SagaRun, step: StepKey, phase: str) -> str:
        """Return the key under which a half is tried at present."""
        half = state_of(run).step(step).half(Phase(phase))
        return idempotency_key(str(run.id), step, Phase(phase), half.edition)

    def has_happened(self, key: str) -> bool:
        """Whether a half had its effect, or the sub-saga that it started is completed."""
        child = SagaRun.objects.filter(start_key=key, parent__isnull=False).first()
        return super().has_happened(key) if child is None else child.status == RunStatus.COMPLETED

    def next_answer(self, half: Half) -> str:
        """Return what was planned for this half, of whatever run."""
        for planned in (half, (ANY_STEP, half[1])):
            if plan := self.plans.get(planned):
                return plan.pop(0)
        return OK

    def heal(self, half: Half) -> None:
        """Forget what was planned for a half."""
        self.plans.pop(half, None)
        self.plans.pop((ANY_STEP, half[1]), None)

    def executor(self, _size: int, name: str, _open: Callable[[], None]) -> InlineExecutor:
        """Let plain actions hang; an atomic one holds the only write lock."""
        return HangingExecutor(self) if name == "action" else InlineExecutor()

    def come_back(self) -> None:
        """Let the oldest thread that hangs go on: late, in all likelihood."""
        if self.hung:
            self.tally["came back"] += 1
            self.hung.pop(0)()

    def ring(self) -> None:
        """Ring every pump that is there, for nothing; whatever else rang was lost."""
        for pump in self.pumps:
            pump._bell.set()

    # ---- lives --------------------------------------------------------------------

    def drive(self, length_s: float, *, pumps: int = 1, dies_at: int = 0, between: Sequence[Between] = ()) -> None:
        """Let pumps work for so long, or until all runs rest, or the machine dies."""
        self.machine.on_point = self._watch(list(between))
        with self.life(dies_at):
            self.machine.run(lambda: self._work(length_s, range(pumps)))
            dies_at = 0
        self.machine.on_point = None
        self.tally["died" if dies_at else "lives"] += 1
        if dies_at:
            self.hung.clear()  # its threads are dead as well
        self.pumps.clear()

    async def _work(self, length_s: float, slots: Sequence[int]) -> None:
        self._alive_since = self.machine.now_s
        until = self.machine.now_s + length_s
        made = [pump for number in slots if (pump := self.new_pump(number)) is not None]
        self.pumps += made
        await asyncio.gather(
            *(pump.work(SHIFT_S_MAX, lambda: self.machine.now_s >= until or self.is_quiet(), None) for pump in made)
        )

    def _watch(self, todo: list[Between]) -> Callable[[int, str], None]:
        """Do each thing at its point: not within a transaction, where nobody else can write, nor amid a statement."""
        wrapper = self.machine.connection

        def look(point: int, what: str) -> None:
            if not todo or point < todo[0].at or what.startswith("after "):
                return
            if wrapper.autocommit and not wrapper.connection.in_transaction:
                self.machine.is_resting = True  # what others do is no point of this life
                todo.pop(0).act()
                self.machine.is_resting = False

        return look

    def stand_still(self) -> None:
        """Let the machine sleep past its lease, while another pump works on what it holds."""
        self.tally["stood still"] += 1
        self.machine.now_s += burial_s()
        other = threading.Thread(target=self._stand_in)
        other.start()
        other.join()

    def _stand_in(self) -> None:
        since = self._alive_since
        try:
            self.machine.run(lambda: self._work(STOOD_S, (0, 1)))
        except Exception as error:  # noqa: BLE001 - nobody else would hear of it
            self.faults.append(f"the pump beside one that stood still broke: {error!r}")
        self._alive_since = since

    # ---- time -----------------------------------------------------------------------

    def is_quiet(self) -> bool:
        """Whether nothing is in hand, and nothing due soon; and note what was left lying too long (L1)."""
        now = self.machine.now()
        rows = self.machine.rows(
            "SELECT id, (julianday(coalesce(lease_until, due_at)) - julianday(?)) * 86400.0, lease_until IS NULL"
            " FROM sagas_sagarun WHERE due_at IS NOT NULL", f"{now:%Y-%m-%d %H:%M:%S.%f}",
        )  # fmt: skip
        waited_s = self.machine.now_s - self._alive_since
        for run, due_s, _ in rows:
            if min(-due_s, waited_s) > burial_s() + PROGRESS_S:
                self.faults.append(
                    f"L1 run {run} has been due for {-due_s:.1f} s, with a pump alive for {waited_s:.1f} s"
                )
        return not any(due_s <= SOON_S or not is_free for _, due_s, is_free in rows)

    def rest(self) -> None:
        """Let a pump work until nothing is due any more, however late that is."""
        while True:
            self.drive(SHIFT_S_MAX)
            due = self.machine.rows(
                "SELECT min((julianday(due_at) - julianday(?)) * 86400.0) FROM sagas_sagarun",
                f"{self.machine.now():%Y-%m-%d %H:%M:%S.%f}",
            )[0][0]
            if due is None or self.faults:
                return
            self.machine.now_s += max(due, SOON_S)
