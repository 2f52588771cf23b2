"""What the head of each example says of its failures is so."""

from __future__ import annotations

import pytest

from sagas.testing import simulate
from tests.business.cases import EXAMPLES

BY_NAME = {one.saga: one for one in EXAMPLES}


def played(saga: str, faults: dict, **changes):
    example = BY_NAME[saga]
    return simulate(example.path, example.input_for("case", **changes), faults)


UNDONE = {  # saga, what goes wrong, changes of the input -> in which order what is undone
    "a hotel that is full gives back flight and car": (
        "book-trip",
        {"book_hotel": "rejected"},
        {"car": "car:small"},
        {"book_flight", "book_car"},
    ),
    "a refused capture holds neither money nor goods": (
        "fulfil-order",
        {"capture_money": "rejected"},
        {},
        {"find_courier", "reserve_goods", "hold_money"},
    ),
    "a refused credit moves the debit back": ("transfer-money", {"credit_payee": "rejected"}, {}, {"debit_payer"}),
    "an open order gives the login back": ("erase-user", {"look_for_open_orders": "rejected"}, {}, {"suspend_login"}),
    "a copy that does not verify ends the freeze": (
        "migrate-customer",
        {"verify_copy": "rejected"},
        {},
        {"copy_data", "take_snapshot", "freeze_old"},
    ),
    "an invoice that is not sent is reversed": (
        "issue-invoice",
        {"send_invoice": "rejected"},
        {},
        {"post_tax", "post_receivable", "draw_number"},
    ),
    "no voucher gives the points back": ("redeem-points", {"reserve_voucher": "rejected"}, {}, {"take_points"}),
    "what was skipped is not undone": (
        "return-goods",
        {"refund": "rejected"},
        {"condition": "damaged"},
        {"scrap", "receive_parcel", "open_return"},
    ),
    "missing money releases the shares": ("settle-trade", {"lock_money": "rejected"}, {}, {"lock_shares", "match"}),
}


@pytest.mark.parametrize(("saga", "faults", "changes", "undone"), UNDONE.values(), ids=UNDONE.keys())
def test_a_failure_undoes(saga, faults, changes, undone):
    run = played(saga, faults, **changes)
    assert (run.status, set(run.undone), run.leftovers) == ("compensated", undone, [])


def test_the_freeze_is_the_last_that_is_given_up():
    assert played("migrate-customer", {"verify_copy": "rejected"}).undone[-1] == "freeze_old"


@pytest.mark.parametrize(
    ("saga", "step"),
    [
        ("book-trip", "send_itinerary"),
        ("erase-user", "erase_orders"),
        ("erase-user", "erase_mailings"),
        ("settle-trade", "report_trade"),
    ],
)
def test_what_must_happen_after_the_point_of_no_return_is_tried_for_ever(saga, step):
    run = played(saga, {step: "failed"})
    assert (run.status, run.undone) == ("still_retrying", [])


@pytest.mark.parametrize(
    ("saga", "step"),
    [("transfer-money", "debit_payer"), ("fulfil-order", "capture_money"), ("settle-trade", "exchange")],
)
def test_where_guessing_would_cost_money_a_person_is_asked(saga, step):
    run = played(saga, {step: "unknown"})
    assert (run.status, run.attention, run.undone) == ("needs_attention", [step], [])


@pytest.mark.parametrize(
    ("saga", "refused", "resists", "others"),
    [
        ("dispute-card-payment", "file_with_scheme", "credit_cardholder", {"debit_merchant"}),
        ("provision-tenant", "invite_owner", "create_storage", {"assign_licence", "create_database", "create_address"}),
    ],
)
def test_one_that_cannot_be_undone_does_not_keep_the_others(saga, refused, resists, others):
    run = played(saga, {refused: "rejected", f"{resists}.compensation": "rejected"})
    assert run.status == "needs_attention"
    assert run.attention == [f"{resists}.compensation"]
    assert others <= set(run.undone)
