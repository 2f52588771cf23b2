"""What a choreography's document compiles to, and what other code reads of it, whoever wrote it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sagas import definition as d
from sagas.core.choreography_form import CHOREOGRAPHY_KEYS, REACTION_KEYS
from sagas.core.definition import ActionFacts, CommandAction, HttpAction
from sagas.core.document import SAGA_KEYS, DocumentBrokenError, check_source, compile_document, content_hash
from sagas.core.document_services import named_services
from sagas.core.steps import STEP_KEYS
from sagas.testing import simulate
from tests.core.test_choreography_faults import ORDER, ROOT, SHOP

pytestmark = pytest.mark.pure

WATCHED = (ROOT / "examples/choreography/order-watched.yaml").read_text()
FACTS = {"shop.pay": ActionFacts(), "shop.look": ActionFacts(reads_only=True)}
ORDER_IN_PYTHON = d.choreography(
    "choreographed-order",
    title="Order, choreographed",
    starts_on=["order.placed"],
    correlate="${event.data.order_id}",
    completes_on=["order.shipped"],
    compensated_on=["payment.refused", "payment.refunded"],
    publishes={"storefront": ["order.placed"]},
    deadline=timedelta(minutes=30),
    early={"default": "park", "payment.taken": "buffer 10m"},
    reactions=[
        d.reaction(
            "take_payment", service="payments", on=["order.placed"], action="shop.process_payment",
            with_={"order_id": "${event.data.order_id}"},
            emits={"succeeded": "payment.taken", "rejected": "payment.refused"}, within="1m",
        ),
        d.reaction(
            "reserve_stock", service="inventory", on=["payment.taken"], action="shop.update_inventory",
            emits={"succeeded": "stock.reserved", "rejected": "stock.short"},
        ),
        d.reaction(
            "ship", service="shipping", on=["stock.reserved"], action="shop.create_shipment",
            emits={"succeeded": "order.shipped", "rejected": "shipment.failed"},
        ),
        d.reaction(
            "restore_stock", service="inventory", on=["shipment.failed"], undoes="reserve_stock",
            action="shop.restore_inventory", emits={"succeeded": "stock.restored"},
        ),
        d.reaction(
            "refund_payment", service="payments", on=["stock.short", "stock.restored"], undoes="take_payment",
            action="shop.refund_payment", emits={"succeeded": "payment.refunded"},
        ),
    ],
)  # fmt: skip


def small(*reactions: dict, **more) -> str:
    """A choreography of a few reactions, from `go` to `end` or `gone`."""
    return json.dumps({
        "saga": "small", "style": "choreography", "starts_on": ["go"], "correlate": "${event.data.id}",
        "completes_on": ["end"], "compensated_on": ["gone"], "publishes": {"outside": ["go"]},
        "reactions": [{"service": "s", **one} for one in reactions], **more,
    })  # fmt: skip


def test_a_choreography_written_in_python_is_the_same_document():
    checked = check_source(ORDER, SHOP)
    assert ORDER_IN_PYTHON.document == checked.document
    assert content_hash(ORDER_IN_PYTHON.document) == content_hash(checked.document)
    again = check_source(ORDER_IN_PYTHON.as_text(), SHOP)
    assert (again.document, again.problems, again.warnings) == (checked.document, (), ())


def test_what_only_watches_is_accepted_without_a_warning_and_calls_nobody():
    checked = check_source(WATCHED, {})
    assert (checked.problems, checked.warnings) == ((), ())
    definition = compile_document(checked.document, {})
    assert [step.action for step in definition.steps] == [None] * 5
    assert all(one.is_external for one in definition.choreography.reactions)
    assert definition.content_hash == content_hash(checked.document)
    assert definition.choreography.by_name["take_payment"].within_s == 60.0


def test_what_was_published_compiles_where_nobody_knows_its_actions():
    """Whether an action changes something is known to who registered it, so it cannot count where a worker has not."""
    text = small(
        {"name": "look", "on": ["go"], "action": "shop.look", "emits": {"succeeded": "seen"}},
        {"name": "pay", "on": ["seen"], "action": "shop.pay", "emits": {"succeeded": "end", "rejected": "gone"}},
    )
    checked = check_source(text, FACTS)
    assert checked.problems == ()
    assert [step.writes for step in compile_document(checked.document, {}).steps] == [True, True]
    assert check_source(text, {}).problems[0].code == "left_undone"


def test_what_breaks_the_form_of_a_choreography_does_not_compile():
    broken = check_source(ORDER, SHOP).document | {"early": {"default": "later"}}
    with pytest.raises(DocumentBrokenError, match=r"Must be start, park, drop"):
        compile_document(broken, SHOP)


def test_reactions_call_services_over_http_and_by_commands_and_these_are_named():
    reserve = {"http": {"service": "stock", "method": "POST", "path": "/a/${event.data.id}", "async": True}}
    text = small(
        {"name": "reserve", "on": ["go"], "action": reserve, "compensation": "none", "emits": {"succeeded": "kept"},
         "probe": {"http": {"service": "ledger", "path": "/a"}}},
        {"name": "pack", "on": ["kept"], "action": {"command": {"service": "depot", "name": "pack"}},
         "compensation": "none", "emits": {"succeeded": "end", "rejected": "gone"}},
        {"name": "tell", "on": ["kept"], "external": True, "compensation": "none"},
    )  # fmt: skip
    checked = check_source(text, {}, {"stock": "http", "ledger": "http", "depot": "command"})
    assert (checked.problems, checked.warnings) == ((), ())
    found = [(one.service, one.step, one.half) for one in named_services(checked.document)]
    assert found == [("stock", "reserve", "action"), ("ledger", "reserve", "probe"), ("depot", "pack", "action")]
    reserved, packed, told = compile_document(checked.document, {}).steps
    assert isinstance(reserved.action.action, HttpAction)
    assert reserved.action.calls_back
    assert isinstance(packed.action.action, CommandAction)
    assert (packed.after, told.after) == (("reserve",), ("reserve",))
    missing = check_source(text, {}, {"stock": "http", "ledger": "http"}).warnings
    assert [(one.code, one.path) for one in missing] == [("service_unknown", "reactions[1].action.command.service")]


def test_a_reaction_of_a_called_service_is_that_services_unless_it_says_otherwise():
    call = {"http": {"service": "stock", "method": "POST", "path": "/a"}}
    document = json.loads(small({"name": "a", "on": ["go"], "action": call, "compensation": "none",
                                 "emits": {"succeeded": "end", "rejected": "gone"}}))  # fmt: skip
    for said, service in (("depot", "depot"), (None, "stock")):
        row = document["reactions"][0]
        row.pop("service", None)
        row |= {"service": said} if said else {}
        checked = check_source(json.dumps(document), {})
        assert checked.problems == ()
        assert compile_document(checked.document, {}).choreography.reactions[0].service == service


def test_probes_and_retries_of_reactions_are_looked_at_like_those_of_steps():
    pay = {"name": "pay", "on": ["go"], "action": "shop.pay", "compensation": "none",
           "emits": {"succeeded": "end", "rejected": "gone"}}  # fmt: skip
    writing = check_source(small({**pay, "probe": {"python": "shop.pay"}}), FACTS)
    assert [(one.code, one.path) for one in writing.problems] == [("probe_writes", "reactions[0].probe.python")]
    endless = {"attempts": "forever"}
    for text, path in (
        (small({**pay, "retry": endless}), "reactions[0].retry"),
        (small(pay, defaults={"retry": endless}), "defaults.retry"),
    ):
        assert [(one.code, one.path) for one in check_source(text, FACTS).warnings] == [("endless_retry", path)]
    assert check_source(small({**pay, "retry": endless}, deadline="1h"), FACTS).warnings == ()


def test_a_reaction_needs_a_name_of_its_own_and_something_that_is_done():
    said = [
        str(one) for one in check_source(small({"name": "a", "on": ["go"]}, {"name": "a", "on": ["go"]}), {}).problems
    ]
    assert any("Two reactions are called `a`; the first is reaction 1." in one for one in said)
    assert any("or `external: true` when its service does it." in one for one in said)


def test_a_choreography_is_simulated_with_an_event_that_is_made_up():
    assert simulate(ORDER, atomic=(), reads_only=()).status == "completed"


@pytest.mark.parametrize("key", sorted({*SAGA_KEYS} - {*CHOREOGRAPHY_KEYS}))
def test_keys_of_an_orchestration_are_refused(key):
    checked = check_source(json.dumps({**ORDER_IN_PYTHON.document, key: {}}), SHOP)
    assert [(one.code, one.path, one.message) for one in checked.problems] == [
        ("other_style", key, f"Only the style orchestration has `{key}`.")
    ]


@pytest.mark.parametrize("key", sorted({*STEP_KEYS} - {*REACTION_KEYS}))
def test_keys_of_a_step_are_refused_on_a_reaction(key):
    document = ORDER_IN_PYTHON.document
    document["reactions"][2][key] = []
    found = check_source(json.dumps(document), SHOP).problems
    assert [(one.code, one.path) for one in found] == [("other_style", f"reactions[2].{key}")]


def test_types_of_events_may_be_names_of_domains():
    types = {"order.placed": "com.Example.order-placed.v1", "order.shipped": "A" + "b" * 127}
    text = ORDER
    for plain, long in types.items():
        text = text.replace(plain, long)
    assert check_source(text, SHOP).problems == ()
    for wrong in ("A" + "b" * 128, "order..placed", ".order", "order.", "1order", "order placed", "bestellung.prüfen"):
        found = check_source(ORDER.replace("order.placed", f'"{wrong}"'), SHOP).problems
        assert {one.code for one in found} == {"wrong_value"}, wrong
