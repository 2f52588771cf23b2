"""Putting an order into the inbox of a run: a row, its number, and the bell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from sagas import wakeups
from sagas.core.late_codec import encode_late
from sagas.core.vocabulary import Verb
from sagas.models import Order, SagaRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sagas.core import messages as m
    from sagas.core.vocabulary import Json


def put(run: SagaRun, order: m.TakeOrder, now: datetime) -> None:
    """Store an order for `run`, whose row the caller has locked; numbered after the last one."""
    put_many(run, [order], now)


def put_many(run: SagaRun, orders: Sequence[m.TakeOrder], now: datetime) -> None:
    """Store orders for `run`, whose row the caller has locked; numbered after the last one."""
    Order.objects.bulk_create(
        Order(
            run=run,
            number=one.number,
            verb=one.verb,
            details=_details(one),
            by=one.by,
            reason=one.reason,
            at=now,
        )
        for one in orders
    )
    has_live_lease = run.lease_until is not None and run.lease_until > now
    count = len(orders)
    run.inbox_last += count
    run.revision += count
    run.updated_at = now
    changes = {"inbox_last": F("inbox_last") + count, "revision": F("revision") + count, "updated_at": now}
    if not has_live_lease:
        changes["due_at"] = run.due_at = now
    SagaRun.objects.filter(id=run.id).update(**changes)
    wakeups.ring()


def _details(order: m.TakeOrder) -> dict[str, Json]:
    """Return what differs between orders, as stored."""
    details: dict[str, Json] = {}
    if order.step is not None:
        details["step"] = order.step
    if order.has_arguments:
        details["with"] = order.arguments
    if order.verb is Verb.SETTLE:
        details |= {"phase": str(order.phase), "outcome": str(order.outcome), "reference": order.reference}
    if order.verb is Verb.APPROVE:
        details["outcome"] = str(order.outcome)
    if order.verb is Verb.SIGNAL:
        details |= {"signal": order.signal, "with": order.arguments}
    if order.verb in {Verb.SETTLE, Verb.SKIP} and order.output is not None:
        details["output"] = order.output
    if order.late is not None:
        details["late"] = encode_late(order.late)
    if order.child is not None:
        child = order.child
        details["child"] = {
            "run": child.run,
            "status": str(child.status),
            "output": child.output,
            "is_past_pivot": child.is_past_pivot,
        }
    return details
