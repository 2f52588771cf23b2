"""Run in a process of ours: place orders of the choreographed demo shop, by events."""

from __future__ import annotations

from sagas.choreography.router import take
from sagas.core.cloud_event import CloudEvent
from sagas.models import EventOrigin

FAULTS = ("", "", "process_payment", "update_inventory", "create_shipment")


def fails_at(number: int) -> str:
    return FAULTS[number % len(FAULTS)]


def place(count: int) -> None:
    for number in range(count):
        fault = fails_at(number)
        data = {
            "order_id": str(number),
            "amount": 100,
            "items": [{"sku": "teapot"}],
            "faults": {fault: {"mode": "reject"}} if fault else {},
        }
        event = CloudEvent(id=f"order-{number}", source="/storefront", type="order.placed", data=data)
        take([event], origin=EventOrigin.API, by="tests")
