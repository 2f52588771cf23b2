"""One run with everything its page shows. Seven queries at most, whatever its size."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from sagas.core.arrivals import DECLINED
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, OutcomeKind, Phase, StepKey, StepStatus, WaitingFor
from sagas.models import JournalEntry, Order, SagaRun, StepRun
from sagas.queries import counts, items
from sagas.queries.doubts import DoubtsTold
from sagas.queries.items import IsWanted, Tally
from sagas.queries.plan import StepPlan, Undo, step_plans, title_of
from sagas.queries.waits import Wait, WaitsTold, wait_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sagas.core.vocabulary import Json

RELATIVES_MAX = 200  # sub-sagas and reruns; the newest
ENTRIES_MAX = 1_000  # the newest; a run that retries for ever must not fill a page


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one half, from its two journal entries. `outcome` is empty while it is in flight."""

    step: str
    item: int
    phase: str
    number: int
    started_at: datetime
    timeout_s: float = 0.0
    edition: int = 1
    input: Json = None
    ended_at: datetime | None = None
    outcome: str = ""
    output: Json = None
    code: str = ""
    message: str = ""
    details: Json = None
    is_counted: bool = True
    is_atomic: bool = False
    accepted_by: str = ""  # who has it in hand: the run of a sub-saga, or a service
    is_called_back: bool = False  # that service says later what came of it

    @property
    def took(self) -> timedelta | None:
        """How long it took; None while it is in flight."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def times_out_at(self) -> datetime:
        """When the wait for an answer ends."""
        return self.started_at + timedelta(seconds=self.timeout_s)


@dataclass(frozen=True, slots=True)
class StepDetail:
    """One step of one run, or one item of a list: what the document says and where it stands."""

    plan: StepPlan
    key: str  # `name`, or `name[3]` for an item
    item: int = NO_ITEM
    tally: Tally | None = None  # of a list as a whole, once its items are known
    items_hidden: int = 0  # of that list: those that are not among the steps here
    status: str = StepStatus.PENDING.value
    compensation_status: str = CompensationStatus.NONE.value
    actions: tuple[Attempt, ...] = ()
    compensations: tuple[Attempt, ...] = ()
    probes: tuple[Attempt, ...] = ()
    attempts: int = 0
    compensation_attempts: int = 0
    tries: int = 0  # of the action, counted against the policy since the last order to retry
    compensation_tries: int = 0
    probe_tries: int = 0  # about the last unknown outcome
    is_unsettled: bool = False  # an attempt of the action ended unknown, and nothing has settled that
    is_asking: bool = False  # its probe is asked, or is to be asked again
    hangs: bool = False  # it happened, by a late answer, although the run had gone on without it
    output: Json = None
    error: Json = None
    reacts_to: Json = None  # of a reaction `{source, id}` of its event
    wait: Wait | None = None  # what it waits for now
    waited: Wait | None = None  # what it waited for last, once that is over
    left_out: str = ""  # why it was skipped: condition, person, timed_out, turn or terminated
    next_attempt_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def count(self, is_wanted: IsWanted) -> int:
        """Count the step runs whose statuses are wanted: of a list its items, of anything else the step itself."""
        if self.tally is not None:
            return self.tally.count(is_wanted)
        return int(is_wanted(self.status, self.compensation_status))

    @property
    def is_undoing(self) -> bool:
        """Whether the backward half has begun or waits for its turn."""
        return self.compensation_status not in {
            CompensationStatus.NONE.value,
            CompensationStatus.NOT_NEEDED.value,
        }

    @property
    def last_outcome(self) -> str:
        """How the latest try of the action ended, or the answer of a person; empty when it has not."""
        if self.actions:
            return self.actions[-1].outcome
        is_declined = isinstance(self.error, dict) and self.error.get("code") == DECLINED
        return OutcomeKind.REJECTED.value if is_declined else ""

    @property
    def last_undo_outcome(self) -> str:
        """How the latest try of the compensation ended; empty when it has not."""
        return self.compensations[-1].outcome if self.compensations else ""

    @property
    def undo_title(self) -> str:
        """What undoing this step is called."""
        return self.plan.compensation_title or f"Undo {self.plan.title}"

    def in_flight(self) -> Attempt | None:
        """The attempt whose answer is awaited, if there is one."""
        for attempt in (*self.compensations[-1:], *self.probes[-1:], *self.actions[-1:]):
            if not attempt.outcome and not attempt.accepted_by:
                return attempt
        return None

    def in_other_hands(self) -> Attempt | None:
        """The attempt that a sub-saga or a service has taken on, if there is one."""
        for attempt in (*self.compensations[-1:], *self.actions[-1:]):
            if not attempt.outcome and attempt.accepted_by:
                return attempt
        return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    sequence: int
    kind: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that was accepted and not yet looked at."""

    verb: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run."""

    run: SagaRun
    steps: tuple[StepDetail, ...]
    journal: tuple[Entry, ...]
    orders: tuple[PendingOrder, ...] = ()
    last_beat_at: datetime | None = None
    children: tuple[SagaRun, ...] = ()  # its sub-sagas, newest first
    reruns: tuple[SagaRun, ...] = ()  # newest first

    @property
    def title(self) -> str:
        """What the saga was called in the version that this run is on."""
        document = self.run.version.document
        own = document.get("title") if isinstance(document, dict) else None
        return str(own or title_of(self.run.saga.name))

    @property
    def wholes(self) -> tuple[StepDetail, ...]:
        """The steps of the document, a list as one of them."""
        return tuple(step for step in self.steps if step.item == NO_ITEM)

    @property
    def runs(self) -> tuple[StepDetail, ...]:
        """What is carried out: steps, and of a list the items that are shown."""
        return tuple(step for step in self.steps if step.tally is None)

    @property
    def turned_at(self) -> StepDetail | None:
        """The step, or the item of a list, that the run turned round or stopped for; None when it was for none."""
        return self.find_named(self.run.reason)

    def find_named(self, data: Json) -> StepDetail | None:
        """Return the step that `{step, item?}` names: of a list the item, or the whole when that is not among them."""
        said = data if isinstance(data, dict) else {}
        name, item = str(said.get("step") or ""), said.get("item", NO_ITEM)
        found = self.find_step(str(StepKey(name, item)) if isinstance(item, int) else name)
        return found or next((step for step in self.wholes if step.plan.name == name), None)

    def list_of(self, step: StepDetail) -> StepDetail | None:
        """Return the list that an item belongs to; None for anything else."""
        if step.item == NO_ITEM:
            return None
        return next((whole for whole in self.wholes if whole.plan.name == step.plan.name), None)

    def find_step(self, key: str) -> StepDetail | None:
        """Return the step with this key, if there is one."""
        return next((step for step in self.steps if step.key == key), None)


def find_run_detail(run_id: UUID, key: str = "") -> RunDetail | None:
    """Return the run with its steps, attempts, journal and waiting orders; None when there is none.

    Of a list at most fifty items are among the steps, and the one that `key` names.
    """
    run = SagaRun.objects.select_related("saga", "version").filter(id=run_id).first()
    if run is None:
        return None
    rows, wanted = items.rows_shown(run), StepKey.parse(key)
    newest = JournalEntry.objects.filter(run=run).order_by("-sequence")[:ENTRIES_MAX]
    journal = tuple(
        Entry(sequence, kind, data if isinstance(data, dict) else {}, at)
        for sequence, kind, data, at in reversed(newest.values_list("sequence", "kind", "data", "at"))
    )
    orders: tuple[PendingOrder, ...] = ()
    if run.inbox_last > run.inbox_done:
        waiting = Order.objects.filter(run=run, number__gt=run.inbox_done).order_by("number")
        orders = tuple(PendingOrder(*row) for row in waiting.values_list("verb", "by", "at"))
    last_beat_at = None if run.status in counts.FINAL_STATUSES else counts.last_beat()
    relatives = _relatives(run)
    told = journal
    if wanted is not None and wanted.item != NO_ITEM:
        if all((row.step, row.item) != wanted for row in rows):
            rows += [row for row in [items.find_row(run, *wanted)] if row is not None]
        told = _entries_of(run, wanted) if run.sequence > ENTRIES_MAX else journal
    return RunDetail(
        run,
        _steps(run, rows, told),
        journal,
        orders,
        last_beat_at,
        children=tuple(one for one in relatives if one.parent_id == run.id),
        reruns=tuple(one for one in relatives if one.parent_id != run.id),
    )


def _relatives(run: SagaRun) -> list[SagaRun]:
    """Return the runs that this one started, or that ran it again."""
    found = SagaRun.objects.filter(Q(parent=run) | Q(rerun_of=run)).select_related("saga").order_by("-id")
    return list(found.only("id", "status", "parent_id", "parent_step", "rerun_of_id", "saga__name")[:RELATIVES_MAX])


def _entries_of(run: SagaRun, key: StepKey) -> tuple[Entry, ...]:
    """Return what the journal says of one item, however long ago."""
    found = JournalEntry.objects.filter(run=run, data__step=key.step, data__item=key.item).order_by("-sequence")
    rows = reversed(found.values_list("sequence", "kind", "data", "at")[:ENTRIES_MAX])
    return tuple(Entry(*row) for row in rows)


def _attempts(journal: tuple[Entry, ...]) -> dict[tuple[str, int, str], list[Attempt]]:
    """Pair the entries that say an attempt began and ended, in the order of beginning."""
    begun: dict[tuple[str, int, str, int], Attempt] = {}
    inputs: dict[tuple[str, int, str, int], Json] = {}
    for entry in journal:
        data = entry.data
        if entry.kind not in {"attempt_started", "attempt_accepted", "attempt_ended"}:
            continue
        place = (str(data.get("step", "")), data.get("item", NO_ITEM), str(data.get("phase", "")))
        key = (*place, data.get("number", 0))
        if entry.kind == "attempt_started":
            edition = (*place, data.get("edition", 1))
            inputs.setdefault(edition, data.get("input"))
            begun[key] = Attempt(
                *key,
                started_at=entry.at,
                timeout_s=float(data.get("timeout_s") or 0),
                edition=edition[3],
                input=inputs[edition],
                is_atomic=bool(data.get("is_atomic")),
            )
        elif key in begun and entry.kind == "attempt_accepted":
            is_called_back = data.get("waits_for") == WaitingFor.CALLBACK.value
            by = str(data.get("by") or "")
            begun[key] = replace(begun[key], accepted_by=by, is_called_back=is_called_back)
        elif key in begun:
            begun[key] = _ended(begun[key], entry)
    found: dict[tuple[str, int, str], list[Attempt]] = defaultdict(list)
    for attempt in begun.values():
        found[attempt.step, attempt.item, attempt.phase].append(attempt)
    return found


def _tries(journal: tuple[Entry, ...]) -> Counter[tuple[str, int, str]]:
    """Count the tries that used up some of each half's budget; an order to retry gives a fresh one."""
    tries: Counter[tuple[str, int, str]] = Counter()
    for entry in journal:
        data = entry.data
        place = (str(data.get("step", "")), data.get("item", NO_ITEM), str(data.get("phase", "")))
        if entry.kind == "edition_started":
            tries[place] = 0
        elif entry.kind == "attempt_ended" and data.get("is_counted", True):
            tries[place] += 1
    return tries


