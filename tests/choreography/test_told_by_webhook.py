"""Events that subscriptions are told of: from wherever they came, once each, in order for each run."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from sagas import Rejected
from sagas.catalog.publish import publish
from sagas.choreography.router import route_waiting, take
from sagas.core.cloud_event import read_structured
from sagas.core.delivery import AfterTry, DeliveryState
from sagas.engine import deliveries
from sagas.models import EventOrigin, WebhookDelivery
from sagas.subscriptions import Wanted, put
from sagas.workers.webhook_line import WebhookLine, body_of
from tests.choreography.conftest import event, send, settle, the_run
from tests.choreography.redacted import CARD, SECRETS, SOURCE, TOKEN, give_token, placed
from tests.engine import actions
from tests.together import at_once

OK = AfterTry(DeliveryState.DELIVERED)


@pytest.fixture(autouse=True)
def _known_anew(monkeypatch):
    monkeypatch.setattr(deliveries, "KNOWN_FOR_S", 0.0)
    deliveries.forget()
    yield
    deliveries.forget()


def subscribe(*events, name="shop", **said):
    return put(name, Wanted("https://shop.example/hook", events=events, **said), by="erin").subscription


def told(name="shop"):
    rows = WebhookDelivery.objects.filter(subscription__name=name).order_by("correlation", "sequence")
    return list(rows.values_list("kind", "correlation", "sequence"))


def later():
    return timezone.now() + timedelta(seconds=1)


def finish(row):
    deliveries.finish(row, OK, timezone.now(), status=204, error="")


def test_what_others_send_and_what_reactions_emit_is_told_in_order_and_nothing_else(order):
    subscribe("order.placed", "payment.taken", "order.shipped")
    send(event("order.placed"))
    settle()
    route_waiting(100)
    assert the_run().status == "completed"
    assert told() == [("order.placed", "7", 1), ("payment.taken", "7", 2), ("order.shipped", "7", 3)]


def test_what_a_reaction_did_not_emit_is_not_told(order):
    def refuse(_call):
        raise Rejected("no")

    subscribe("payment.taken", "payment.refused")
    actions.BEHAVIOUR["take_payment"] = refuse
    send(event("order.placed"))
    settle()
    assert told() == [("payment.refused", "7", 1)]


def test_an_event_is_told_once_however_often_and_by_whichever_way_it_comes(order):
    subscribe("stock.reserved")
    send(event("stock.reserved"), event("stock.reserved"))
    send(event("stock.reserved"))
    take([event("stock.reserved")], origin=EventOrigin.BROKER, by="tests")
    take([event("stock.reserved", "8")], origin=EventOrigin.BROKER, by="tests")
    assert told() == [("stock.reserved", "7", 1), ("stock.reserved", "8", 1)]


def test_the_table_takes_no_second_delivery_of_an_event(order):
    subscribe("order.placed")
    send(event("order.placed"))
    first = WebhookDelivery.objects.get()
    with pytest.raises(IntegrityError):
        WebhookDelivery.objects.create(
            subscription_id=first.subscription_id, event_id=first.event_id, kind="order.placed",
            next_at=timezone.now(), created_at=timezone.now(),
        )  # fmt: skip


def test_events_that_are_rolled_back_are_told_to_nobody(order):
    subscribe("order.placed")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        send(event("order.placed"))
        1 / 0  # noqa: B018 - it is what raises
    assert told() == []


def test_who_asks_for_events_alone_is_told_no_changes_of_runs(order):
    subscribe("order.shipped")
    subscribe("order.shipped", name="both", kinds=("run.completed",))
    subscribe(name="changes")
    send(event("order.placed"))
    settle()
    kinds = {name: [kind for kind, _, _ in told(name)] for name in ("shop", "both", "changes")}
    assert kinds == {
        "shop": ["order.shipped"],
        "both": ["run.completed", "order.shipped"],
        "changes": ["run.started", "run.completed"],
    }


def test_nobody_gets_the_events_of_its_own_source_back_who_says_which_one_it_is(order):
    subscribe("order.placed", except_source="/tests")
    subscribe("order.placed", name="other", except_source="/elsewhere")
    send(event("order.placed"))
    assert told() == []
    assert told("other") == [("order.placed", "7", 1)]


def test_events_of_one_batch_are_told_in_its_order(order):
    kinds = ["order.placed", "payment.taken", "stock.reserved", "shipment.failed", "stock.restored"]
    subscription = subscribe(*kinds)
    send(*(event(kind, str(number)) for kind in kinds for number in range(8)))  # all within one millisecond or two
    heard = {}
    while rows := deliveries.take(subscription.pk, later()):
        for row in rows:
            heard.setdefault(row.correlation, []).append(row.kind)
            finish(row)
    assert heard == {str(number): kinds for number in range(8)}


def test_the_second_event_of_a_run_waits_for_the_first_and_those_of_others_do_not(order):
    subscription = subscribe("order.placed", "payment.taken")
    send(event("order.placed"), event("payment.taken"), event("order.placed", "8"))
    rows = deliveries.take(subscription.pk, later())
    assert {(row.kind, row.correlation) for row in rows} == {("order.placed", "7"), ("order.placed", "8")}
    assert deliveries.take(subscription.pk, later()) == []
    for row in rows:
        finish(row)
    (second,) = deliveries.take(subscription.pk, later())
    assert (second.kind, second.correlation) == ("payment.taken", "7")


def test_an_event_takes_its_place_behind_those_of_its_run_that_wait(order):
    subscription = subscribe("order.placed", "payment.taken", "stock.reserved")
    send(event("order.placed"))
    (first,) = deliveries.take(subscription.pk, later())
    finish(first)
    send(event("payment.taken"))
    (second,) = deliveries.take(subscription.pk, later())
    send(event("stock.reserved"))  # while the one before is on its way
    assert deliveries.take(subscription.pk, later()) == []
    finish(second)
    (third,) = deliveries.take(subscription.pk, later())
    assert [row.kind for row in (first, second, third)] == ["order.placed", "payment.taken", "stock.reserved"]


def test_events_that_say_no_run_are_told_and_wait_for_nobody(order):
    subscription = subscribe("weather.changed", "order.placed")
    send(event("weather.changed", event_id="1"), event("weather.changed", event_id="2"), event("order.placed", None))
    rows = deliveries.take(subscription.pk, later())
    assert sorted((row.kind, row.correlation, row.sequence) for row in rows) == [
        ("order.placed", "", None),
        ("weather.changed", "", None),
        ("weather.changed", "", None),
    ]


def test_what_is_told_is_the_event_itself(order):
    subscribe("payment.taken")
    sent = event("payment.taken", time=timezone.now(), subject="order 7", cause="7-order.placed")
    send(sent)
    found, problems = read_structured(json.loads(body_of(WebhookDelivery.objects.get())))
    assert problems == ()
    assert found == sent


@pytest.mark.parametrize(("gets_redacted", "is_told"), [(False, False), (True, True)])
def test_redacted_values_are_told_to_whoever_is_to_have_them(transactional_db, gets_redacted, is_told):
    publish(SOURCE, by="tests")
    actions.BEHAVIOUR["take_payment"] = give_token
    subscribe("order.placed", "payment.taken", gets_redacted=gets_redacted)
    send(placed())
    settle()
    placed_one, taken = (json.loads(body_of(row))["data"] for row in WebhookDelivery.objects.order_by("sequence"))
    assert placed_one["card"]["holder"] == taken["card"]["holder"] == "Dora"
    assert (placed_one["card"]["number"] == CARD, taken["token"] == TOKEN) == (is_told, is_told)
    assert any(secret in json.dumps([placed_one, taken]) for secret in SECRETS) is is_told


def test_an_event_whose_key_is_lost_is_not_told_as_dots_to_whoever_needs_the_values(transactional_db, settings):
    publish(SOURCE, by="tests")
    subscribe("order.placed", gets_redacted=True)
    subscribe("order.placed", name="other")
    send(placed())
    settings.SECRET_KEY = "another one, long enough to be accepted by every check there is"
    needs, other = WebhookDelivery.objects.order_by("-subscription__name")
    assert json.loads(body_of(other))["data"]["card"]["number"] == "•••"
    assert body_of(needs) is None
    line = WebhookLine()
    asyncio.run(line._deliver(needs.subscription, needs))
    line._database.submit(connections.close_all)
    line._database.shutdown()
    needs.refresh_from_db()
    assert (needs.state, needs.last_status) == ("pending", None)
    assert needs.last_error.startswith("Not sent: a redacted value cannot be read here")


def test_a_replay_tells_the_same_event_under_the_same_id(order):
    subscription = subscribe("order.placed")
    send(event("order.placed"))
    (row,) = deliveries.take(subscription.pk, later())
    finish(row)
    assert deliveries.replay("shop", [row], timezone.now(), by="ann") == 1
    (again,) = deliveries.take(subscription.pk, later())
    assert (again.id, body_of(again)) == (row.id, body_of(row))


def test_events_of_one_run_that_come_at_one_moment_each_get_a_place_of_their_own(order):
    subscribe("stock.reserved")
    at_once(lambda number: send(event("stock.reserved", event_id=f"e{number}")), 8)
    assert told() == [("stock.reserved", "7", place) for place in range(1, 9)]
