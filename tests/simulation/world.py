"""What outlives a crash: the database, what participants did, what people know; and how a life is lived."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch
from uuid import UUID

from django.core.management import call_command
from django.db import connection
from django.db.models import Model

from sagas.catalog.publish import publish
from sagas.choreography import delivery, router
from sagas.core import choreography_checks, reactions
from sagas.core.vocabulary import Phase, StepKey
from sagas.engine import commands, deliveries, journal, late, lease, orders, reruns, slot, stored
from sagas.engine.perform import Performer
from sagas.models import EventRoute, JournalEntry, Order, PumpSlot, SagaEvent, SagaRun, StepRun
from tests.simulation import participants
from tests.simulation.choreographies import DEPTH_MAX, LOOPS
from tests.simulation.client import Client
from tests.simulation.definitions import SOURCES, source
from tests.simulation.fence import fenced, raised
from tests.simulation.machine import Died, InlineExecutor, InlinePump, Machine, VirtualClock, in_its_place
from tests.simulation.script import ALWAYS, OK, Half, Script

if TYPE_CHECKING:
    from sagas.participants.base import Call

REST_S_MAX = 600.0
SHIFTS_MAX = 2  # until the run rests: one, or another one when its slot was taken from it
BURIAL_S = 0.1  # over the lease, until the next machine is up
_TABLES = [model._meta.db_table for model in (Order, JournalEntry, StepRun, SagaRun, PumpSlot)]


Rows = tuple[tuple[tuple[Any, ...], ...], ...]  # by table


@dataclass
class Memory:
    """What the world outside of the database remembers."""

    effects: dict[str, int] = field(default_factory=dict)  # of plain participants, by key
    barred: set[str] = field(default_factory=set)
    answered: dict[Half, int] = field(default_factory=dict)
    healed: set[Half] = field(default_factory=set)
    calls: list[tuple[str, int]] = field(default_factory=list)
    run_id: UUID | None = None  # as the client was told
    acknowledged: dict[int, str] = field(default_factory=dict)  # orders, by number
    interrupted: set[Half] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)  # events of the script that were acknowledged, by their place
    taken: set[str] = field(default_factory=set)  # ids of all events that were
    served: set[tuple[str, str]] = field(default_factory=set)  # on which event a service has acted by itself
    outbox: list[tuple[str, str, str]] = field(default_factory=list)  # what services are to publish: id, type, cause

    def copy(self) -> Memory:
        return Memory(
            **{
                name: value.copy() if isinstance(value, (dict, set, list)) else value
                for name, value in vars(self).items()
            }
        )

    def key(self) -> tuple[Any, ...]:
        return tuple(
            tuple(sorted(value.items())) if isinstance(value, dict)
            else frozenset(value) if isinstance(value, set)
            else tuple(value) if isinstance(value, list)
            else value
            for name, value in vars(self).items()
        )  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """The durable state at one moment."""

    now_s: float  # the dead machine's lease has ended by then
    memory: Memory
    rows: Rows

    def key(self, *, is_timed: bool) -> tuple[Any, ...]:
        """Return all that what comes depends on: two crashes that leave the same are one.

        The time is part of it only where there is a deadline: every lease and every
        wait for a retry is over when the next machine comes up.
        """
        return (self.now_s if is_timed else None, self.memory.key(), self.rows)


class World:
    """One world; its database lives as long as it does."""

    tables: Sequence[str] = _TABLES  # that a case may change

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.clock = VirtualClock(machine)
        self.memory = Memory()
        self.client = Client()
        self.script = Script("", "", ())
        self.faults = machine.faults
        raw = machine.connection.connection
        self._tables = {
            table: ", ".join("?" * len(raw.execute(f"PRAGMA table_info({table})").fetchall()))
            for table in (*self.tables, participants.EFFECTS)
        }
        self.nothing = self.snapshot()

    # ---- what is kept ----------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the durable state."""
        return Snapshot(self.machine.now_s, self.memory.copy(), self._rows())

    def _rows(self) -> Rows:
        return tuple(tuple(self.machine.rows(f"SELECT * FROM {table}")) for table in self._tables)

    def restore(self, kept: Snapshot) -> None:
        """Go back to a durable state."""
        raw = self.machine.connection.connection
        raw.execute("BEGIN")
        raw.execute("PRAGMA defer_foreign_keys = ON")
        raw.execute("DELETE FROM sqlite_sequence WHERE name <> 'django_migrations'")
        for (table, marks), rows in zip(self._tables.items(), kept.rows, strict=True):
            raw.execute(f"DELETE FROM {table}")
            if rows:
                raw.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        raw.execute("COMMIT")
        self.memory = kept.memory.copy()
        self.machine.now_s = kept.now_s
        self.faults.clear()

    def watch(self) -> list[Snapshot]:
        """Live to the end, and return what a crash at each point would have left."""
        raw, seen = self.machine.connection.connection, list[Snapshot]()
        rows, version = self._rows(), raw.total_changes

        def look(_point: int, _what: str) -> None:
            nonlocal rows, version
            if not raw.in_transaction and raw.total_changes != version:
                rows, version = self._rows(), raw.total_changes
            seen.append(Snapshot(self.machine.now_s + burial_s(), self.memory.copy(), rows))

        self.machine.on_point = look
        try:
            self.live()
        finally:
            self.machine.on_point = None
        return seen

    def freeze(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Live to the end, but stand still at point `at` past the lease, while somebody else does `meanwhile`.

        In a thread, since the loop that stands still is in this one. Not within a
        transaction, where SQLite's write lock keeps everybody else out, and not right
        after a statement, whose rows may not be fetched yet: both share one connection.
        """
        wrapper = self.machine.connection

        def look(point: int, what: str) -> None:
            if point != at or what.startswith("after "):
                return
            if wrapper.autocommit and not wrapper.connection.in_transaction:
                self.machine.now_s += burial_s()
                other = threading.Thread(target=meanwhile)
                other.start()
                other.join()

        self.machine.on_point = look
        try:
            self.live()
        finally:
            self.machine.on_point = None

    def take_over(self) -> None:
        """Be another pump that drives the run to its rest."""
        self.machine.run(self._shift)

    def claim_only(self) -> None:
        """Be another pump that claims the run and dies before it writes anything."""
        lease.claim(1, now=self.clock.now())

    def tempt(self) -> int:
        """Live to the end while somebody else tries to claim the run at every point where its lease is alive."""
        machine, asked = self.machine, 0

        def look(_point: int, what: str) -> None:
            nonlocal asked
            if what.startswith("after ") or not machine.connection.autocommit or self.machine.is_resting:
                return
            now = machine.now()
            if machine.rows("SELECT 1 FROM sagas_sagarun WHERE lease_until > ?", f"{now:%Y-%m-%d %H:%M:%S.%f}"):
                asked += 1
                machine.is_resting = True  # what the other one asks is no point of this life
                if lease.claim(1, now=now):
                    self.faults.append("S5 a run was claimed under a lease that was alive")
                machine.is_resting = False

        machine.on_point = look
        try:
            self.live()
        finally:
            machine.on_point = None
        return asked

    # ---- what participants and people meet ----------------------------------------

    def note_call(self, call: Call) -> None:
        """An attempt is written down before anybody is called, and each is sent once."""
        key, attempt = self.name_of(call.idempotency_key), call.attempt
        if call.phase is Phase.PROBE:
            key += "?"  # it has none of its own
        half = (call.step, str(call.phase), attempt)
        if (key, attempt) in self.memory.calls:
            self.faults.append(f"{half} was sent twice")
        self.memory.calls.append((key, attempt))
        found = self.machine.rows(
            "SELECT 1 FROM sagas_journalentry WHERE kind = 'attempt_started' AND data->>'step' = ?"
            " AND data->>'phase' = ? AND data->>'number' = ? AND run_id = ?",
            *half, UUID(call.run_id).hex,
        )  # fmt: skip
        if not found:
            self.faults.append(f"{half} was sent before it was written down")

    def name_of(self, key: str) -> str:
        """Return what an idempotency key is called here: there is one run, so without its id."""
        return key.partition(":")[2]

    def next_answer(self, half: Half) -> str:
        """Return how a half answers now."""
        answer, times = self.script.answers.get(half, (OK, 0))
        number = self.memory.answered[half] = self.memory.answered.get(half, 0) + 1
        return OK if half in self.memory.healed or number > times else answer

    def heal(self, half: Half) -> None:
        """What never worked works from now on."""
        if self.script.answers.get(half, (OK, 0))[1] == ALWAYS:
            self.memory.healed.add(half)

    def effects(self) -> dict[str, int]:
        """Return how often each half had its effect, by key."""
        found = dict(self.memory.effects)
        for (effect,) in self.machine.rows(f"SELECT effect FROM {participants.EFFECTS}"):
            found[effect] = found.get(effect, 0) + 1
        return found

    def key_of(self, _run: SagaRun, step: StepKey, phase: str) -> str:
        """Return what the key of a half is called here."""
        return f"{step}:{phase}"

    def has_happened(self, key: str) -> bool:
        """Whether a half had its effect, under whatever edition of its key."""
        return any(effect.partition("#")[0] == key.partition("#")[0] for effect in self.effects())

    # ---- a life ----------------------------------------------------------------

    def live(self, dies_at: int = 0) -> bool:
        """Live from the durable state to the run's end; return whether it was reached before the machine died."""
        with self.life(dies_at):
            self.client.start(self)
            while True:
                for _ in range(SHIFTS_MAX):
                    self.machine.run(self._shift)
                    if self._is_at_rest():
                        break
                if not self.client.act_at_rest(self):
                    return True
        return False

    @contextmanager
    def life(self, dies_at: int = 0) -> Iterator[None]:
        """Live for what is done within: to its end, or until point `dies_at`; then the dead machine is buried."""
        machine = self.machine
        random.seed(0)
        stored._version.cache_clear()  # a new process knows no version yet
        machine.live(dies_at)
        try:
            yield
        except Died:
            pass
        finally:
            is_dead = machine.is_dead
            machine.bury()
            if is_dead:
                machine.now_s += burial_s()

    async def _shift(self) -> None:
        pump = self.new_pump(0)
        if pump is not None:  # else it was taken while this pump stood still
            await pump.work(REST_S_MAX, self._is_at_rest, None)

    def new_pump(self, number: int) -> InlinePump | None:
        """Take slot `number`, and return its pump; none when a live one has it."""
        token = slot.take("simulated", number, self.clock.now())
        if token is None:
            return None
        performer = Performer(self.executor)
        return InlinePump("simulated", number, token, self.clock, database=InlineExecutor(), performer=performer)

    def executor(self, _size: int, _name: str, _open: Callable[[], None]) -> InlineExecutor:
        """Return what carries out actions of one kind."""
        return InlineExecutor()

    def _is_at_rest(self) -> bool:
        return not self.machine.rows("SELECT 1 FROM sagas_sagarun WHERE due_at IS NOT NULL")


def burial_s() -> float:
    """How long it takes until the lease of a dead machine is over and the next one is up."""
    return lease.length().total_seconds() + BURIAL_S


W = TypeVar("W", bound=World)


class _Heard(logging.Handler):
    """What the engine calls an error is one: nothing breaks in these worlds but the machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(logging.ERROR)
        self._machine = machine

    def emit(self, record: logging.LogRecord) -> None:
        self._machine.faults.append(f"the engine logged: {record.getMessage()} {record.exc_info}")


@contextmanager
def a_world(kind: type[W] = World, sagas: Sequence[str] = (*SOURCES, "inner")) -> Iterator[W]:  # type: ignore[assignment]
    """Make a world in which `sagas` are published; the default database is its own meanwhile."""
    machine = Machine()
    with in_its_place(machine), patch.dict("os.environ", {"DJANGO_ALLOW_ASYNC_UNSAFE": "1"}):
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {participants.EFFECTS} (effect TEXT NOT NULL)")
        for name in sagas:
            # What goes round for ever was once published, before that was refused.
            with patch.object(choreography_checks, "check") if name in LOOPS else nullcontext():
                publish(source(name), by="tests")
        world = kind(machine)
        heard, log = _Heard(machine), logging.getLogger("sagas")
        log.addHandler(heard)
        log.setLevel(logging.ERROR)  # a lost answer is scripted, and said with its traceback each time
        numbers = _Numbers(machine, SagaRun)
        participants.here.append(world)
        try:
            with (
                patch.object(commands, "_clock", world.clock),
                patch.object(orders, "_clock", world.clock),
                patch.object(late, "_clock", world.clock),
                patch.object(deliveries, "_subscriptions", tuple),  # else read by the real clock: no two runs alike
                patch.object(router, "_clock", world.clock),
                patch.object(reactions, "EVENT_DEPTH_MAX", DEPTH_MAX),
                patch.object(commands, "uuid7", numbers),
                patch.object(delivery, "uuid7", numbers),
                patch.object(reruns, "uuid7", numbers),
                patch.object(Order._meta.get_field("id"), "_get_default", _Numbers(machine, Order)),
                patch.object(SagaEvent._meta.get_field("id"), "_get_default", _Numbers(machine, SagaEvent)),
                patch.object(EventRoute._meta.get_field("id"), "_get_default", _Numbers(machine, EventRoute)),
                patch.object(journal, "write", fenced(machine, journal.write)),
                patch.object(lease, "claim", raised(machine, lease.claim)),
            ):
                yield world
        finally:
            participants.here.remove(world)
            log.removeHandler(heard)
            log.setLevel(logging.NOTSET)
            machine.connection.connection.close()


class _Numbers:
    """Ids that are the same each time: after the highest one that is stored, and those that this life has given."""

    def __init__(self, machine: Machine, model: type[Model]) -> None:
        self._machine = machine
        self._table = model._meta.db_table
        self._given = (0, 0)  # in which life, and the last one

    def __call__(self) -> UUID:
        highest = int(self._machine.rows(f"SELECT max(id) FROM {self._table}")[0][0] or "70008000000000000000", 16)
        life, last = self._given
        if life == self._machine.lives:
            highest = max(highest, last)
        self._given = (self._machine.lives, highest + 1)
        return UUID(int=highest + 1)