def _ended(attempt: Attempt, entry: Entry) -> Attempt:
    data = entry.data
    return replace(
        attempt,
        ended_at=entry.at,
        outcome=str(data.get("outcome", "")),
        output=data.get("output"),
        code=str(data.get("code") or ""),
        message=str(data.get("message") or ""),
        details=data.get("details"),
        is_counted=bool(data.get("is_counted", True)),
    )


def _steps(run: SagaRun, rows: list[StepRun], journal: tuple[Entry, ...]) -> tuple[StepDetail, ...]:
    """Put the step runs in the document's order, items behind their list; what it does not know comes last."""
    attempts, tries, told, doubts = _attempts(journal), _tries(journal), WaitsTold(journal), DoubtsTold(journal)
    plans = step_plans(run.version.document)
    by_step: dict[str, list[StepRun]] = defaultdict(list)
    for row in rows:
        by_step[row.step].append(row)
    known = {plan.name for plan in plans}
    strangers = [
        StepPlan(name, title_of(name), len(plans) + 1 + place, "", Undo.READS_ONLY)
        for place, name in enumerate(name for name in by_step if name not in known)
    ]
    tallies = items.tallies(run.id, rows)
    found: list[StepDetail] = []
    for plan in (*plans, *strangers):
        shown = sorted(by_step[plan.name] or [StepRun(step=plan.name)], key=lambda row: row.item)
        tally = tallies.get(plan.name)
        hidden = 0 if tally is None else tally.total - len(shown) + 1
        for row in shown:
            is_whole = row.item == NO_ITEM
            do = (row.step, row.item, Phase.ACTION.value)
            undo = (row.step, row.item, Phase.COMPENSATION.value)
            actions, compensations = attempts.get(do, []), attempts.get(undo, [])
            found.append(
                StepDetail(
                    plan=plan
                    if is_whole
                    else replace(
                        plan,
                        title=f"{plan.title} [{row.item}]",
                        compensation_title=plan.compensation_title and f"{plan.compensation_title} [{row.item}]",
                    ),
                    key=str(StepKey(row.step, row.item)),
                    item=row.item,
                    tally=tally if is_whole else None,
                    items_hidden=hidden if is_whole else 0,
                    status=row.status,
                    compensation_status=row.compensation_status,
                    actions=tuple(actions),
                    compensations=tuple(compensations),
                    probes=tuple(attempts.get((row.step, row.item, Phase.PROBE.value), ())),
                    attempts=max(row.attempts, len(actions)),
                    compensation_attempts=max(row.compensation_attempts, len(compensations)),
                    tries=tries[do],
                    compensation_tries=tries[undo],
                    **doubts.of(row.step, row.item),
                    output=_output(row, shown, hidden),
                    error=row.error,
                    reacts_to=_event_of(row),
                    wait=wait_of(row),
                    waited=None if row.waits_for else told.over.get((row.step, row.item)),
                    left_out=told.why_skipped(row, plan),
                    next_attempt_at=None if row.waits_for else row.next_attempt_at,
                    started_at=row.started_at,
                    ended_at=row.ended_at,
                )
            )
    return tuple(found)


def _event_of(row: StepRun) -> Json:
    source = getattr(row, "event_source", None)
    return None if source is None else {"source": source, "id": getattr(row, "event_id", "")}


def _output(row: StepRun, shown: list[StepRun], hidden: int) -> Json:
    """Return what a step gave: of a list the outputs of its items, where all of them are at hand."""
    if getattr(row, "items_total", None) is None or row.status != StepStatus.SUCCEEDED.value:
        return row.output
    return [one.output for one in shown if one.item != NO_ITEM] if hidden <= 0 else None
