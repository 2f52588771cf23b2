"""Starting runs of every shape, and judging them. Both happen in the product's own processes, on its own database."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import count
from pathlib import Path

from django.core.management import call_command
from django.db.models import Sum

from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.models import SagaRun
from tests.engine.stored_run import faults_of
from tests.mixed.shapes import COMPENSATED, COMPLETED, SHAPES, Shape

SHELF = 1_000_000  # cups
STARTED_MAX = 3_000  # so that nothing is started for ever when nobody says "enough"


def prepare() -> None:
    """Migrate, load the demo, publish the shapes and fill the shelf."""
    call_command("migrate", verbosity=0)
    call_command("demo")
    from shop.models import StockItem

    StockItem.objects.filter(sku="cup").update(on_hand=SHELF)
    for shape in SHAPES:
        if shape.source:
            publish(shape.source, by="tests")


def start(at_least: int, *, pace_ms: int = 20, pause_s: float = 0.0, until: str = "") -> None:
    """Start runs of all shapes by turns, each in a transaction of its own, and print how many.

    Args:
        at_least: so many in any case.
        pace_ms: for so long each step takes its time.
        pause_s: between two of them.
        until: a file; starting goes on until it is there.
    """
    for number in count():
        if number >= STARTED_MAX or (number >= at_least and (not until or Path(until).exists())):
            print(number)
            return
        shape = SHAPES[number % len(SHAPES)]
        faults, _ = _way(shape, number)
        start_run(
            shape.saga,
            {
                "order_id": f"order-{number}",
                "amount": 100 + number,
                "items": [{"sku": "cup", "quantity": 2}],
                "pace_ms": pace_ms,
                "faults": faults,
            },
            key=f"order-{number}",
            by="tests",
        )
        time.sleep(pause_s)


def judge(number: int) -> None:
    """Print one JSON line: how the `number` runs ended, and every fault found in the journals and in the shop."""
    runs = list(SagaRun.objects.select_related("saga"))
    found = [f"{run.id}: {fault}" for run in runs for fault in (*faults_of(run), *_faults_of_end(run))]
    found += _faults_in_stock()
    if len(runs) != number:
        found.append(f"{len(runs)} runs of {number}")
    ends = Counter(f"{run.saga.name} {run.status}" for run in runs)
    print(json.dumps({"ends": dict(sorted(ends.items())), "faults": found}))


def _way(shape: Shape, number: int) -> tuple[dict[str, object], tuple[str, ...]]:
    return shape.ways[number // len(SHAPES) % len(shape.ways)]


def _faults_of_end(run: SagaRun) -> list[str]:
    """Compare how it ended, and what it left in the shop, with what the shape says."""
    from shop.models import Payment, Reservation, Shipment

    shape = next(shape for shape in SHAPES if shape.saga == run.saga.name)
    faults, ends = _way(shape, int(run.key.rpartition("-")[2]))
    mine = f"{run.id}:"
    left = (
        Payment.objects.filter(key__startswith=mine, status=Payment.TAKEN).count(),
        Reservation.objects.filter(key__startswith=mine, released_at=None).count(),
        Shipment.objects.filter(key__startswith=mine).count(),
    )
    who = f"{shape.saga} told to {faults}"
    found = [] if run.status in ends else [f"{who} ended {run.status}, not {' or '.join(ends)}"]
    if run.status == COMPLETED and left != (shape.payments, shape.reservations, shape.parcels):
        found.append(f"{who}: payments, reservations, parcels are {left}")
    if run.status == COMPENSATED and left[:2] != (0, 0):
        found.append(f"{who}: payments and reservations not undone: {left[:2]}")
    return found


def _faults_in_stock() -> list[str]:
    """An action done twice shows here, whatever its rows say."""
    from shop.models import Reservation, StockItem

    held = Reservation.objects.filter(released_at=None, item_id="cup").aggregate(all=Sum("quantity"))["all"] or 0
    on_hand = StockItem.objects.get(sku="cup").on_hand
    return [] if on_hand + held == SHELF else [f"{on_hand} cups on the shelf and {held} reserved"]
