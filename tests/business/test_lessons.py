"""What the head of each example says of its failures is so."""

from __future__ import annotations

import pytest

from sagas.testing import simulate
from tests.business.cases import EXAMPLES, steps_of

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
    "who cancels in the week is not charged": ("renew-subscription", {"look_for_cancellation": "rejected"}, {}, set()),
    "a person who says no opens no account": ("open-account", {"approve": "rejected"}, {}, {"reserve_number"}),
    "papers that never come open no account": ("open-account", {"papers": "never"}, {}, {"reserve_number"}),
    "no verdict withdraws the request": ("verify-customer", {"verdict": "never"}, {}, {"ask_provider"}),
    "a no frees the budget": ("approve-expense", {"ask_lead": "rejected"}, {}, {"reserve_budget"}),
    "a refused parcel gives the money back": ("place-order", {"ship": "rejected"}, {}, {"take_money"}),
    "refused books undo the shipment that was done": (
        "place-order",
        {"enter_sale": "rejected"},
        {},
        {"ship", "take_money"},
    ),
    "a line that is sold out gives the others back": ("pick-order", {"reserve_lines": "rejected"}, {}, {"open_pick"}),
    "a carton that cannot be packed gives all lines back": (
        "pick-order",
        {"pack": "rejected"},
        {},
        {"reserve_lines", "open_pick"},
    ),
    "a month that cannot be closed is paid back": (
        "run-payroll",
        {"close_month": "rejected"},
        {},
        {"pay_salaries", "lock_month"},
    ),
    "a parcel that is refused undoes all parcels": ("split-shipment", {"ship": "rejected"}, {}, {"take_money"}),
    "an invoice that is refused undoes the parcels that were shipped": (
        "split-shipment",
        {"invoice": "rejected"},
        {},
        {"ship", "take_money"},
    ),
    "missing money releases the shares": ("settle-trade", {"lock_money": "rejected"}, {}, {"lock_shares", "match"}),
}


@pytest.mark.parametrize(("saga", "faults", "changes", "undone"), UNDONE.values(), ids=UNDONE.keys())
def test_a_failure_undoes(saga, faults, changes, undone):
    run = played(saga, faults, **changes)
    assert (run.status, steps_of(run.undone)) == ("compensated", undone)
    assert {one.step for one in run.leftovers} == BY_NAME[saga].stays & {"announce"}


def test_the_freeze_is_the_last_that_is_given_up():
    assert played("migrate-customer", {"verify_copy": "rejected"}).undone[-1] == "freeze_old"


@pytest.mark.parametrize(
    ("saga", "step"),
    [
        ("book-trip", "send_itinerary"),
        ("erase-user", "erase_orders"),
        ("erase-user", "erase_mailings"),
        ("settle-trade", "report_trade"),
        ("rent-court", "return_deposit"),
        ("run-payroll", "send_slips"),
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


def statuses(run) -> dict[str, str]:
    return {step["step"]: step["status"] for step in run.steps}


def test_only_a_clear_verdict_skips_the_person():
    clear = {"outcome": "succeeded", "output": {"verdict": "clear"}}
    unclear = {"outcome": "succeeded", "output": {"verdict": "two people of this name"}}
    assert statuses(played("verify-customer", {"verdict": clear}))["review"] == "skipped"
    assert played("verify-customer", {"verdict": unclear, "review": "never"}).undone == ["ask_provider"]


def test_who_does_not_answer_is_passed_over_and_the_next_level_decides():
    run = played("approve-expense", {"ask_lead": "never"})
    assert (run.status, statuses(run)["ask_lead"], statuses(run)["ask_board"]) == ("completed", "skipped", "succeeded")
    assert run.took_s == 2 * 24 * 3600
    assert statuses(played("approve-expense", {}))["ask_board"] == "skipped"
    assert played("approve-expense", {"ask_lead": "never", "ask_board": "rejected"}).undone == ["reserve_budget"]


def test_who_does_not_come_does_not_get_the_deposit_back():
    assert statuses(played("rent-court", {}))["return_deposit"] == "succeeded"
    run = played("rent-court", {"check_in": "never"})
    assert (run.status, statuses(run)["return_deposit"]) == ("completed", "skipped")


def test_a_week_is_given_before_the_charge_and_a_failing_card_is_tried_again_over_two_weeks():
    day_s = 24 * 3600
    assert played("renew-subscription", {}).took_s == 7 * day_s
    assert played("renew-subscription", {"charge": ["failed"] * 4}).took_s == pytest.approx((7 + 1 + 2 + 4 + 7) * day_s)


def test_a_booking_that_is_cancelled_gives_court_and_deposit_back():
    example = BY_NAME["rent-court"]
    value = example.input_for("case", starts_at="2026-03-01T10:00:00Z", door_code_at="2026-02-28T10:00:00Z")
    run = simulate(example.path, value, orders=[{"verb": "cancel", "during": "the_hour"}])
    assert (run.status, run.undone) == ("compensated", ["issue_door_code", "take_deposit", "book_court"])
