"""Webhook subscriptions over REST: a secret is told once, nobody's role is forgotten, dead deliveries are replayed."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from sagas.core.vocabulary import Role
from sagas.engine import deliveries
from sagas.engine.commands import start_run
from sagas.models import WebhookDelivery, WebhookSubscription
from sagas.sealing import opened
from tests.faces.conftest import Api

pytestmark = pytest.mark.django_db

URL = "webhooks/"
HOOK = "https://shop.example/hook"


@pytest.fixture(autouse=True)
def _known_anew():
    deliveries.forget()
    yield
    deliveries.forget()


def if_match(revision):
    return {} if revision is None else {"If-Match": f'"{revision}"'}


def put(api, body, revision=None):
    return api.put(f"{URL}shop/", json.dumps(body), "application/json", **if_match(revision))


def delete(api, revision=None):
    return api.client.delete(f"/api/v1/{URL}shop/", headers=if_match(revision))


@pytest.fixture
def admin():
    return Api(Role.ADMIN, "admin")


@pytest.fixture
def operator():
    return Api(Role.OPERATOR, "olga")


def test_the_secret_is_told_once_and_stored_sealed(admin):
    made = put(admin, {"url": HOOK, "kinds": ["run.completed"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    stored = WebhookSubscription.objects.get()
    assert opened(stored.secret) == secret
    assert secret not in str(stored.secret)
    again = put(admin, {"url": HOOK, "kinds": ["run.completed"]})
    assert (again.status_code, "secret" in again.json(), again.json()["revision"]) == (200, False, 1)
    assert secret not in admin.get(URL).content.decode()


def test_a_rotated_secret_signs_beside_the_former_one(admin):
    first = put(admin, {"url": HOOK}).json()["secret"]
    told = admin.post(f"{URL}shop/rotate-secret/", {}).json()
    stored = WebhookSubscription.objects.get()
    assert (opened(stored.secret), opened(stored.former_secret)) == (told["secret"], first)
    assert stored.former_secret_until > timezone.now()


def test_a_secret_that_leaked_is_ended_at_once(admin):
    put(admin, {"url": HOOK})
    told = admin.post(f"{URL}shop/rotate-secret/", {"former_valid": 0}).json()
    stored = WebhookSubscription.objects.get()
    assert (opened(stored.secret), stored.former_secret, told["former_secret_until"]) == (told["secret"], None, None)


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("rotate-secret", {"former_valid": -1}, "/former_valid"),
        ("rotate-secret", {"former_valid": 1e9}, "/former_valid"),
        ("rotate-secret", {"former_vaild": 0}, "/former_vaild"),
        ("replay-dead", {"state": "dead"}, "/state"),
    ],
)
def test_what_nobody_reads_is_refused_and_changes_nothing(admin, verb, body, pointer):
    put(admin, {"url": HOOK})
    answer = admin.post(f"{URL}shop/{verb}/", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert WebhookSubscription.objects.get().revision == 1


@pytest.mark.parametrize("verb", ["rotate-secret", "replay-dead"])
def test_nothing_need_be_said(admin, verb):
    put(admin, {"url": HOOK})
    assert admin.post(f"{URL}shop/{verb}/", kind="").status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"url": "http://169.254.169.254/", "allow_private": True}, "/url"),
        ({"url": "ftp://shop.example/"}, "/url"),
        ({"url": HOOK, "kinds": ["run.ended"]}, "/kinds/0"),
        ({"url": HOOK, "saga": "nobody"}, "/saga"),
        ({"url": HOOK, "events": ["order placed"]}, "/events/0"),
        ({"url": HOOK, "events": "order.placed"}, "/events"),
        ({"url": HOOK, "events": [f"a.b{number}" for number in range(51)]}, "/events"),
        ({"url": HOOK, "events": ["order.placed"], "saga": "order"}, "/saga"),
        ({"url": HOOK, "except_source": "/shop"}, "/except_source"),
        ({"url": HOOK, "gets_redacted": True}, "/gets_redacted"),
        ({"url": HOOK, "events": ["a.b"], "except_source": "a\nb"}, "/except_source"),
        ({}, "/url"),
        ({"url": HOOK, "knds": []}, "/knds"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(admin, saga, body, pointer):
    answer = put(admin, body)
    assert answer.status_code == 422
    assert pointer in {one["pointer"] for one in answer.json()["errors"]}
    assert not WebhookSubscription.objects.exists()


def test_a_stale_revision_changes_nothing(admin):
    put(admin, {"url": HOOK})
    assert put(admin, {"url": f"{HOOK}2"}, revision=7).status_code == 412
    assert delete(admin, revision=7).status_code == 412
    assert WebhookSubscription.objects.get().url == HOOK
    assert delete(admin, revision=1).status_code == 200
    assert admin.get(f"{URL}shop/").status_code == 404


def test_an_operator_reads_and_replays_and_changes_nothing(admin, operator, saga):
    put(admin, {"url": HOOK})
    run = start_run("order", {"order_id": "1"}).run
    row = WebhookDelivery.objects.get(run=run)
    assert put(operator, {"url": HOOK}).status_code == 403
    assert delete(operator).status_code == 403
    (told,) = operator.get(f"{URL}shop/deliveries/?state=pending").json()["results"]
    assert (told["id"], told["run"], told["kind"]) == (str(row.id), str(run.id), "run.started")
    assert operator.post(f"{URL}shop/deliveries/{row.id}/replay/", {}).json() == {"replayed": 0}
    WebhookDelivery.objects.update(state="dead", next_at=None, ended_at=timezone.now())
    assert operator.get(f"{URL}shop/").json()["dead"] == 1
    assert operator.post(f"{URL}shop/replay-dead/", {}).json() == {"replayed": 1}
    assert operator.get(f"{URL}shop/deliveries/?state=dead").json()["results"] == []
    assert operator.get(f"{URL}shop/deliveries/?state=odd").status_code == 400
    assert operator.post(f"{URL}shop/deliveries/{run.id}/replay/", {}).status_code == 404


def test_events_are_subscribed_to_and_each_delivery_names_its_event(admin, operator):
    made = put(admin, {"url": HOOK, "events": ["order.placed", "a.b", "a.b"], "except_source": "/shop"})
    assert (made.status_code, made.json()["kinds"]) == (201, [])
    assert (made.json()["events"], made.json()["except_source"]) == (["a.b", "order.placed"], "/shop")
    deliveries.forget()
    sent = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "order.placed", "data": {"order_id": "7"}}
    assert operator.post("events/", sent, "application/cloudevents+json").status_code == 202
    (told,) = operator.get(f"{URL}shop/deliveries/").json()["results"]
    assert (told["kind"], told["run"], told["sequence"], told["correlation"]) == ("order.placed", None, None, "")
    assert operator.get(f"events/{told['event']}/").json()["event_id"] == "1"


def test_a_viewer_and_a_stranger_see_nothing(admin, client):
    put(admin, {"url": HOOK})
    assert Api(Role.VIEWER, "vera").get(URL).status_code == 403
    assert client.get(f"/api/v1/{URL}").status_code == 401
