"""Driving one run that is in hand: decide, write, ask participants, repeat. It decides nothing itself."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.definition import CommandAction, HttpAction, SubSaga
from sagas.core.due import due_at
from sagas.core.outcome import EXPRESSION_ERROR, NOT_SENT, WORKER_LOST, Error, Failed, Outcome, Succeeded, Unknown
from sagas.core.vocabulary import AttemptKey, Phase, StepKey, WaitingFor, idempotency_key
from sagas.engine import children, journal, late, stored
from sagas.engine.append_slot import acquire_from_thread
from sagas.engine.call import call_of
from sagas.engine.children import NotOursError
from sagas.engine.group import Refused
from sagas.engine.hiding import find_lost, opened_order, opened_state
from sagas.engine.journal import Append
from sagas.participants import probe, registry
from sagas.participants.base import Accepted
from sagas.participants.errors import CommitUncertainError, NotAwaitedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sagas.core.definition import Definition
    from sagas.core.state import RunState
    from sagas.engine.pump import Pump
    from sagas.models import Order
    from sagas.participants.base import Call

logger = logging.getLogger(__name__)

DATA_REFUSED = "data_refused"
SUSPECT_AFTER = 2  # deaths of a worker in a row with an attempt of the run in flight


class LetGo(Exception):  # noqa: N818 - not an error: somebody else drives the run now, or will
    """The run is not ours any more."""


class Driver:
    """One run in hand, from claim to release."""

    def __init__(self, pump: Pump, run_id: UUID, token: int, definition: Definition, state: RunState) -> None:
        """Take the run as it was stored when it was claimed under `token`."""
        self.pump = pump
        self.run_id = run_id
        self.token = token
        self.definition = definition
        self.state = opened_state(definition.redaction, state)
        self.orders_seen = state.inbox_done
        self._inbox: asyncio.Queue[m.Command | None] = asyncio.Queue()  # None: only look again
        self._loop = asyncio.get_running_loop()
        self._writing = asyncio.Lock()  # one append of a run is in flight at a time
        self._attempts: dict[AttemptKey, asyncio.Task[None]] = {}
        self._is_unsent: set[AttemptKey] = set()
        self._plain_attempts: set[AttemptKey] = set()  # those that may come back when nobody waits for them any more

    async def drive(self, orders: Sequence[Order]) -> None:
        """Drive the run until nothing of it is in flight here."""
        is_alone = self._is_suspect()
        commands: list[m.Command] = []
        if is_alone:
            await self.pump.one_suspect.acquire()
        try:
            now = self.pump.clock.carried()
            commands = [self._lost(key, phase, now) for key, phase in sorted(self.state.awaiting)]
            commands += self._new_orders(orders, now)
            commands.append(m.Look(now, random.random()))
            await self.apply(commands)
            commands = []
            while self.state.awaiting:
                if is_alone and not self._is_suspect():
                    is_alone = False
                    self.pump.one_suspect.release()
                commands = await self._next_commands()
                if commands:
                    await self.apply(commands)
                commands = []  # written
        except LetGo:
            logger.info("Run %s is driven by somebody else now", self.run_id)
        except Refused:
            logger.exception("The database refuses the data of run %s", self.run_id)
        finally:
            if is_alone:
                self.pump.one_suspect.release()
            for attempt in self._attempts.values():
                attempt.cancel()
            self._tell_unheard(commands)

    def _tell_unheard(self, commands: list[m.Command]) -> None:
        """Leave to whoever drives the run now what its attempts came to in our hands, and was not written."""
        while not self._inbox.empty():
            if (left := self._inbox.get_nowait()) is not None:
                commands.append(left)
        for command in commands:
            if not isinstance(command, m.ReportOutcome) or command.attempt not in self._plain_attempts:
                continue
            self.pump.in_background(self._teller(command.attempt), command.outcome)

    def _teller(self, key: AttemptKey) -> Callable[[Outcome], None]:
        """Return what puts the outcome of an attempt into the inbox of its run, from any thread."""
        edition = self.state.step(key.step_key).half(key.phase).edition
        return partial(late.tell, self.run_id, key, edition, self.definition.redaction)

    def _is_suspect(self) -> bool:
        """Whether an attempt of the run was in flight at the death of its worker, twice in a row.

        Perhaps it was what ended the worker, perhaps it only stood beside. One
        suspect at a time is tried in a pump, so the next death accuses one run alone.
        """
        for key, phase in self.state.open:
            step = self.state.step(key)
            losses = step.compensation.lost_in_a_row if phase is Phase.COMPENSATION else step.losses
            if losses and losses + step.half(phase).is_awaiting >= SUSPECT_AFTER:
                return True
        return False

    def _lost(self, key: StepKey, phase: Phase, now: datetime) -> m.ReportOutcome:
        """An attempt that was in flight when its worker lost the run."""
        half = self.state.step(key).half(phase)
        outcome: Outcome
        if half.is_atomic:
            outcome = Failed(Error(WORKER_LOST, "The worker was lost; rolled back."), is_counted=False)
        else:
            message = "The worker was lost; nobody knows whether it happened."
            if phase is Phase.PROBE:
                message = "The worker was lost before the probe answered."
            outcome = Unknown(Error(WORKER_LOST, message), is_counted=False)
        return m.ReportOutcome(AttemptKey(key.step, key.item, phase, half.number), outcome, now, _dice())

    def take_orders(self, orders: Sequence[Order]) -> None:
        """Put orders that came while the run is in hand into its turn."""
        for command in self._new_orders(orders, self.pump.clock.carried()):
            self._inbox.put_nowait(command)

    def _new_orders(self, orders: Sequence[Order], now: datetime) -> list[m.Command]:
        fresh = [order for order in orders if order.number > self.orders_seen]
        self.orders_seen = max([self.orders_seen, *(order.number for order in fresh)])
        return [opened_order(stored.as_command(order, now, random.random())) for order in fresh]

    async def _next_commands(self) -> list[m.Command]:
        """Wait for a report, an order, or a moment at which something of the run is due."""
        due = due_at(self.state)
        wait_s = None if due is None else max(0.0, (due - self.pump.clock.carried()).total_seconds())
        try:
            found = [await asyncio.wait_for(self._inbox.get(), wait_s)]
        except TimeoutError:
            return [m.Look(self.pump.clock.carried(), _dice())]
        while not self._inbox.empty():
            found.append(self._inbox.get_nowait())
        return [command for command in found if command is not None]

    async def apply(self, commands: Sequence[m.Command]) -> None:
        """Decide on `commands`, write what follows, then start the attempts that were written down.

        Raises:
            LetGo: nothing was written; the run belongs to somebody else.
        """
        async with self._writing:
            item = self._decide(commands)
            if not item.events and item.keeps_lease:
                return
            try:
                is_written = await self.pump.group.append(item)
            except Refused:
                item = self._decide([_without_data(command) for command in commands])
                is_written = await self.pump.group.append(item)
            if not is_written:
                raise LetGo
            self.state = item.after
        self._start(item.events)

    def _decide(self, commands: Sequence[m.Command]) -> Append:
        state = self.state
        events: list[tuple[m.Event, datetime]] = []
        for command in commands:
            decision = decide(self.definition, state, command)
            events += [(event, command.now) for event in decision.events]
            state = decision.state
        return Append(
            run_id=self.run_id,
            token=self.token,
            before=self.state,
            after=state,
            events=tuple(events),
            redaction=self.definition.redaction,
            at=commands[-1].now,
            keeps_lease=bool(state.awaiting),
        )

    def _start(self, events: Sequence[tuple[m.Event, datetime]]) -> None:
        for event, _ in events:
            if not isinstance(event, m.AttemptStarted):
                continue
            key = AttemptKey(event.step, event.item, event.phase, event.number)
            half = self.state.step(key.step_key).half(key.phase)
            if half.is_awaiting and half.number == key.number:
                self._is_unsent.add(key)
                self._attempts[key] = attempt = asyncio.create_task(self._attempt(key))
                attempt.add_done_callback(partial(self._forget_attempt, key))

    def _forget_attempt(self, key: AttemptKey, _attempt: asyncio.Task[None]) -> None:
        self._attempts.pop(key, None)

    async def _attempt(self, key: AttemptKey) -> None:
        """Carry out one attempt that is written down, and put what it came to into the run's turn."""
        half = self.definition.by_name[key.step].half(key.phase)
        if half is None:
            raise AssertionError(f"{key} has nothing to call")
        name, call = half.action.name, call_of(self.run_id, self.definition, self.state, key)
        outcome: Outcome | None = find_lost(call.arguments)
        if outcome is not None:
            outcome = probe.as_answer(outcome) if key.phase is Phase.PROBE else outcome
            self._is_unsent.discard(key)
            self._inbox.put_nowait(m.ReportOutcome(key, outcome, self.pump.clock.carried(), _dice()))
            return
        try:
            if isinstance(half.action, SubSaga):
                await self._sub_saga(name, key)
                return
            if isinstance(half.action, HttpAction | CommandAction):
                outcome = await self._service(half.action, key, call)
            elif key.phase is Phase.PROBE:
                outcome = await self._ask(name, key, call)
            elif self.state.step(key.step_key).half(key.phase).is_atomic:
                outcome = await self._atomic(name, key, call)
            else:
                outcome = await self._plain(name, key, call)
        except NotOursError:
            self.pump.drop(self)
            return
        except CommitUncertainError:
            logger.warning("The commit of an atomic action of run %s broke; the run is claimed anew", self.run_id)
            self.pump.drop(self)
            return
        except Exception:  # a fault of ours: without a report the run would wait for ever under a live lease
            logger.exception("Attempt %s of run %s broke; the run is claimed anew", key, self.run_id)
            self.pump.drop(self)
            return
        if outcome is not None:
            self._inbox.put_nowait(m.ReportOutcome(key, outcome, self.pump.clock.carried(), _dice()))

    async def _sub_saga(self, saga: str, key: AttemptKey) -> None:
        """Start the run that the step asks for, or have it undone; its end comes by the inbox."""
        action = self.state.step(key.step_key).action
        action_key = idempotency_key(str(self.run_id), key.step_key, Phase.ACTION, action.edition)
        self._is_unsent.discard(key)
        if key.phase is Phase.COMPENSATION:
            work = partial(children.undo, self.run_id, self.token, key=action_key, now=self.pump.clock.carried())
        else:
            work = partial(
                children.start, self.run_id, self.token, saga, action.input,
                key=action_key, step=str(key.step_key), depth=self.state.depth,
            )  # fmt: skip
        found = await self.pump.in_journal_thread(work)
        now = self.pump.clock.carried()
        if isinstance(found, str):
            self._inbox.put_nowait(m.AcceptAttempt(key, found, now, _dice()))
        else:
            self._inbox.put_nowait(m.ReportOutcome(key, found, now, _dice()))

    async def _plain(self, name: str, key: AttemptKey, call: Call) -> Outcome:
        self._plain_attempts.add(key)
        sent = partial(self._is_unsent.discard, key)
        return await self.pump.performer.perform(name, call, sent, self._teller(key))

    async def _ask(self, name: str, key: AttemptKey, call: Call) -> Outcome:
        return probe.refusal(registry.find(name)) or probe.as_answer(await self._plain(name, key, call))

    async def _service(self, action: HttpAction | CommandAction, key: AttemptKey, call: Call) -> Outcome | None:
        """Have a service carry out an attempt; None when it has taken it on, and says later what became of it."""
        self._plain_attempts.add(key)
        if key.phase is Phase.PROBE and call.arguments is None:
            self._is_unsent.discard(key)
            return Unknown(Error(EXPRESSION_ERROR, "The probe's request has no value, so it was not asked."))
        answer = await self.pump.services.perform(action, call, partial(self._is_unsent.discard, key))
        if isinstance(answer, Accepted):
            now = self.pump.clock.carried()
            self._inbox.put_nowait(m.AcceptAttempt(key, answer.by, now, _dice(), WaitingFor.CALLBACK))
            return None
        return probe.as_said(answer) if key.phase is Phase.PROBE else answer

    async def _atomic(self, name: str, key: AttemptKey, call: Call) -> Outcome | None:
        """Carry out an attempt whose effects and entry commit together; None when they did.

        The run's append slot is taken before the transaction begins where there is
        one write lock for all (SQLite), since a group commit that holds the slot
        would wait for that lock; elsewhere only around the append.
        """
        action = registry.find(name)
        if action is None or not action.is_atomic:  # the code has changed since the attempt was written down
            return await self._plain(name, key, call)
        written: list[Append] = []
        takes_slot_first = self.pump.performer.is_single_writer
        loop = asyncio.get_running_loop()

        def commit(outcome: Succeeded) -> None:
            if not takes_slot_first:
                acquire_from_thread(self._writing, loop)
            try:
                written.append(self._write_atomic(key, outcome))
            except BaseException:
                if not takes_slot_first:
                    with suppress(RuntimeError):  # the shift is over, and its loop with it
                        loop.call_soon_threadsafe(self._writing.release)
                raise

        if takes_slot_first:
            await self._writing.acquire()
        try:
            outcome = await self.pump.performer.perform_atomic(
                action, call, commit, lambda: self._is_unsent.discard(key)
            )
            if outcome is None:
                self.state = written[0].after
        finally:
            if takes_slot_first or written:
                self._writing.release()
        if outcome is None:
            self.pump.group.written += 1
            self._start(written[0].events)
            self._inbox.put_nowait(None)
        return outcome

    def _write_atomic(self, key: AttemptKey, outcome: Succeeded) -> Append:
        """In the action's thread and transaction: write its outcome, if anybody still waits for it."""
        half = self.state.step(key.step_key).half(key.phase)
        if not half.is_awaiting or half.number != key.number:
            raise NotAwaitedError
        item = self._decide([m.ReportOutcome(key, outcome, self.pump.clock.carried(), _dice())])
        if not journal.write([item]):
            raise NotAwaitedError
        return item

    def forget_from_thread(self) -> None:
        """Somebody else has claimed the run (seen by the lease thread)."""
        self._loop.call_soon_threadsafe(self.pump.drop, self)

    async def let_go(self) -> None:
        """Give the run back before its attempts have ended: an orderly stop whose grace is over.

        What still waits for a thread is not sent any more: behind a queue of
        actions a stop would take as long as all of them.
        """
        queued = [attempt for key, attempt in self._attempts.items() if key in self._is_unsent]
        for attempt in queued:
            attempt.cancel()
        await asyncio.gather(*queued, return_exceptions=True)
        now = self.pump.clock.carried()
        commands: list[m.Command] = []
        for key, phase in sorted(self.state.awaiting):
            report = self._lost(key, phase, now)
            if report.attempt in self._is_unsent:
                unsent = Failed(Error(NOT_SENT, "The worker stopped before it was sent."), is_counted=False)
                report = m.ReportOutcome(report.attempt, unsent, now)
            commands.append(report)
        if commands:
            try:
                await self.apply(commands)
            except (LetGo, Refused):
                logger.info("Run %s could not be given back; its lease will end", self.run_id)


def _without_data(command: m.Command) -> m.Command:
    """The same report without what the database may have refused."""
    if not isinstance(command, m.ReportOutcome):
        return command
    error = Error(DATA_REFUSED, "The database refused what the participant answered.")
    return m.ReportOutcome(command.attempt, Unknown(error), command.now, command.dice)


def _dice() -> float:
    return random.random()
