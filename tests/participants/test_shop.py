"""The demo shop does, undoes, and bears being asked twice or for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from shop.models import Payment, Reservation, Shipment, StockItem

from sagas.core.outcome import Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import Phase
from sagas.participants import local, registry
from sagas.participants.base import Call

if TYPE_CHECKING:
    from sagas.core.outcome import Outcome

pytestmark = pytest.mark.django_db

ITEMS = [{"sku": "teapot", "quantity": 2}, {"sku": "cup"}, {"sku": "teapot"}]


@pytest.fixture(autouse=True)
def _shelves() -> None:
    StockItem.objects.create(sku="teapot", on_hand=5)
    StockItem.objects.create(sku="cup", on_hand=1)


def perform(name: str, *, attempt: int = 1, action_key: str = "", timeout_s: float = 2.0, **arguments: Any) -> Outcome:
    found = registry.find(f"shop.{name}")
    assert found is not None
    call = Call(
        run_id="0192f0aa-0000-7000-8000-0123456789ab",
        saga="create-order",
        step=name,
        phase=Phase.COMPENSATION if action_key else Phase.ACTION,
        attempt=attempt,
        idempotency_key=f"0192:{name}:{'compensation' if action_key else 'action'}",
        action_key=action_key,
        arguments={"order_id": "A-1", **arguments},
        timeout_s=timeout_s,
    )
    if not found.is_atomic:
        return local.perform_plain(found, call)
    kept: list[Outcome] = []
    said = local.perform_atomic(found, call, kept.append)
    return kept[0] if said is None else said


def on_hand() -> dict[str, int]:
    return dict(StockItem.objects.values_list("sku", "on_hand"))


def test_a_payment_is_taken_and_given_back_once() -> None:
    assert isinstance(perform("process_payment", amount=700), Succeeded)
    assert Payment.objects.get().status == Payment.TAKEN
    first = perform("refund_payment", action_key="0192:process_payment:action")
    again = perform("refund_payment", action_key="0192:process_payment:action")
    assert Payment.objects.get().status == Payment.REFUNDED
    assert first == Succeeded({"order_id": "A-1", "refunded": True})
    assert again == Succeeded({"order_id": "A-1", "refunded": False})


def test_what_never_happened_is_undone_by_doing_nothing() -> None:
    assert perform("refund_payment", action_key="0192:process_payment:action") == Succeeded(
        {"order_id": "A-1", "refunded": False}
    )
    assert perform("restore_inventory", action_key="0192:update_inventory:action") == Succeeded(
        {"order_id": "A-1", "restored": {}}
    )
    assert on_hand() == {"teapot": 5, "cup": 1}


def test_stock_is_reserved_and_put_back_once() -> None:
    assert perform("update_inventory", items=ITEMS) == Succeeded({"reserved": {"teapot": 3, "cup": 1}})
    assert on_hand() == {"teapot": 2, "cup": 0}
    for _ in range(2):
        assert isinstance(perform("restore_inventory", action_key="0192:update_inventory:action"), Succeeded)
    assert on_hand() == {"teapot": 5, "cup": 1}


def test_an_order_is_reserved_whole_or_not_at_all() -> None:
    said = perform("update_inventory", items=[*ITEMS, {"sku": "zebra"}])
    assert isinstance(said, Rejected)
    assert said.error.code == "out_of_stock"
    assert on_hand() == {"teapot": 5, "cup": 1}
    assert not Reservation.objects.exists()


def test_a_parcel_asked_for_twice_is_booked_once() -> None:
    first, again = perform("create_shipment"), perform("create_shipment", attempt=2)
    assert first == again
    assert Shipment.objects.count() == 1


def test_the_switches_go_wrong_as_often_as_they_say() -> None:
    fail = {"mode": "fail", "times": 2}
    assert isinstance(perform("create_shipment", fault=fail), Failed)
    assert isinstance(perform("create_shipment", fault=fail, attempt=2), Failed)
    assert not Shipment.objects.exists()
    assert isinstance(perform("create_shipment", fault=fail, attempt=3), Succeeded)
    assert isinstance(perform("create_shipment", fault={"mode": "reject"}, attempt=9), Rejected)
    assert isinstance(perform("process_payment", amount=1, fault={"mode": "fail"}), Failed)
    assert isinstance(perform("process_payment", amount=1, fault={"mode": "reject"}), Rejected)
    assert not Payment.objects.exists()


def test_a_time_out_sleeps_past_its_time_with_the_work_done(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    perform("create_shipment", fault={"mode": "time_out"}, pace_ms=50, timeout_s=2.0)
    assert Shipment.objects.exists()
    assert slept[0] == 0.05
    assert slept[1] > 2.0


def test_a_crash_ends_the_process_at_the_first_attempt_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class DiedError(Exception):
        pass

    def die(status: int) -> None:
        raise DiedError(status)

    monkeypatch.setattr("os._exit", die)
    died = perform("create_shipment", fault={"mode": "crash"})
    assert isinstance(died, Unknown)
    assert died.error.message == "DiedError: 137"
    assert Shipment.objects.exists(), "the work was done before"
    assert isinstance(perform("create_shipment", fault={"mode": "crash"}, attempt=2), Succeeded)
