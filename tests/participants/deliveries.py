"""Deliveries to a barrier, and an effect that tells how often it happened."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import F
from shop.models import StockItem

from sagas.participants.barrier import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

SHELF = 100


def fill() -> None:
    StockItem.objects.create(sku="teapot", on_hand=SHELF)


def taken() -> int:
    """How many have been taken and not put back."""
    return SHELF - StockItem.objects.get(sku="teapot").on_hand


def take() -> dict[str, int]:
    """Take one: not idempotent by itself."""
    StockItem.objects.filter(sku="teapot").update(on_hand=F("on_hand") - 1)
    return {"left": StockItem.objects.get(sku="teapot").on_hand}


def put_back() -> dict[str, int]:
    StockItem.objects.filter(sku="teapot").update(on_hand=F("on_hand") + 1)
    return {"left": StockItem.objects.get(sku="teapot").on_hand}


def action(key: str = "0192:stock:action") -> Delivery:
    return Delivery(idempotency_key=key)


def compensation(of: str = "0192:stock:action", *, key: str = "", outcome: str = "") -> Delivery:
    return Delivery(
        idempotency_key=key or of.replace("action", "compensation"),
        phase="compensation",
        action_key=of,
        outcome=outcome,
    )


class Courier(threading.Thread):
    """Makes one delivery in a thread, with connections of its own, and keeps what came of it."""

    def __init__(self, deliver: Callable[[], Any]) -> None:
        super().__init__()
        self._deliver = deliver
        self.answer: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer = self._deliver()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            connections.close_all()


def deliver_at_once(*deliveries: Callable[[], Any]) -> list[Courier]:
    """Make all of them from threads that start together; return the couriers when all are back."""
    together = threading.Barrier(len(deliveries))

    def late(deliver: Callable[[], Any]) -> Callable[[], Any]:
        def start() -> Any:
            together.wait(30)
            return deliver()

        return start

    couriers = [Courier(late(deliver)) for deliver in deliveries]
    for courier in couriers:
        courier.start()
    for courier in couriers:
        courier.join(60)
        assert not courier.is_alive(), "a delivery waits for ever"
    return couriers
