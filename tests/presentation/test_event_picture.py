"""The map of events: which arrows it has, that they can be told apart, and what it leaves out when it is too big."""

from __future__ import annotations

import re
from itertools import pairwise

from sagas.models import EventRole
from sagas.presentation.event_flow import Told, flows, in_order
from sagas.presentation.event_picture import ARROWS_DRAWN_MAX, SERVICES_DRAWN_MAX, draw
from sagas.queries.events import MapRow, Use


def declared(kind, publisher, *subscribers, seen=0, sources=None, undoes="", starts=False):
    """Return a row of a type that one service publishes and others react to."""
    uses = (
        Use("order", EventRole.EMITS.value, publisher, "r"),
        *(Use("order", EventRole.REACTS.value, one, f"on_{one}", undoes) for one in subscribers),
    )
    uses += (Use("order", EventRole.STARTS.value, ""),) if starts else ()
    return MapRow(kind, uses, seen, sources={publisher: seen} if sources is None else sources)


ROWS = [
    declared("order.placed", "shop", "payments", seen=5, starts=True),
    declared("payment.taken", "payments", "inventory", "mail", seen=4),
    declared("stock.short", "inventory", "payments", undoes="take_payment"),
    MapRow("weather.changed", seen=2, sources={"met": 2}, waiting=2),
]


def picture(rows, **more):
    """Draw with the words of a week."""
    return draw(rows, {"payments"}, "the last 7 days", **more)


def test_an_arrow_leads_from_who_publishes_to_all_who_react():
    found = {flow.type: (flow.publisher, flow.subscribers, flow.told) for flow in flows(ROWS)}
    assert found == {
        "order.placed": ("shop", ("payments",), Told.BOTH),
        "payment.taken": ("payments", ("inventory", "mail"), Told.BOTH),
        "stock.short": ("inventory", ("payments",), Told.DECLARED),
        "weather.changed": ("", (), Told.SEEN),
    }


def test_a_service_that_publishes_what_nobody_says_it_does_is_told_from_one_that_should():
    rows = [*ROWS, declared("paid", "payments", "mail", seen=3, sources={"payments": 1, "mail": 2})]
    found = [(flow.publisher, flow.told, flow.seen) for flow in flows(rows) if flow.type == "paid"]
    assert found == [("payments", Told.BOTH, 1), ("mail", Told.SEEN, 2)]


def test_a_source_that_names_no_service_accuses_nobody():
    two = declared("paid", "payments", "mail", seen=3, sources={"orders-7": 3})
    two = MapRow(two.type, (*two.uses, Use("order", EventRole.EMITS.value, "mail", "x")), 3, sources=two.sources)
    assert [flow.told for flow in flows([*ROWS, two]) if flow.type == "paid"] == [Told.BOTH, Told.BOTH]


def test_services_stand_as_a_run_passes_through_them_and_others_last():
    assert in_order(flows(ROWS)) == ["shop", "payments", "inventory", "mail", ""]


def test_each_arrow_says_whole_what_it_shows():
    found = {arrow.label: arrow.full_title for arrow in picture(ROWS).arrows}
    assert found["payment.taken · 4"] == "payment.taken from payments, to inventory, mail, 4 seen in the last 7 days"
    assert "declared, not seen in the last 7 days" in found["◌ stock.short · 0"]
    assert "nobody reacts to it" in found["◍ weather.changed · 2 ⚑ 2"]
    assert "2 wait for a person" in found["◍ weather.changed · 2 ⚑ 2"]


def test_what_leads_back_runs_below_and_only_registered_services_have_a_page():
    drawn = picture(ROWS)
    below = [arrow for arrow in drawn.arrows if arrow.y > drawn.top]
    assert [arrow.kind for arrow in below if "stock.short" in arrow.label] == ["backward"]
    assert [box.title for box in drawn.boxes if box.url] == ["payments"]


def test_of_disagreements_only_those_arrows_are_drawn():
    labels = [arrow.label for arrow in picture(ROWS, only_odd=True).arrows]
    assert labels == ["◌ stock.short · 0", "◍ weather.changed · 2 ⚑ 2"]


def test_no_label_stands_on_another_and_all_is_within_the_picture():
    drawn = picture(many(25, 90))
    assert len(drawn.arrows) >= 90
    lines: dict[int, list[tuple[int, int]]] = {}
    for arrow in drawn.arrows:
        lines.setdefault(arrow.y, []).append((arrow.x, arrow.x + arrow.width))
    for line in lines.values():
        line.sort()
        assert all(left[1] < right[0] for left, right in pairwise(line))
    numbers = [[int(one) for one in re.findall(r"-?\d+", path)] for arrow in drawn.arrows for path in arrow.paths]
    assert min(min(one) for one in numbers) >= 0
    assert max(arrow.x + arrow.width for arrow in drawn.arrows) <= drawn.width


def many(services, types):
    """Return rows of as many types between as many services, the later ones seen more often."""
    return [
        declared(
            f"thing{n}.done", f"service-{n % services}", f"service-{n * 7 % services}", f"service-{n * 3 % services}",
            seen=n,
        )
        for n in range(types)
    ]  # fmt: skip


def test_a_map_of_sixty_services_and_two_hundred_types_draws_what_is_used_most_and_counts_the_rest():
    drawn = picture(many(60, 200))
    assert len(drawn.boxes) <= SERVICES_DRAWN_MAX
    assert 0 < len({arrow.full_title for arrow in drawn.arrows}) <= ARROWS_DRAWN_MAX
    assert drawn.services_hidden == 60 - len(drawn.boxes)
    assert drawn.arrows_hidden == 200 - len({arrow.full_title for arrow in drawn.arrows})
    most = max(arrow.full_title for arrow in drawn.arrows if "199 seen" in arrow.full_title)
    assert "thing199.done" in most
