"""Three hundred demo orders with all sorts of ends, and a judge of what became of them.

Both run inside the product's own processes (`manage.py shell -c …`), on its own database.
"""

from __future__ import annotations

import json
from collections import Counter

from django.db.models import Sum

from sagas.core.vocabulary import Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import give_order
from sagas.models import SagaRun
from tests.engine.stored_run import faults_of

COUNT = 300
FAULTS = [
    {},
    {},
    {"create_shipment": {"mode": "reject"}},
    {"update_inventory": {"mode": "reject"}},
    {"process_payment": {"mode": "fail", "times": 1}},
    {"create_shipment": {"mode": "fail", "times": 1}},
    {"create_shipment": {"mode": "reject"}, "refund_payment": {"mode": "fail", "times": 1}},
    {"create_shipment": {"mode": "reject"}, "restore_inventory": {"mode": "fail", "times": 2}},
]


def start() -> None:
    """Start them all, each in a transaction of its own."""
    from shop.models import StockItem

    StockItem.objects.filter(sku="cup").update(on_hand=10 * COUNT)
    for number in range(COUNT):
        start_run(
            "create-order",
            {
                "order_id": f"order-{number}",
                "amount": 100 + number,
                "items": [{"sku": "cup", "quantity": 2}],
                "pace_ms": 5,
                "faults": FAULTS[number % len(FAULTS)],
            },
            by="tests",
        )


def retry() -> None:
    """Order a retry of each run that needs a person."""
    for run in SagaRun.objects.filter(status="needs_attention"):
        give_order(run.id, Verb.RETRY, by="tests")


def judge() -> None:
    """Print one JSON line: how the runs ended, and every fault found in the journals and in the shop."""
    runs = list(SagaRun.objects.all())
    found = [f"{run.id}: {fault}" for run in runs for fault in faults_of(run)]
    found += [f"{run.id} ({run.status}): {fault}" for run in runs for fault in _faults_in_shop(run)]
    found += _faults_in_stock()
    if len(runs) != COUNT:
        found.append(f"{len(runs)} runs of {COUNT}")
    print(json.dumps({"ends": Counter(run.status for run in runs), "faults": found}))


def _faults_in_shop(run: SagaRun) -> list[str]:
    from shop.models import Payment, Reservation, Shipment

    mine = f"{run.id}:"
    payments = list(Payment.objects.filter(key__startswith=mine).values_list("status", flat=True))
    held = Reservation.objects.filter(key__startswith=mine, released_at=None).count()
    taken = Reservation.objects.filter(key__startswith=mine).count()
    parcels = Shipment.objects.filter(key__startswith=mine).count()
    found = [
        f"{name} {count} times" for name, count in (("paid", len(payments)), ("reserved", taken), ("shipped", parcels))
        if count > 1
    ]  # fmt: skip
    if run.status == "completed" and (payments, held, parcels) != ([Payment.TAKEN], 1, 1):
        found.append(f"something is missing: {payments}, {held} held, {parcels} parcels")
    if run.status == "compensated":
        if Payment.TAKEN in payments or held:
            found.append(f"something was not undone: {payments}, {held} held")
        shipping = run.steps.filter(step="create_shipment").values_list("status", flat=True).first()
        if parcels and shipping != "in_doubt":
            found.append(f"{parcels} parcels though the step is {shipping}")
    return found


def _faults_in_stock() -> list[str]:
    from shop.models import Reservation, StockItem

    held = Reservation.objects.filter(released_at=None, item_id="cup").aggregate(all=Sum("quantity"))["all"] or 0
    on_hand = StockItem.objects.get(sku="cup").on_hand
    return [] if on_hand + held == 10 * COUNT else [f"{on_hand} cups on the shelf and {held} reserved"]
