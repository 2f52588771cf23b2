"""The pages about events: what is shown, what people decide there, and hostile text in every field."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from sagas import NoEffect
from sagas.catalog.publish import publish
from sagas.models import EventRoute, EventUse, SagaEvent, SagaRun
from sagas.queries import counts
from tests.choreography.conftest import event, send, settle
from tests.choreography.documents import ORDER, WATCHED
from tests.engine import actions
from tests.faces.conftest import sign_in

HOSTILE = "<script>alert(1)</script>\"'>"


@pytest.fixture
def watched(db):
    """Publish the order choreography of services that act by themselves."""
    return publish(WATCHED, by="tests").version.saga


def test_the_map_says_who_publishes_who_reacts_and_where_that_disagrees(watched):
    send(event("order.placed"), event("weather.changed"))
    bob = sign_in("bob")
    text = bob.get("/events/").content.decode()
    assert "take_payment" in text
    assert "seen, and no saga names it" in text
    assert "declared, not seen" in text
    odd = bob.get("/events/?show=disagreements").content.decode()
    assert "weather.changed" in odd
    assert "take_payment" not in odd


def test_the_map_draws_each_type_as_a_link_and_keeps_the_filter_between_its_two_views(watched):
    send(event("order.placed"), event("weather.changed"), event("stock.reserved", "5"))
    bob = sign_in("bob")
    text = bob.get("/events/?view=map&window=24h&saga=order").content.decode()
    assert "order.placed from storefront, to payments, 1 seen in the last 24 hours" in text
    assert 'href="/events/list/?type=order.placed"' in text
    assert "stock.reserved from inventory, to shipping, 1 seen in the last 24 hours, 1 waits for a person" in text
    assert "weather.changed" not in text
    assert 'href="?window=24h&amp;saga=order"' in text
    assert (
        'href="?view=map&amp;window=24h&amp;saga=order"' in bob.get("/events/?window=24h&saga=order").content.decode()
    )
    odd = bob.get("/events/?view=map&show=disagreements").content.decode()
    assert "weather.changed from others, nobody reacts to it" in odd
    assert "order.placed from" not in odd
    assert bob.get("/events/?view=other&window=9y&saga=%00").status_code == 200


def test_only_what_was_seen_in_the_window_is_counted(watched):
    send(event("order.placed"))
    SagaEvent.objects.update(received_at=timezone.now() - timedelta(hours=2))
    bob = sign_in("bob")
    assert "order.placed · 1" in bob.get("/events/?view=map&window=24h").content.decode()
    assert "◌ order.placed · 0" in bob.get("/events/?view=map&window=1h").content.decode()


def test_a_map_that_is_too_big_says_what_it_leaves_out(watched):
    EventUse.objects.bulk_create(
        EventUse(
            version=watched.latest, saga=watched, type=f"thing{n}", role=role, service=f"service-{(n + shift) % 60}"
        )
        for n in range(200)
        for role, shift in (("emits", 0), ("reacts", 1))
    )
    page = sign_in("bob").get("/events/?view=map").content.decode()
    assert "Drawn are the services and types with the most events, at most 30 and 100." in page
    assert page.count('class="node event-arrow"') <= 2 * 100


def test_events_are_listed_and_narrowed(watched):
    send(event("order.placed"), event("payment.taken", "9"), event("weather.changed"))
    bob = sign_in("bob")
    run = SagaRun.objects.get()
    assert "weather.changed" in bob.get("/events/list/").content.decode()
    for query, there, gone in (
        (f"run={run.id}", "7-order.placed", "9-payment.taken"), ("state=buffered", "9-payment.taken", "7-order.placed"),
        ("state=orphan", "weather.changed", "9-payment.taken"), ("key=9", "9-payment.taken", "7-order.placed"),
    ):  # fmt: skip
        text = bob.get(f"/events/list/?{query}").content.decode()
        assert there in text
        assert gone not in text
    assert bob.get("/events/list/?run=x&before=y&state=z").status_code == 200


def test_an_operator_decides_what_becomes_of_an_event_and_a_viewer_does_not(watched):
    send(event("order.placed"), event("weather.changed"), event("stock.reserved", "5"))
    row = SagaEvent.objects.get(type="stock.reserved")
    alice, bob = sign_in("alice"), sign_in("bob")
    page = f"/events/{row.id}/"
    assert "Give it to a run" in alice.get(page).content.decode()
    assert "Give it to a run" not in bob.get(page).content.decode()
    assert bob.post(f"{page}actions/drop/", {"reason": "x"}).status_code == 403
    wrong = alice.post(f"{page}actions/assign/", {"run": "nothing", "reason": ""})
    assert wrong.status_code == 422
    assert wrong.content.decode().count('aria-invalid="true"') == 2
    stranger = alice.post(f"{page}actions/assign/", {"run": str(row.id), "reason": "lost"})
    assert (stranger.status_code, "There is no such run." in stranger.content.decode()) == (422, True)
    run = SagaRun.objects.get()
    assert alice.post(f"{page}actions/assign/", {"run": str(run.id), "reason": "it is of 7"}).status_code == 302
    route = EventRoute.objects.get(event=row)
    assert (route.run_id, route.by, route.why) == (run.id, "alice", "it is of 7")
    orphan = SagaEvent.objects.get(type="weather.changed")
    assert alice.post(f"/events/{orphan.id}/actions/replay/").status_code == 302
    assert alice.post(f"/events/{orphan.id}/actions/drop/", {"reason": "not ours"}).status_code == 302
    assert "not ours" in alice.get(f"/events/{orphan.id}/").content.decode()
    assert alice.post(f"/events/{orphan.id}/actions/drop/", {"reason": "again"}).status_code == 302
    assert alice.get(f"/events/{orphan.id}/actions/explode/").status_code == 404


def test_hostile_text_in_every_field_of_an_event_is_shown_as_text(watched):
    one = event("order.placed", HOSTILE, HOSTILE, subject=HOSTILE, cause=HOSTILE)
    send(one)
    erin = sign_in("erin")
    row, run = SagaEvent.objects.get(), SagaRun.objects.get()
    pages = [
        "/events/",
        "/events/list/",
        f"/events/{row.id}/",
        f"/runs/{run.id}/",
        "/runs/",
        "/sagas/actions/new/?from=events",
    ]
    for address in pages:
        page = erin.get(address)
        assert page.status_code == 200, address
        assert "<script>alert(1)" not in page.content.decode(), address


def test_a_choreography_is_begun_from_its_page_by_its_event_once_for_a_form(watched):
    alice = sign_in("alice")
    text = alice.get("/sagas/order/").content.decode()
    assert "Send the event" in text
    key = text.split('name="form_key" value="')[1].split('"')[0]
    form = {"form_key": key, "event": "order.placed", "field-": '{"order_id": "31"}'}
    first, second = (alice.post("/sagas/order/actions/start/", form) for _ in range(2))
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"] == f"/runs/{SagaRun.objects.get().id}/"
    refused = alice.post("/sagas/order/actions/start/", {**form, "field-": "{}"})
    assert refused.status_code == 422
    assert "correlate" in refused.content.decode()


def test_the_run_page_says_what_is_expected_from_whom_and_draws_the_trace(transactional_db, monkeypatch):
    monkeypatch.setattr(counts, "last_beat", timezone.now)
    publish(WATCHED, by="tests")
    send(event("order.placed"))
    settle()
    text = sign_in("bob").get(f"/runs/{SagaRun.objects.get().id}/").content.decode()
    assert "Waiting for payment.taken or payment.refused from payments" in text
    assert "It usually comes within 1 m" in text
    assert "is to publish" in text


def test_the_trace_leads_from_who_publishes_to_who_reacts_and_to_the_events_themselves(transactional_db):
    mail = "  - {name: tell, service: mail, on: [order.placed], external: true, compensation: none}\n"
    publish(WATCHED + mail, by="tests")
    send(event("order.placed"), event("payment.taken", time=timezone.now() + timedelta(minutes=3)))
    settle()
    run = SagaRun.objects.get()
    text = sign_in("bob").get(f"/runs/{run.id}/").content.decode()
    assert text.count('class="trace-passed"') == 3  # payments, which reacts as well, inventory, shipping
    assert f'href="/events/list/?run={run.id}&amp;type=order.placed"' in text
    assert text.count("clock is at least") == 1
    assert re.search(r"its source's clock is at least [23] m", text.replace("&#x27;", "'"))
    assert "/tests published it" in text


def test_what_reached_no_run_is_listed_with_what_can_be_done(watched):
    send(event("weather.changed"), event("stock.reserved", "5"), event("order.placed", ""))
    bob = sign_in("bob")
    for state, words in (
        ("parked", "give it to a run"), ("orphan", "Publish one that does"), ("uncorrelated", "give it to its run"),
        ("late", "open again"), ("buffered", "wait quietly"),
    ):  # fmt: skip
        text = bob.get(f"/events/list/?state={state}").content.decode()
        assert words in text
        assert text.count('aria-current="page"') == (2 if state != "buffered" else 1)


def test_an_overdue_run_says_what_is_missing_wherever_it_is_shown(transactional_db, monkeypatch):
    publish(WATCHED.replace("deadline: 30m", "deadline: 50ms"), by="tests")
    send(event("order.placed"))
    settle()
    monkeypatch.setattr(counts, "last_beat", timezone.now)
    run = SagaRun.objects.get()
    assert run.status == "needs_attention"
    alice = sign_in("alice")
    for address in ("/", "/runs/", "/attention/", f"/runs/{run.id}/", f"/runs/{run.id}/steps/take_payment/"):
        assert alice.get(address).status_code == 200, address
    text = alice.get(f"/runs/{run.id}/").content.decode()
    assert "It has not ended by its deadline." in text
    assert "Waiting for payment.taken or payment.refused from payments" in text
    answer = alice.get(f"/api/v1/runs/{run.id}/").json()
    assert answer["why"]["code"] == "overdue"


def test_every_order_page_of_a_choreographed_run_stands_and_says_what_may_not_be(transactional_db):
    publish(WATCHED, by="tests")
    send(event("order.placed"))
    settle()
    run = SagaRun.objects.get()
    alice = sign_in("alice")
    for verb in (
        "cancel",
        "retry",
        "skip",
        "settle",
        "give-up",
        "pause",
        "resume",
        "terminate",
        "signal",
        "approve",
        "rerun",
    ):
        page = alice.get(f"/runs/{run.id}/actions/{verb}/")
        assert page.status_code in {200, 409}, verb
    assert "Nobody commands a choreography" in alice.get(f"/runs/{run.id}/actions/cancel/").content.decode()
    assert alice.get(f"/api/v1/runs/{run.id}/plan/").status_code in {200, 409}


def test_the_page_of_a_reaction_asks_the_database_no_more_for_more_tries(transactional_db, django_assert_num_queries):
    def refuse_often(call):
        if call.attempt < 5:
            raise NoEffect("not now")

    actions.BEHAVIOUR["reserve_stock"] = refuse_often
    publish(ORDER.replace("attempts: 2", "attempts: 5"), by="tests")
    send(event("order.placed"))
    settle()
    page, bob = f"/runs/{SagaRun.objects.get().id}/steps/", sign_in("bob")
    with CaptureQueriesContext(connection) as once:
        bob.get(f"{page}take_payment/")
    with django_assert_num_queries(len(once)):
        text = bob.get(f"{page}reserve_stock/").content.decode()
    assert text.count("Idempotency key") == 5
    key = f"/sagas/order/payments/{SagaRun.objects.get().id}:take_payment:payment.taken:reserve_stock"
    assert text.count(f"<code>{key}</code>") == 5
