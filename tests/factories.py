"""Plain functions that make rows for tests: people, and one run in every state (told in `story.py`)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from sagas.core import messages as m
from sagas.core.vocabulary import Role, StepKey, Verb
from sagas.models import PumpSlot, SagaRun
from tests.doubtful import DOUBTFUL
from tests.lending import (
    approved,
    asking_a_group,
    asking_for_approval,
    cancelled_while_waiting,
    declined,
    sleeping,
    timed_out,
    waiting_for_ever,
    waiting_for_signal,
    went_on_without,
)
from tests.story import (
    ACTION,
    ASK_ORDER,
    BOOK_ORDER,
    COMPENSATION,
    FAILED,
    NO_CARRIER,
    REJECTED,
    SUCCEEDED,
    UNKNOWN,
    Story,
)


def make_user(name: str = "bob", role: Role | None = Role.VIEWER) -> User:
    """Make a person; without a role they are a stranger."""
    user = User.objects.create_user(name, password="correct horse battery staple")
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    return user


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
    story = Story(now - timedelta(minutes=20), key="48226").do(PAY)
    story.order(Verb.PAUSE, reason="the warehouse is closed", by="ana").tell(m.RunPaused())
    return story.save()


def asking(now: datetime) -> SagaRun:
    """Nobody can say whether the stock was updated, and the saga asks a person."""
    story = Story(now - timedelta(seconds=40), ASK_ORDER, key="48227").do(PAY)
    story.start(STOCK).end(STOCK, UNKNOWN, took_s=10, message="No answer within 10 s")
    story.tell(m.StepInDoubt(step=STOCK, code="timed_out", message="No answer within 10 s"))
    return story.tell(m.AttentionNeeded(step=STOCK, phase=ACTION, code="outcome_unknown")).save()


def failed_past_pivot(now: datetime) -> SagaRun:
    """The receipt was rejected behind the point of no return."""
    story = Story(now - timedelta(seconds=30), BOOK_ORDER, key="51009")
    story.do("reserve_inventory", PAY, "update_ledger").start(SHIP)
    story.tell(m.AttemptEnded(step=SHIP, phase=ACTION, number=1, outcome=SUCCEEDED, passes_pivot=True), 0.4)
    story.start("send_receipt").end("send_receipt", REJECTED, message="no such address")
    story.tell(m.StepFailed(step="send_receipt", outcome=REJECTED, code="rejected", message="no such address"))
    return story.tell(m.AttentionNeeded(step="send_receipt", phase=ACTION, code="failed_past_pivot")).save()


def skipped(now: datetime) -> SagaRun:
    """A person went on without the shipment."""
    story = Story(now - timedelta(minutes=6), key="48228").do(PAY, STOCK)
    story.order(Verb.SKIP, SHIP, reason="fetched in person").tell(m.StepSkipped(step=SHIP))
    return story.tell(m.RunCompleted()).save()


def settled(now: datetime) -> SagaRun:
    """The refund failed, and was made by hand."""
    story = _refund_failed(now, "48229").order(Verb.SETTLE, PAY, reason="refunded at the bank")
    story.tell(m.AttentionCleared(step=PAY, phase=COMPENSATION))
    story.tell(m.CompensationSettled(step=PAY, reference="BANK-7"))
    return story.tell(m.RunCompensated()).save()


def partly(now: datetime) -> SagaRun:
    """The refund failed, and a person gave it up."""
    story = _refund_failed(now, "48231").order(Verb.GIVE_UP, reason="the account is closed")
    story.tell(m.AttentionCleared(step=PAY, phase=COMPENSATION)).tell(m.CompensationGivenUp(step=PAY))
    return story.tell(m.RunPartiallyCompensated(stays=(StepKey(PAY),))).save()


def terminated(now: datetime) -> SagaRun:
    """Stopped by a person while the stock was being updated."""
    story = Story(now - timedelta(minutes=8), key="48232").do(PAY).start(STOCK)
    story.order(Verb.TERMINATE, reason="the shop burned down")
    said: dict[str, Any] = {"step": STOCK, "code": "terminated", "message": "The run was terminated."}
    story.tell(m.AttemptEnded(**said, phase=ACTION, number=1, outcome=UNKNOWN, is_counted=False))
    story.tell(m.StepInDoubt(**said))
    stays = (StepKey(PAY), StepKey(STOCK))
    return story.tell(m.RunTerminated(stays=stays, by="alice", message="the shop burned down")).save()


def unreadable(now: datetime) -> SagaRun:
    """After a downgrade: nobody who had it in hand could read its version."""
    story = Story(now - timedelta(minutes=2), key="48233").do(PAY)
    message = "The code that is here cannot read the version: steps[1]: `later` is not a key of a step."
    return story.tell(m.AttentionNeeded(step="", phase=ACTION, code="version_unreadable", message=message)).save()


def action_missing(now: datetime) -> SagaRun:
    """No worker has the action that updates the stock."""
    code, message = "action_not_registered", "No installed app registers the action 'shop.update_inventory'."
    story = Story(now - timedelta(minutes=2), key="48234").do(PAY).start(STOCK)
    story.end(STOCK, FAILED, message=message)
    story.tell(m.StepFailed(step=STOCK, outcome=FAILED, code=code, message=message))
    return story.tell(m.AttentionNeeded(step=STOCK, phase=ACTION, code=code)).save()


def _refund_failed(now: datetime, key: str) -> Story:
    message = "payments answered 409 already_refunded"
    story = Story(now - timedelta(minutes=4), key=key).do(PAY, STOCK).fail(SHIP, message=NO_CARRIER)
    story.turned(PAY, STOCK).do(STOCK, phase=COMPENSATION)
    story.start(PAY, COMPENSATION).end(PAY, FAILED, COMPENSATION, message=message)
    story.tell(m.CompensationFailed(step=PAY, outcome=FAILED, message=message))
    return story.tell(m.AttentionNeeded(step=PAY, phase=COMPENSATION, code="compensation_failed"))


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
    asking,
    failed_past_pivot,
    skipped,
    settled,
    partly,
    terminated,
    unreadable,
    action_missing,
    sleeping,
    waiting_for_signal,
    waiting_for_ever,
    asking_for_approval,
    asking_a_group,
    approved,
    declined,
    timed_out,
    went_on_without,
    cancelled_while_waiting,
    *DOUBTFUL,
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
