"""Plays the part of everybody outside: who goes wrong, who sends signals, who approves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from business import effects
from business.models import Account, Booking, Movement, Supply, Trouble
from django.db.models import Sum
from ruamel.yaml import YAML

from sagas.catalog.publish import publish
from sagas.core.definition import Approval, Definition, SignalWait, Step, Timer
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, Row
from sagas.core.vocabulary import OutcomeKind, StepKey, StepStatus, Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import SagaRun
from sagas.participants import registry
from tests.business.cases import EXAMPLES, Example, steps_of
from tests.engine.conftest import drive

SHORT = {"initial": "5ms", "max": "10ms", "jitter": 0}
AT_ONCE = "10ms"
TIMES = 12  # what the simulation finds to be tried for ever fails this often here, and then works
RESTS = {"completed", "compensated", "needs_attention"}
PLAYED = {
    Case.NOTHING, Case.REJECTED, Case.FAILED, Case.UNKNOWN_BEFORE, Case.UNKNOWN_AFTER, Case.NEVER_COMES,
    Case.COMPENSATION_FAILS,
}  # fmt: skip


def hurried(example: Example, never: str = "") -> str:
    """Return the document with its timers and the waits between attempts cut short; else it is the file as it is.

    `never` names a wait that nobody ends: its time-out is cut short too.
    """
    document = YAML(typ="safe").load(example.path)
    for holder in (document.setdefault("defaults", {}), *document["steps"]):
        for half in (holder, holder.get("compensation")):
            for name in ("retry", "compensation_retry"):
                if isinstance(half, dict) and (name in half or half is document["defaults"]):
                    half[name] = {**half.get(name, {}), **SHORT}
        if "sleep" in holder:
            holder["sleep"] = AT_ONCE
        for kind in ("wait_for", "approval"):
            if kind in holder and holder["name"] == never:
                holder[kind]["timeout"] = AT_ONCE
    return json.dumps(document)


def compiled(source: str) -> Definition:
    return compile_document(check_source(source, registry.facts()).document, registry.facts())


def playable(definition: Definition, rows: tuple[Row, ...]) -> Iterator[Row]:
    """Leave out what cannot be played: lost workers, orders, readers in doubt, and children that end half undone."""
    for row in rows:
        step = definition.by_name.get(row.step)
        is_beyond = step is not None and (
            (not step.writes and row.case.startswith("unknown"))
            or (step.is_sub_saga and row.case in {Case.UNKNOWN_AFTER, Case.COMPENSATION_FAILS})
        )
        if row.case in PLAYED and not row.orders and not is_beyond:
            yield row


class Stage:
    """One example, published, and the runs of it that were begun."""

    def __init__(self, example: Example) -> None:
        self.example = example
        source = hurried(example)
        self.definition = compiled(source)
        self.versions = {
            step.name: self._publish(example, never=step.name)
            for step in self.definition.steps
            if step.wait is not None and not isinstance(step.wait, Timer)
        }
        for other in EXAMPLES:
            if other.saga in {step.action.action.name for step in self.definition.steps if step.is_sub_saga}:
                self._publish(other)
        self.versions[""] = self._publish(example)
        self.refusing: dict[UUID, set[str]] = {}  # approvals that are answered by a no, by run
        self.silent: dict[UUID, str] = {}  # the wait that nobody ends
        self.answered: set[tuple[UUID, str]] = set()

    @staticmethod
    def _publish(example: Example, never: str = "") -> int:
        return publish(hurried(example, never), by="tests").version.number

    def begin(self, ref: str, faults: dict[str, Any] | None = None, *, times: int = 0, **changes: Any) -> UUID:
        """Start a run that goes wrong as `faults` says, and send it every signal that it will wait for."""
        faults = faults or {}
        never = next((name for name, fault in faults.items() if fault == "never"), "")
        for half, fault in faults.items():
            if fault != "never":
                self._trouble(ref, half, _mode(fault), times)
        value = self.example.input_for(ref, **changes)
        run: UUID = start_run(self.example.saga, value, version=self.versions[never]).run.id
        self.silent[run] = never
        self.refusing[run] = {name for name, fault in faults.items() if fault == "rejected"}
        for step in self.definition.steps:
            if isinstance(step.wait, SignalWait) and step.name != never:
                self.send(run, step.wait.signal, {})
        return run

    def _trouble(self, ref: str, half: str, mode: str, times: int) -> None:
        step, mark, phase = half.partition(".")
        if step in self.example.inner:
            step, ref = self.example.inner[step], self.example.inner_ref.format(ref)
        Trouble.objects.create(ref=ref, half=step + mark + phase, mode=mode, times=times)

    @staticmethod
    def send(run: UUID, signal: str, payload: Any) -> None:
        give_order(run, Verb.SIGNAL, by="outside", ask=Ask(signal=signal, arguments=payload, has_arguments=True))

    def drive(self) -> None:
        """Let a pump drive all runs, and answer what they ask, until none moves by itself any more."""
        drive(self._is_over)

    def _is_over(self) -> bool:
        """A run that waits for a person is due again at its deadline; that is not waited for."""
        for step in self.definition.steps:
            if isinstance(step.wait, Approval):
                self._answer(step.name)
        return not SagaRun.objects.exclude(status__in=RESTS).exists()

    def _answer(self, step: str) -> None:
        asked = SagaRun.objects.filter(id__in=self.silent, steps__step=step, steps__status=StepStatus.WAITING)
        for run in asked.values_list("id", flat=True):
            if (run, step) not in self.answered and self.silent[run] != step:
                self.answered.add((run, step))
                says_no = step in self.refusing[run]
                outcome = OutcomeKind.REJECTED if says_no else OutcomeKind.SUCCEEDED
                give_order(run, Verb.APPROVE, by="alice", ask=Ask(step=step, outcome=outcome, reason="because"))

    def expected(self, simulation: Any) -> tuple[str, list[str]]:
        """Return the status a run must come to, and the steps whose effects must stand then.

        In a completed run each step stands once for each item; else once when any of its effects does.
        """
        states = {step.name: simulation.state.step(StepKey(step.name)) for step in self.definition.steps}
        if simulation.status in {"completed", "still_retrying"}:  # in life this one works in the end
            done = [step for step in self.definition.steps if step.writes]
            done = [step for step in done if states[step.name].status is not StepStatus.SKIPPED]
            return "completed", sorted(step.name for step in done for _ in range(self._items(step, simulation)))
        return simulation.status.value, sorted(steps_of(one.step for one in simulation.leftovers if one.is_certain))

    @staticmethod
    def _items(step: Step, simulation: Any) -> int:
        return 1 if step.for_each is None else len(step.for_each.render({"input": simulation.state.input}))


def _mode(fault: Any) -> str:
    if isinstance(fault, str):
        return fault
    return Trouble.UNKNOWN_AFTER if fault["happened"] else Trouble.UNKNOWN_BEFORE


def standing(run: UUID) -> list[str]:
    """Return the steps of a run whose effects stand; a step that ran another saga, when any effect of that one does."""
    children = SagaRun.objects.filter(parent_id=run).values_list("id", "parent_step")
    inner = [step.partition("[")[0] for child, step in children if effects.standing(str(child))]
    found = [*effects.standing(str(run)), *inner]
    return sorted(found if SagaRun.objects.get(id=run).status == "completed" else set(found))


def assert_the_books_agree() -> None:
    """Nothing was made of nothing: every sum follows from what stands."""
    stands: dict[str, Any] = {"undone_at": None}
    count: Callable[..., int] = lambda rows, column: rows.aggregate(sum=Sum(column))["sum"] or 0  # noqa: E731
    for account in Account.objects.all():
        paid, got = (
            count(Movement.objects.filter(**stands, **{side: account}), "amount") for side in ("payer", "payee")
        )
        assert account.balance == account.opening - paid + got, account
    assert count(Account.objects, "balance") == count(Account.objects, "opening")
    for supply in Supply.objects.all():
        assert supply.free == supply.total - count(Booking.objects.filter(**stands, supply=supply), "quantity"), supply
