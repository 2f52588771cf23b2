"""What is told of runs: written down with the change, in order, each until it has an end."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from sagas.core.delivery import TRIES_MAX, AfterTry, DeliveryState, after_try
from sagas.core.vocabulary import Verb
from sagas.engine import deliveries
from sagas.engine.commands import start_run
from sagas.models import WebhookChange, WebhookDelivery, WebhookSubscription
from sagas.participants.base import Rejected
from sagas.subscriptions import SubscriptionStaleError, Wanted, put
from sagas.workers.webhook_line import body_of
from tests.engine.actions import BEHAVIOUR
from tests.engine.conftest import drive
from tests.engine.test_orders import order
from tests.running import wait_for
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def no(_call):
    message = "the card 4111 was refused"
    raise Rejected(message)


OK = AfterTry(DeliveryState.DELIVERED)


@pytest.fixture(autouse=True)
def _known_anew(monkeypatch):
    monkeypatch.setattr(deliveries, "KNOWN_FOR_S", 0.0)
    deliveries.forget()
    yield
    deliveries.forget()


def subscribe(name="shop", **said):
    return put(name, Wanted(**{"url": "https://shop.example/hook", **said}), by="erin").subscription


def told(run):
    rows = WebhookDelivery.objects.filter(run=run).order_by("sequence")
    return [row.kind.removeprefix("run.") for row in rows]


def test_a_run_that_completes_tells_its_beginning_and_its_end(saga):
    subscribe()
    run = start_run(saga(), {}).run
    drive()
    assert told(run) == ["started", "completed"]


def test_a_run_that_turns_round_says_so(saga):
    subscribe()
    BEHAVIOUR["ship:action"] = no
    run = start_run(saga(), {}).run
    drive()
    assert told(run) == ["started", "compensating", "compensated"]


def test_a_run_that_needs_a_person_says_so_once_and_its_termination(saga):
    subscribe()
    BEHAVIOUR["ship:action"] = no
    BEHAVIOUR["stock:compensation"] = no
    run = start_run(saga(), {}).run
    drive()
    order(run, Verb.TERMINATE, reason="enough")
    assert told(run) == ["started", "compensating", "needs_attention", "terminated"]


def test_a_subscription_is_told_what_it_asked_for_only(saga):
    name = saga()
    subscribe("ends", kinds=("run.completed",))
    subscribe("mine", saga=name)
    subscribe("silent", is_enabled=False)
    saga(kind="awaited")
    subscribe("others", saga="three-awaited")
    run = start_run(name, {}).run
    drive()
    rows = WebhookDelivery.objects.filter(run=run).values_list("subscription__name", "kind")
    assert sorted(rows) == [("ends", "run.completed"), ("mine", "run.completed"), ("mine", "run.started")]


def test_a_start_that_is_rolled_back_is_told_to_nobody(saga):
    subscribe()
    name = saga()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        start_run(name, {})
        1 / 0  # noqa: B018 - it is what raises
    assert not WebhookDelivery.objects.exists()


def test_without_a_subscription_nothing_is_written(saga):
    start_run(saga(), {})
    drive()
    assert not WebhookDelivery.objects.exists()


@pytest.fixture
def two(saga):
    """One run with two deliveries to one subscription."""
    subscription = subscribe()
    run = start_run(saga(), {}).run
    drive()
    return subscription, run, timezone.now() + timedelta(seconds=1)


def test_the_second_change_of_a_run_waits_for_the_first(two):
    subscription, _, now = two
    (first,) = deliveries.take(subscription.id, now)
    assert (first.kind, first.tries) == ("run.started", 1)
    assert deliveries.take(subscription.id, now) == []
    deliveries.finish(first, after_try(1, 503, dice=0.5), now, status=503, error="It answered 503.")
    assert deliveries.take(subscription.id, now + timedelta(seconds=4)) == []
    (again,) = deliveries.take(subscription.id, now + timedelta(seconds=6))
    assert (again.id, again.tries) == (first.id, 2)
    deliveries.finish(again, OK, now, status=200, error="")
    (second,) = deliveries.take(subscription.id, now)
    assert second.kind == "run.completed"


def test_what_a_courier_took_and_did_not_end_is_taken_again_under_the_same_id(two):
    subscription, _, now = two
    (first,) = deliveries.take(subscription.id, now)
    (again,) = deliveries.take(subscription.id, now + deliveries.TAKEN)
    assert again.id == first.id


def test_after_the_last_try_it_is_dead_and_the_next_one_goes_and_a_person_may_replay_it(two):
    subscription, run, now = two
    for number in range(1, TRIES_MAX + 1):
        (row,) = deliveries.take(subscription.id, now + timedelta(days=number))
        after = after_try(row.tries, None, dice=0.5)
        deliveries.finish(row, after, now + timedelta(days=number), status=None, error="No answer within 15 s.")
    row.refresh_from_db()
    assert (row.state, row.next_at, row.last_error) == ("dead", None, "No answer within 15 s.")
    (second,) = deliveries.take(subscription.id, now + timedelta(days=20))
    assert second.kind == "run.completed"
    assert deliveries.replay("shop", [row], now, by="ann") == 1
    row.refresh_from_db()
    assert (row.state, row.tries) == ("pending", 0)
    assert deliveries.replay("shop", [second], now, by="ann") == 0  # it is under way
    assert [one.id for one in deliveries.take(subscription.id, now)] == [row.id]
    assert told(run) == ["started", "completed"]


def test_gone_ends_the_subscription_visibly(two):
    subscription, _, now = two
    (row,) = deliveries.take(subscription.id, now)
    deliveries.finish(row, after_try(1, 410, dice=0.5), now, status=410, error="It answered 410.")
    subscription.refresh_from_db()
    assert (subscription.is_enabled, subscription.disabled_why) == (False, "It answered 410 Gone.")
    assert deliveries.due_subscriptions(now) == []
    assert WebhookSubscription.objects.get().deliveries.filter(state="pending").count() == 1


def test_what_is_told_holds_nothing_of_what_the_run_is_about(saga):
    subscribe()
    BEHAVIOUR["ship:action"] = no
    run = start_run(saga(), {"card": "4111"}, key="order-7").run
    drive()
    row = WebhookDelivery.objects.get(kind="run.compensated")
    body = json.loads(body_of(row))
    assert body["type"] == "run.compensated"
    assert body["data"]["run"] == str(run.id)
    assert (body["data"]["status"], body["data"]["key"]) == ("compensated", "order-7")
    assert body["data"]["reason"]["step"] == "ship"
    assert "4111" not in json.dumps(body)


@pytest.fixture
def taken_away_elsewhere(monkeypatch):
    """A subscription that this process still knows, and another one has taken away."""
    monkeypatch.setattr(deliveries, "KNOWN_FOR_S", 3600.0)

    def take_away():
        subscribe()
        subscribe("other")
        deliveries.forget()
        assert len(deliveries._subscriptions()) == 2
        WebhookSubscription.objects.filter(name="shop").delete()

    return take_away


def test_a_subscription_that_was_just_taken_away_elsewhere_stops_no_run_from_beginning(saga, taken_away_elsewhere):
    made = saga()
    taken_away_elsewhere()
    run = start_run(made, {}).run
    assert told(run) == ["started"]  # to the one that is left


def test_a_subscription_that_was_justtaken_away_elsewhere_stops_no_run_on_its_way(saga, taken_away_elsewhere):
    run = start_run(saga(), {}).run
    taken_away_elsewhere()
    drive()
    run.refresh_from_db()
    assert run.status == "completed"
    assert told(run) == ["completed"]


def test_of_many_who_subscribe_one_name_at_once_one_does_and_the_others_learn_it():
    found = at_once(lambda number: put("shop", Wanted(f"https://shop{number}.example/"), by="erin", revision=0), 8)
    made = [one for one in found if not isinstance(one, SubscriptionStaleError)]
    assert [one.is_new for one in made] == [True]
    assert WebhookSubscription.objects.get().url == made[0].subscription.url
    assert WebhookChange.objects.get().verb == "created"


def test_a_receiver_that_is_gone_is_written_down_as_who_ended_its_subscription(saga):
    subscribe()
    start_run(saga(), {})
    now = timezone.now()
    (row,) = deliveries.take(WebhookSubscription.objects.get().pk, now)
    deliveries.finish(row, AfterTry(DeliveryState.DEAD, disables_subscription=True), now, status=410, error="")
    ended = WebhookChange.objects.filter(verb="ended").get()
    assert (ended.subscription_name, ended.by) == ("shop", "")
    assert not WebhookSubscription.objects.get().is_enabled


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="PostgreSQL only: SQLite has one write lock")
def test_a_receiver_that_is_gone_while_its_subscription_is_taken_away_locks_nobody(saga):
    subscribe()
    start_run(saga(), {})
    now, gone = timezone.now(), AfterTry(DeliveryState.DEAD, disables_subscription=True)
    found = WebhookSubscription.objects.get()
    (row,) = deliveries.take(found.pk, now)

    def finish():
        try:
            deliveries.finish(row, gone, now, status=410, error="")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            WebhookSubscription.objects.select_for_update().get()
            finishing = pool.submit(finish)
            wait_for(is_somebody_waiting, "a courier that waits for the subscription")
            found.delete()
        finishing.result()
    assert not WebhookSubscription.objects.exists()
    assert not WebhookDelivery.objects.exists()


def is_somebody_waiting():
    """Ask the locks: of activities, a transaction sees only what it saw first."""
    here = "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database()"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN ({here})")
        return cursor.fetchone()[0] > 0
