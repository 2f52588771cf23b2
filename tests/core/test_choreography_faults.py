"""Wrong choreographies, each with what its author is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.limits import WAYS_MAX

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
ORDER = (ROOT / "examples/choreography/order.yaml").read_text()
SHOP = {
    f"shop.{name}": ActionFacts()
    for name in (
        "process_payment", "update_inventory", "create_shipment", "restore_inventory", "refund_payment",
    )
}  # fmt: skip
LINES = {line.strip(): number for number, line in enumerate(ORDER.splitlines(), start=1)}

WRONG_CHOREOGRAPHIES = [
    ("correlate: ${event.data.order_id}\n", "",
     ("correlate: `correlate` is missing: an expression over the event gives one value for each run, such as "
     "${event.data.order_id}.")),
    ("${event.data.order_id}\nc", "order_id\nc",
     ("correlate: `correlate` must be an expression over the event, such as ${event.data.order_id}; "
     'found "order_id".')),
    ("${event.data.order_id}\nc", "${input.order_id}\nc",
     "correlate: `input.order_id` is not a name here. Known here: `event`."),
    ("starts_on: [order.placed]", "starts_on: []",
     "starts_on: `starts_on` must be a list of types of events, such as [order.placed]; found an empty list."),
    ("starts_on: [order.placed]", "starts_on: [order placed]",
     ("starts_on[0]: `starts_on` must name the type of an event: letters, digits, dashes and dots, at most 128, "
     'such as order.placed; found "order placed".')),
    ("completes_on: [order.shipped]\n", "",
     "completes_on: `completes_on` is missing: an event completes a run, such as [order.shipped]."),
    ("reactions:\n", "steps: []\nreactions:\n", "steps: Only the style orchestration has `steps`."),
    ("reactions:\n", "startson: []\nreactions:\n",
     "startson: `startson` is not a key of a choreography. Did you mean `starts_on`?"),
    ("[shipment.failed]", "[shipment.faild]",
     ("reactions[3].on[0]: Nobody emits `shipment.faild`; where it comes from outside, say so under `publishes`. "
     "Did you mean `shipment.failed`?")),
    ("publishes: {storefront: [order.placed]}", "publishes: {storefront: [order.placed, order.changed]}",
     "publishes.storefront[1]: Nobody handles `order.changed`: no reaction is on it, and it starts and ends nothing."),
    ("rejected: stock.short", "rejected: stock.none",
     ("reactions[4].on[0]: Nobody emits `stock.short`; where it comes from outside, say so under `publishes`. "
     "Did you mean `stock.restored`?")),
    ("on: [stock.short, stock.restored]", "on: [stock.restored]",
     "reactions[1].emits.rejected: Nobody handles `stock.short`: no reaction is on it, and it ends nothing."),
    ("    undoes: reserve_stock\n", "",
     ("reactions[1]: When `ship` is rejected (`shipment.failed`), the last event is `payment.refunded`, and "
     "`reserve_stock` stays done: let a reaction with `undoes: reserve_stock` follow, or say `compensation: none`.")),
    ("undoes: reserve_stock", "undoes: reserve_stok",
     ('reactions[3].undoes: `undoes` must name another reaction; found "reserve_stok". '
     "Did you mean `reserve_stock`?")),
    ("undoes: take_payment", "undoes: restore_stock",
     "reactions[4].undoes: `restore_stock` undoes `reserve_stock`: what undoes is not undone."),
    ("compensated_on: [payment.refused, payment.refunded]", "compensated_on: [payment.refunded]",
     "reactions[0].emits.rejected: Nobody handles `payment.refused`: no reaction is on it, and it ends nothing."),
    ("payment.refused, payment.refunded]", "payment.refused, payment.refunded, order.shipped]",
     "compensated_on[2]: `order.shipped` completes the run already: an event says one of the two."),
    ("{succeeded: payment.refunded}", "{succeeded: payment.refunded, rejected: refund.refused}",
     ("reactions[4].emits.rejected: `refund_payment` undoes `take_payment`: it cannot refuse that. "
     "A person is asked when it fails.")),
    ("{succeeded: payment.taken, rejected: payment.refused}", "{succeeded: payment.taken, rejected: payment.taken}",
     "reactions[0].emits.rejected: Both outcomes emit `payment.taken`: nobody could tell them apart."),
    ("early: {default: park, payment.taken: buffer 10m}", "early: {default: keep}",
     'early.default: Must be start, park, drop, or buffer with a time such as `buffer 10m`; found "keep".'),
    ("early: {default: park, payment.taken: buffer 10m}", "early: {payment.taken: buffer soon}",
     ("early.payment.taken: `buffer` takes a duration such as 250ms, 10s, 5m, 2h, 1d or PT1H30M, at most 400d; "
     'found "soon".')),
    ("early: {default: park, payment.taken: buffer 10m}", "early: {payment.token: park}",
     "early.payment.token: No event is called `payment.token` here. Did you mean `payment.taken`?"),
    ("    action: shop.process_payment\n", "    external: true\n",
     "reactions[0].with: A reaction that is only watched has no `with`: it is not called from here."),
    ("    action: shop.create_shipment\n", "    action: shop.create_shipment\n    external: true\n",
     "reactions[2].action: The service does it by itself (`external: true`), so there is no `action` here."),
    ("    service: shipping\n", "",
     "reactions[2].service: `service` is missing: a reaction says which service does it, such as payments."),
    ("on: [stock.reserved]", "on: [payment.taken, stock.restored]",
     "reactions[1].emits.succeeded: Nobody handles `stock.reserved`: no reaction is on it, and it ends nothing."),
    ("    on: [order.placed]", "    on: [order.placed, stock.restored]",
     ("reactions[1].on: Events go round for ever: reserve_stock → stock.reserved → ship → shipment.failed → "
     "restore_stock → stock.restored → take_payment → payment.taken → reserve_stock.")),
    ("with: {order_id", 'with: {run: "${run.idd}", order_id',
     "reactions[0].with.run: `run.idd` is not a name here. Did you mean `run.id`?"),
    ("    undoes: take_payment\n", "    undoes: take_payment\n    compensation: some\n",
     ("reactions[4].compensation: A reaction has no compensation of its own: write a reaction that `undoes` it, or "
     '`none`. Found "some".')),
]  # fmt: skip


def said(text: str) -> list[str]:
    return [str(problem) for problem in check_source(text, SHOP).problems]


def without_place(message: str) -> str:
    place, _, rest = message.partition(" (line ")
    return place + rest.partition("):")[2].join([":", ""]) if rest else message


@pytest.mark.parametrize(("old", "new", "message"), WRONG_CHOREOGRAPHIES, ids=range(len(WRONG_CHOREOGRAPHIES)))
def test_a_wrong_choreography_is_refused_with(old, new, message):
    assert old in ORDER
    found = [without_place(one) for one in said(ORDER.replace(old, new, 1))]
    assert message in found


def test_the_order_is_accepted_without_a_warning_done_here_or_only_watched():
    checked = check_source(ORDER, SHOP)
    assert (checked.problems, checked.warnings) == ((), ())
    definition = compile_document(checked.document, SHOP)
    chart = definition.choreography
    assert chart is not None
    assert [one.name for one in chart.reacting["stock.short"]] == ["refund_payment"]
    assert definition.by_name["restore_stock"].after == ("ship",)


LOST = (
    "  - {name: lost, service: a, on: [b.lost], action: shop.create_shipment, emits: {succeeded: a.lost}}\n"
    "  - {name: found, service: a, on: [a.lost], action: shop.create_shipment, emits: {succeeded: b.lost}}\n"
)


TOLD = "  - {name: tell, service: a, on: [order.told], external: true, emits: {succeeded: order.heard}}\n"
ENDLESS = ORDER.replace(
    "publishes: {storefront: [order.placed]}", "publishes: {a: [order.placed, order.told]}"
).replace("starts_on: [order.placed]", "starts_on: [order.placed, order.told]") + TOLD.replace(
    "emits: {succeeded: order.heard}", "compensation: none"
)


def test_a_way_that_ends_nowhere_is_told():
    assert any("that ends nothing: name `order.told`" in one for one in said(ENDLESS))


def test_a_run_that_is_open_until_an_event_from_outside_comes_is_no_mistake():
    source = ORDER.replace("{storefront: [order.placed]}", "{storefront: [order.placed, order.received]}")
    source = source.replace("completes_on: [order.shipped]", "completes_on: [order.received]")
    source = source.replace("    emits: {succeeded: order.shipped, rejected", "    emits: {rejected")
    assert said(source) == []


def test_a_reaction_that_can_never_run_is_named():
    assert any(
        "`lost` can never run: no way leads from `order.placed` to `b.lost`" in one for one in said(ORDER + LOST)
    )


def wide() -> str:
    """Return a choreography with more ways through it than are followed: each reaction has its own undo."""
    count = WAYS_MAX.bit_length() + 1
    pairs = "".join(
        f"  - {{name: r{n}, service: s, on: [go], action: shop.create_shipment, "
        f"emits: {{succeeded: done, rejected: gone}}}}\n"
        f"  - {{name: u{n}, service: s, on: [gone], undoes: r{n}, action: shop.create_shipment}}\n"
        for n in range(count)
    )
    return (
        "saga: wide\nstyle: choreography\nstarts_on: [go]\ncorrelate: ${event.data.id}\ncompletes_on: [done]\n"
        f"compensated_on: [gone]\npublishes: {{a: [go]}}\nreactions:\n{pairs}"
    )


def test_more_ways_than_are_followed_are_told():
    checked = check_source(wide(), SHOP)
    assert checked.problems == ()
    assert [one.message for one in checked.warnings if one.code == "ways_not_followed"] == [
        f"More than {WAYS_MAX} steps of ways lead through it: not all of them were followed."
    ]
