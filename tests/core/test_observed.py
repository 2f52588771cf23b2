"""Drafting a choreography from what was seen: the order choreography is found again, but for what undoes what."""

from __future__ import annotations

import json

import pytest

from sagas.core.document import check_source
from sagas.core.observed import Seen, draft_document, service_of

pytestmark = pytest.mark.pure

STORIES = {
    "happy": (("storefront", "order.placed"), ("payments", "payment.taken"), ("inventory", "stock.reserved"),
              ("shipping", "order.shipped")),
    "refused": (("storefront", "order.placed"), ("payments", "payment.refused")),
    "lost": (("storefront", "order.placed"), ("payments", "payment.taken"), ("inventory", "stock.reserved"),
             ("shipping", "shipment.failed"), ("inventory", "stock.restored"), ("payments", "payment.refunded")),
}  # fmt: skip


def seen(story: str, order: int) -> list[Seen]:
    found: list[Seen] = []
    for service, kind in STORIES[story]:
        cause = found[-1].id if found else ""
        data = {"order": {"id": order, "shop": "north"}, "customer": order % 2}
        found.append(Seen(f"{order}-{kind}", kind, f"https://shop.example.com/{service}", cause, data))
    return found


def test_a_draft_says_who_reacts_to_what_and_which_run_it_is_of():
    events = [one for order in range(20) for one in seen(("happy", "happy", "refused", "lost")[order % 4], order)]
    document = draft_document(events, "order-seen")
    assert document is not None
    assert document["starts_on"] == ["order.placed"]
    assert document["correlate"] == "${event.data.order.id}"
    assert document["completes_on"] == ["order.shipped"]
    assert set(document["compensated_on"]) == {"payment.refused", "payment.refunded"}
    assert document["publishes"] == {"storefront": ["order.placed"]}
    told = {(one["service"], *one["on"], *one["emits"].values()) for one in document["reactions"]}
    assert told == {
        ("payments", "order.placed", "payment.taken", "payment.refused"),
        ("inventory", "payment.taken", "stock.reserved"),
        ("shipping", "stock.reserved", "order.shipped", "shipment.failed"),
        ("inventory", "shipment.failed", "stock.restored"), ("payments", "stock.restored", "payment.refunded"),
    }  # fmt: skip
    codes = {problem.code for problem in check_source(json.dumps(document), {}).problems}
    assert codes == {"left_undone"}  # what undoes what cannot be seen


def test_a_draft_of_what_only_went_well_is_accepted_as_it_is():
    document = draft_document([one for order in range(5) for one in seen("happy", order)], "order-seen")
    assert check_source(json.dumps(document), {}).problems == ()


def test_nothing_is_drafted_where_nothing_follows_from_anything():
    assert draft_document([Seen("a", "x.y", "/s"), Seen("b", "x.z", "/s", "elsewhere")], "seen") is None


@pytest.mark.parametrize(
    ("source", "service"),
    [
        ("/shop/Payments", "payments"),
        ("urn:shop:stock_keeping", "stock-keeping"),
        ("///", "unknown"),
        ("/ü/é", "unknown"),
    ],
)
def test_a_source_names_a_service(source, service):
    assert service_of(source) == service
