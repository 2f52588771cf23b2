"""The pages of webhooks: who is told what, and dead deliveries that a person begins anew."""

from __future__ import annotations

import pytest
from django.utils import timezone

from sagas.choreography.router import take
from sagas.core.cloud_event import CloudEvent
from sagas.engine import deliveries
from sagas.engine.commands import start_run
from sagas.models import EventOrigin, SagaEvent, WebhookDelivery
from sagas.subscriptions import Wanted, put
from tests.faces.conftest import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(saga):
    deliveries.forget()
    put("shop", Wanted(url="https://shop.example/<hook>"[:25] + "hook", kinds=("run.started",)), by="erin")
    run = start_run("order", {"order_id": "7"}, key="order-7").run
    yield WebhookDelivery.objects.get(run=run)
    deliveries.forget()


def give_up(row):
    row.state, row.next_at, row.ended_at, row.tries = "dead", None, timezone.now(), 9
    row.last_error = "No answer within <15> s."
    row.save()


def test_the_list_says_who_is_told_of_what_and_how_it_stands(row):
    page = sign_in("alice").get("/webhooks/").content.decode()
    assert "shop" in page
    assert "run.started" in page
    assert 'data-label="Pending">1' in page


def test_an_event_that_was_told_leads_to_its_page(db):
    deliveries.forget()
    put("shop", Wanted("https://shop.example/hook", events=("weather.changed",)), by="erin")
    take([CloudEvent(id="w-1", source="/sky", type="weather.changed")], origin=EventOrigin.API, by="tests")
    deliveries.forget()
    event = SagaEvent.objects.get()
    page = sign_in("alice").get("/webhooks/shop/").content.decode()
    assert f'weather.changed<div class="line-2"><a href="/events/{event.id}/">w-1</a>' in page


def test_an_empty_list_says_how_to_begin(db):
    assert "Nobody is told yet" in sign_in("alice").get("/webhooks/").content.decode()


def test_a_dead_delivery_is_shown_with_its_error_and_begun_anew(row):
    give_up(row)
    alice = sign_in("alice")
    page = alice.get("/webhooks/shop/?state=dead").content.decode()
    assert "No answer within &lt;15&gt; s." in page
    assert "9 tries" in page
    answer = alice.post("/webhooks/shop/actions/replay/", {"delivery": row.id}, follow=True)
    assert "1 delivery begins anew." in answer.content.decode()
    row.refresh_from_db()
    assert (row.state, row.tries) == ("pending", 0)


def test_all_dead_ones_begin_anew_with_one_press_and_a_second_one_says_that_there_are_none(row):
    give_up(row)
    alice = sign_in("alice")
    alice.post("/webhooks/shop/actions/replay/")
    row.refresh_from_db()
    assert row.state == "pending"
    answer = alice.post("/webhooks/shop/actions/replay/", follow=True)
    assert "Nothing was to be told again." in answer.content.decode()


@pytest.mark.parametrize("wanted", ["x", "00000000-0000-0000-0000-000000000001", "\0"])
def test_a_delivery_that_is_none_is_not_found_out_about(row, wanted):
    give_up(row)
    sign_in("alice").post("/webhooks/shop/actions/replay/", {"delivery": wanted})
    row.refresh_from_db()
    assert row.state == "dead"


def test_a_viewer_may_not(row):
    bob = sign_in("bob")
    assert bob.get("/webhooks/").status_code == 403
    assert bob.get("/webhooks/shop/").status_code == 403
    assert bob.post("/webhooks/shop/actions/replay/").status_code == 403
    assert "/webhooks/" not in bob.get("/services/").content.decode()


def test_an_unknown_one_is_not_there(db):
    assert sign_in("alice").get("/webhooks/nobody/").status_code == 404


@pytest.mark.parametrize("query", ["?state=odd", "?before=x", "?state=%00&before=%00"])
def test_an_odd_query_shows_all(row, query):
    assert "order-7" in sign_in("alice").get(f"/webhooks/shop/{query}").content.decode()
