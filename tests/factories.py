"""Plain functions that make rows for tests: people, sagas, runs in every state.

A run is told as a story, a list of events with times; the stored rows are the
fold of it by the law itself, so that a factory cannot make a state that the
engine could not.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import Group, User
from django.utils import timezone

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.document import content_hash
from sagas.core.due import due_at
from sagas.core.evolve import replay
from sagas.core.state import RunState
from sagas.core.vocabulary import OutcomeKind, Phase, Role, StepKey
from sagas.engine import stored
from sagas.models import JournalEntry, PumpSlot, Saga, SagaRun, SagaVersion, StepRun

NO_CARRIER = "No carrier for this address"
ACTION, COMPENSATION = Phase.ACTION, Phase.COMPENSATION
SUCCEEDED, REJECTED, FAILED, UNKNOWN = OutcomeKind


def _step(name: str, title: str, compensation: str | None, **more: Any) -> dict[str, Any]:
    undo = "none" if compensation is None else {"action": {"python": f"shop.{compensation}"}}
    return {"name": name, "title": title, "action": {"python": f"shop.{name}"}, "compensation": undo, **more}


CREATE_ORDER: dict[str, Any] = {
    "saga": "create-order",
    "title": "Create order",
    "key": "${input.order_id}",
    "defaults": {"timeout": "30s", "retry": {"attempts": 3}, "compensation_retry": {"attempts": 8}},
    "steps": [
        _step("process_payment", "Process payment", "refund_payment"),
        _step("update_inventory", "Update inventory", "restore_inventory"),
        _step("create_shipment", "Create shipment", None),
    ],
}
BOOK_ORDER: dict[str, Any] = {
    **CREATE_ORDER,
    "saga": "book-order",
    "title": "Book order",
    "steps": [
        _step("reserve_inventory", "Reserve inventory", "restore_inventory"),
        _step("process_payment", "Process payment", "refund_payment"),
        _step("update_ledger", "Update ledger", None),
        _step("create_shipment", "Create shipment", None, pivot=True),
        {**_step("send_receipt", "Send receipt", None), "retry": {"attempts": "forever"}},
    ],
}
for _late in BOOK_ORDER["steps"][3:]:
    del _late["compensation"]


def make_user(name: str = "bob", role: Role | None = Role.VIEWER) -> User:
    """Make a person; without a role they are a stranger."""
    user = User.objects.create_user(name, password="correct horse battery staple")
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    return user


def make_version(document: dict[str, Any] = CREATE_ORDER) -> SagaVersion:
    """Make a saga and its first version, or find them."""
    saga, _ = Saga.objects.get_or_create(name=document["saga"], defaults={"title": document["title"]})
    version, _ = SagaVersion.objects.get_or_create(
        saga=saga,
        number=1,
        defaults={
            "document": document,
            "source": json.dumps(document, indent=2),
            "content_hash": content_hash(document),
            "published_by": "ana",
        },
    )
    if saga.latest_id is None:
        saga.latest = version
        saga.save()
    return version


@dataclass
class Story:
    """What happened to one run, told forward in time. Times are seconds from its start."""

    started_at: datetime
    document: dict[str, Any] = field(default_factory=lambda: CREATE_ORDER)
    key: str = "48213"
    at_s: float = 0.0
    entries: list[tuple[m.Event, datetime]] = field(default_factory=list)
    numbers: dict[tuple[str, Phase], int] = field(default_factory=dict)
    id: UUID = field(init=False)

    def __post_init__(self) -> None:
        milliseconds = int(self.started_at.timestamp() * 1000)
        self.id = UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62) | (uuid4().int & ((1 << 62) - 1)))
        self.tell(
            m.RunStarted(
                run=str(self.id),
                saga=self.document["saga"],
                version=1,
                by="ana",
                key=self.key,
                steps=len(self.document["steps"]),
                input={"order_id": self.key, "amount": 4200, "items": [{"sku": "book", "quantity": 1}]},
            )
        )

    def tell(self, event: m.Event, after_s: float = 0.0) -> Story:
        """Add one event, `after_s` seconds after the last."""
        self.at_s += after_s
        self.entries.append((event, self.started_at + timedelta(seconds=self.at_s)))
        return self

    def start(self, step: str, phase: Phase = ACTION, after_s: float = 0.1, timeout_s: float = 30.0) -> Story:
        """An attempt is in flight."""
        number = self.numbers[step, phase] = self.numbers.get((step, phase), 0) + 1
        started = m.AttemptStarted(
            step=step,
            phase=phase,
            number=number,
            timeout_s=timeout_s,
            is_first=number == 1,
            input={"order_id": self.key},
        )
        return self.tell(started, after_s)

    def end(
        self, step: str, outcome: OutcomeKind = SUCCEEDED, phase: Phase = ACTION, took_s: float = 0.4, message: str = ""
    ) -> Story:
        """The attempt in flight came to an end."""
        code = {REJECTED: "rejected", FAILED: "no_effect", UNKNOWN: "timed_out"}.get(outcome, "")
        ended = m.AttemptEnded(
            step=step,
            phase=phase,
            number=self.numbers[step, phase],
            outcome=outcome,
            code=code,
            message=message,
            output={"id": f"{step}-91f2"} if outcome is SUCCEEDED else None,
        )
        return self.tell(ended, took_s)

    def do(self, *steps: str, phase: Phase = ACTION, took_s: float = 0.4) -> Story:
        """Each of these steps was tried once and succeeded."""
        for step in steps:
            self.start(step, phase).end(step, phase=phase, took_s=took_s)
        return self

    def retry(
        self, step: str, wait_s: float, outcome: OutcomeKind = FAILED, phase: Phase = ACTION, message: str = ""
    ) -> Story:
        """One more try failed; the next is in `wait_s` seconds."""
        self.start(step, phase, after_s=0.2).end(step, outcome, phase, took_s=0.3, message=message)
        at = self.started_at + timedelta(seconds=self.at_s + wait_s)
        return self.tell(m.RetryScheduled(step=step, phase=phase, at=at))

    def fail(self, step: str, outcome: OutcomeKind = REJECTED, message: str = "") -> Story:
        """The step failed for good, and the run is asked to turn round."""
        self.start(step).end(step, outcome, took_s=0.6, message=message)
        self.tell(m.StepFailed(step=step, outcome=outcome, code="rejected", message=message))
        return self.turn(cause="step_failed", step=step, outcome=outcome.value, code="rejected", message=message)

    def turn(self, **reason: str) -> Story:
        """The run is asked to turn round."""
        return self.tell(m.TurnRequested(**reason))

    def turned(self, *undo: str, not_needed: Iterable[str] = ()) -> Story:
        """Compensation begins."""
        event = m.TurnedRound(
            undo=tuple(StepKey(step) for step in undo), not_needed=tuple(StepKey(step) for step in not_needed)
        )
        return self.tell(event, 0.05)

    def save(self, **columns: Any) -> SagaRun:
        """Store the run, its step runs and its journal; `columns` replace what the fold gave."""
        version = make_version(self.document)
        state = replay(self.entries)
        run = SagaRun.objects.create(**_run_columns(self, version, state) | columns)
        StepRun.objects.bulk_create(
            StepRun(run=run, **stored.step_columns(key, step)) for key, step in state.steps.items()
        )
        JournalEntry.objects.bulk_create(
            JournalEntry(run=run, sequence=number, kind=kind, data=data, at=at)
            for number, (event, at) in enumerate(self.entries, 1)
            for kind, data in (codec.encode(event),)
        )
        return run


def _run_columns(story: Story, version: SagaVersion, state: RunState) -> dict[str, Any]:
    columns = stored.run_columns(RunState(), state)
    del columns["was"], columns["revised"]
    return columns | {
        "id": story.id,
        "saga": version.saga,
        "version": version,
        "key": state.key,
        "input": state.input,
        "input_hash": "0" * 64,
        "created_by": state.created_by,
        "revision": state.revision,
        "steps_total": state.steps_total,
        "due_at": due_at(state),
        "created_at": state.created_at,
        "updated_at": story.entries[-1][1],
        "deadline_at": state.deadline_at,
    }


# ---- one run in every state -------------------------------------------------

PAY, STOCK, SHIP = "process_payment", "update_inventory", "create_shipment"
Teller = Callable[[datetime], SagaRun]


def queued(now: datetime) -> SagaRun:
    """Accepted six seconds ago, not yet picked up."""
    return Story(now - timedelta(seconds=6), key="48230").save()


def in_flight(now: datetime) -> SagaRun:
    """The shipment was sent eight seconds ago."""
    return Story(now - timedelta(seconds=9.5), key="48221").do(PAY, STOCK).start(SHIP).save()


def retrying(now: datetime) -> SagaRun:
    """The shipment failed twice; the third and last try comes in 42 s."""
    story = Story(now - timedelta(seconds=4), key="48219").do(PAY, STOCK)
    message = "The carrier answered 503"
    return story.retry(SHIP, 1, message=message).retry(SHIP, 44, message=message).save()


def draining(now: datetime) -> SagaRun:
    """Cancelled while the stock is being updated."""
    story = Story(now - timedelta(seconds=5), key="48222").do(PAY).start(STOCK)
    return story.turn(cause="cancel", by="ana").save()


def compensating(now: datetime) -> SagaRun:
    """The shipment was rejected; the refund is on its way after the stock came back."""
    story = Story(now - timedelta(seconds=9), key="48220").do(PAY, STOCK).fail(SHIP, message=NO_CARRIER)
    story.turned(PAY, STOCK).do(STOCK, phase=COMPENSATION)
    return story.start(PAY, COMPENSATION).save()


def undo_retrying(now: datetime) -> SagaRun:
    """The refund failed three times; the next try comes in 42 s."""
    story = Story(now - timedelta(seconds=72), key="48218").do(PAY, STOCK).fail(SHIP, message=NO_CARRIER)
    story.turned(PAY, STOCK).do(STOCK, phase=COMPENSATION)
    for wait_s in (2, 8, 110):
        story.retry(PAY, wait_s, UNKNOWN, COMPENSATION, message="payments answered 503")
        story.at_s += 1
    return story.save()


def undo_failed(now: datetime) -> SagaRun:
    """The refund gave up; a person must decide."""
    story = Story(now - timedelta(minutes=22), key="48213").do(PAY, STOCK).fail(SHIP, message=NO_CARRIER)
    story.turned(PAY, STOCK).do(STOCK, phase=COMPENSATION)
    for _ in range(7):
        story.retry(PAY, 30, FAILED, COMPENSATION, message="payments answered 409 already_refunded")
        story.at_s += 30
    story.start(PAY, COMPENSATION).end(PAY, FAILED, COMPENSATION, message="payments answered 409 already_refunded")
    story.tell(m.CompensationFailed(step=PAY, outcome=FAILED, message="payments answered 409 already_refunded"))
    return story.tell(m.AttentionNeeded(step=PAY, phase=COMPENSATION, code="compensation_failed")).save(amount=4200)


def in_doubt(now: datetime) -> SagaRun:
    """Payment timed out three times, so it will be undone although nobody knows whether it happened."""
    story = Story(now - timedelta(seconds=50), key="48225")
    for wait_s in (1, 2):
        story.start(PAY).end(PAY, UNKNOWN, took_s=10, message="No answer within 10 s")
        at = story.started_at + timedelta(seconds=story.at_s + wait_s)
        story.tell(m.RetryScheduled(step=PAY, phase=ACTION, at=at))
        story.at_s += wait_s
    story.start(PAY).end(PAY, UNKNOWN, took_s=10, message="No answer within 10 s")
    story.tell(m.StepInDoubt(step=PAY, code="timed_out", message="No answer within 10 s"))
    story.turn(cause="in_doubt", step=PAY, outcome="unknown", message="No answer within 10 s")
    return story.turned(PAY).start(PAY, COMPENSATION).save(is_outcome_unknown=True)


def completed(now: datetime) -> SagaRun:
    """All went well."""
    story = Story(now - timedelta(minutes=3), key="48217").do(PAY, STOCK, SHIP)
    return story.tell(m.RunCompleted(output={"shipment": "S-91f2"})).save()


def compensated(now: datetime) -> SagaRun:
    """The shipment was rejected and everything was undone."""
    story = Story(now - timedelta(minutes=5), key="48216").do(PAY, STOCK).fail(SHIP, message=NO_CARRIER)
    story.turned(PAY, STOCK).do(STOCK, PAY, phase=COMPENSATION)
    return story.tell(m.RunCompensated()).save()


def cancelled(now: datetime) -> SagaRun:
    """A person cancelled it after the payment, and the payment was refunded."""
    story = Story(now - timedelta(minutes=9), key="48215").do(PAY).turn(cause="cancel", by="ana")
    return story.turned(PAY).do(PAY, phase=COMPENSATION).tell(m.RunCompensated()).save()


def past_pivot(now: datetime) -> SagaRun:
    """The receipt, behind the point of no return, is tried again and again."""
    story = Story(now - timedelta(seconds=300), BOOK_ORDER, key="51007")
    story.do("reserve_inventory", PAY, "update_ledger", SHIP)
    for _ in range(11):
        story.retry("send_receipt", 20, message="smtp refused the connection")
        story.at_s += 20
    story.retry("send_receipt", 310, message="smtp refused the connection")
    return story.save(is_past_pivot=True)


def book_compensating(now: datetime) -> SagaRun:
    """A five-step saga with a pivot, turned round before it."""
    story = Story(now - timedelta(seconds=12), BOOK_ORDER, key="51008").do("reserve_inventory", PAY, "update_ledger")
    story.fail(SHIP, message=NO_CARRIER)
    story.turned("reserve_inventory", PAY, not_needed=["update_ledger"])
    return story.start(PAY, COMPENSATION).save()


def paused(now: datetime) -> SagaRun:
    """Held by a person."""
    return Story(now - timedelta(minutes=20), key="48226").do(PAY).save(is_paused=True)


EVERY_STATE: Sequence[Teller] = (
    queued,
    in_flight,
    retrying,
    draining,
    compensating,
    undo_retrying,
    undo_failed,
    in_doubt,
    completed,
    compensated,
    cancelled,
    past_pivot,
    book_compensating,
    paused,
)


def make_beat(now: datetime) -> PumpSlot:
    """Say that an engine is alive."""
    return PumpSlot.objects.create(group="test", number=len(PumpSlot.objects.all()), beat_at=now)


@functools.cache
def frozen_now() -> datetime:
    """One moment for a whole test run."""
    return timezone.now().replace(microsecond=0)


def make_runs(count: int) -> list[SagaRun]:
    """Make many completed runs, a second apart, the last one newest."""
    now = frozen_now()
    return [completed(now - timedelta(seconds=count - place)) for place in range(count)]
