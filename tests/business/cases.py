"""What the tests start each example saga with, and what it may leave behind by its own word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps


@dataclass(frozen=True, kw_only=True)
class Example:
    """One saga of the examples.

    `ref` is the member of the input that names the case; `stays` are the steps that say
    `compensation: none`; `refusals` are inputs that a participant refuses by itself, with
    the step that meets the refusal; `also` are other inputs, that take other ways; `inner`
    names for a step that runs another saga a step there, which goes wrong in its place,
    in the case `inner_ref` (of `ref`).
    """

    saga: str
    ref: str
    input: dict[str, Any] = field(default_factory=dict)
    stays: frozenset[str] = frozenset()
    refusals: tuple[tuple[str, dict[str, Any]], ...] = ()
    also: tuple[dict[str, Any], ...] = ()
    inner: dict[str, str] = field(default_factory=dict)
    inner_ref: str = "{}"

    @property
    def path(self) -> Any:
        return next(path for path in apps.get_app_config("business").definitions() if path.stem == self.saga)

    def input_for(self, ref: str, **changes: Any) -> dict[str, Any]:
        return {**self.input, **changes, self.ref: ref}


TRIP = {"traveller": "alice", "flight": "flight:SW100", "hotel": "hotel:grand", "price": 900}
ORDER = {"customer": "alice", "sku": "sku:teapot", "quantity": 2, "price": 300}
MOON_ROCK = {"sku": "sku:moon-rock", "quantity": 1}
LONG_AGO = "2020-01-01T00:00:00Z"  # a moment that nobody waits for
TRADE = {"buyer": "alice", "share": "share:ACME", "quantity": 5, "price": 5000}

EXAMPLES = (
    Example(
        saga="approve-expense",
        ref="expense",
        input={"employee": "bob", "amount": 80},
        refusals=(("pay", {"employee": "nobody"}),),
    ),
    Example(
        saga="book-trip",
        ref="trip",
        input=TRIP,
        refusals=(
            ("check_funds", {"traveller": "carol", "price": 9_999_999}),
            ("book_flight", {"flight": "flight:none"}),
            ("book_hotel", {"hotel": "hotel:full"}),
        ),
        also=({"car": "car:small"},),
    ),
    Example(
        saga="dispute-card-payment",
        ref="dispute",
        input={"cardholder": "carol", "amount": 400, "why": "never arrived"},
        stays=frozenset({"file_with_scheme"}),
        refusals=(("credit_cardholder", {"cardholder": "nobody"}),),
    ),
    Example(saga="erase-user", ref="user"),
    Example(
        saga="fulfil-order",
        ref="order",
        input=ORDER,
        refusals=(
            ("hold_money", {"price": 10**12}),
            ("reserve_goods", {"sku": "sku:moon-rock"}),
        ),
    ),
    Example(
        saga="issue-invoice", ref="invoice", input={"customer": "alice", "net": 1000, "tax": 190}, also=({"tax": 0},)
    ),
    Example(saga="migrate-customer", ref="customer"),
    Example(
        saga="open-account",
        ref="application",
        input={"customer": "bob"},
        also=({"bonus": 500},),
    ),
    Example(
        saga="pick-order",
        ref="order",
        input={"lines": [{"sku": "sku:teapot", "quantity": 2}] * 6},
        refusals=(("reserve_lines", {"lines": [*[{"sku": "sku:cup", "quantity": 1}] * 5, MOON_ROCK]}),),
    ),
    Example(
        saga="place-order",
        ref="order",
        input={"customer": "alice", "price": 1200},
        inner={"ship": "find_courier"},
        refusals=(("take_money", {"customer": "carol", "price": 9_999_999}),),
    ),
    Example(
        saga="provision-tenant",
        ref="tenant",
        input={"owner": "alice", "region": "eu"},
        stays=frozenset({"invite_owner"}),
    ),
    Example(
        saga="redeem-points",
        ref="redemption",
        input={"member": "alice", "points": 10, "voucher": "voucher"},
        refusals=(("take_points", {"member": "bob", "points": 501}), ("reserve_voucher", {"voucher": "hotel:full"})),
    ),
    Example(
        saga="renew-subscription",
        ref="subscription",
        input={"customer": "alice", "price": 990},
        stays=frozenset({"announce"}),
        refusals=(("charge", {"customer": "carol", "price": 9_999_999}),),
    ),
    Example(
        saga="rent-court",
        ref="booking",
        input={"player": "alice", "deposit": 2000, "door_code_at": LONG_AGO, "starts_at": LONG_AGO},
    ),
    Example(
        saga="return-goods",
        ref="return_number",
        input={"customer": "bob", "condition": "good", "refund": 700},
        also=({"condition": "damaged"},),
    ),
    Example(
        saga="run-payroll",
        ref="month",
        input={"employees": [{"account": "alice", "net": 30}, {"account": "bob", "net": 20}] * 2},
        refusals=(("pay_salaries", {"employees": [{"account": "bob", "net": 9}, {"account": "nobody", "net": 9}]}),),
    ),
    Example(
        saga="settle-trade",
        ref="trade",
        input=TRADE,
        refusals=(("lock_money", {"buyer": "carol", "price": 9_999_999}), ("lock_shares", {"share": "hotel:full"})),
    ),
    Example(saga="ship-parcel", ref="order", input={"to": "alice"}),
    Example(
        saga="split-shipment",
        ref="order",
        input={"customer": "alice", "price": 60, "addresses": ["home", "work", "aunt"]},
        inner={"ship": "find_courier"},
        inner_ref="{}-1",
        refusals=(("take_money", {"customer": "carol", "price": 9_999_999}),),
    ),
    Example(
        saga="transfer-money",
        ref="transfer",
        input={"payer": "alice", "payee": "bob", "amount": 250},
        refusals=(("debit_payer", {"payer": "carol", "amount": 9_999_999}),),
    ),
    Example(saga="verify-customer", ref="check", input={"customer": "carol"}),
)


def steps_of(names: Iterable[str]) -> set[str]:
    """Return the steps that `names` are about; items of a list count as their list."""
    return {name.partition("[")[0] for name in names}
