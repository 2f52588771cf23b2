"""Runs for tests, told event by event.

A run is told as a story, a list of events with times; the stored rows are the
fold of it by the law itself, so that a factory cannot make a state that the
engine could not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.document import content_hash
from sagas.core.due import due_at
from sagas.core.evolve import replay
from sagas.core.state import RunState
from sagas.core.vocabulary import OutcomeKind, Phase, StepKey, Verb, WaitingFor
from sagas.engine import stored
from sagas.models import JournalEntry, Saga, SagaRun, SagaVersion, StepRun

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
ASK_ORDER: dict[str, Any] = {**CREATE_ORDER, "saga": "ask-order", "title": "Ask order", "in_doubt": "ask"}
LEND_CAR: dict[str, Any] = {
    **CREATE_ORDER,
    "saga": "lend-car",
    "title": "Lend car",
    "steps": [
        _step("reserve", "Reserve", "release"),
        {"name": "cool_off", "title": "Cool off", "sleep": "1h"},
        {"name": "deposit", "title": "Deposit", "wait_for": {"signal": "deposit_paid", "timeout": "2d"}},
        {
            "name": "agree",
            "title": "Agree",
            "approval": {"group": "operator", "prompt": "Lend it to ${input.order_id}?", "timeout": "1d"},
        },
        _step("hand_over", "Hand over", None),
    ],
}


def patient(document: dict[str, Any], saga: str, **waits: dict[str, Any]) -> dict[str, Any]:
    """Return a saga like that one, whose named steps wait in another way."""
    steps = [
        {"name": step["name"], "title": step["title"], **waits[step["name"]]} if step["name"] in waits else step
        for step in document["steps"]
    ]
    return {**document, "saga": saga, "steps": steps}


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
    orders: int = 0
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

    def wait(self, step: str, kind: WaitingFor, until_s: float | None = None, **about: str) -> Story:
        """The step waits, for `until_s` seconds at most."""
        until = None if until_s is None else self.started_at + timedelta(seconds=self.at_s + 0.1 + until_s)
        return self.tell(m.WaitStarted(step=step, waits_for=kind, until=until, about=about or None), 0.1)

    def give_up_waiting(self, step: str, code: str, message: str, outcome: OutcomeKind = FAILED) -> Story:
        """The wait ended for good without what it was for, and the run is asked to turn round."""
        said: dict[str, Any] = {"step": step, "code": code, "message": message}
        self.tell(m.StepFailed(**said, outcome=outcome))
        return self.turn(cause="step_failed", outcome=outcome.value, **said)

    def fail(self, step: str, outcome: OutcomeKind = REJECTED, message: str = "") -> Story:
        """The step failed for good, and the run is asked to turn round."""
        self.start(step).end(step, outcome, took_s=0.6, message=message)
        self.tell(m.StepFailed(step=step, outcome=outcome, code="rejected", message=message))
        return self.turn(cause="step_failed", step=step, outcome=outcome.value, code="rejected", message=message)

    def turn(self, **reason: str) -> Story:
        """The run is asked to turn round."""
        return self.tell(m.TurnRequested(**reason))

    def order(self, verb: Verb, step: str = "", *, reason: str = "", by: str = "alice") -> Story:
        """An order was taken from the inbox."""
        self.orders += 1
        return self.tell(m.OrderTaken(number=self.orders, verb=verb, by=by, reason=reason, step=step), 1)

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
        run = SagaRun.objects.create(**_run_columns(self, version, state) | {"inbox_last": self.orders} | columns)
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
