"""Subscribing an address from the pages: what is asked, what is said beside a field, who may, what is shown once."""

from __future__ import annotations

import re

import pytest

from sagas.models import WebhookChange, WebhookSubscription
from tests.faces.conftest import sign_in

NEW = "/webhooks/actions/new/"


@pytest.fixture
def admin(db):
    """The browser of who manages."""
    return sign_in("erin")


def filled(**changes):
    return {
        "name": "alerts",
        "url": "https://alerts.example.com/sagas",
        "kinds": ["run.completed"],
        "saga": "",
    } | changes


def test_an_address_is_subscribed_and_its_secret_shown_once(admin):
    page = admin.post(NEW, filled())
    secret = re.search(r'value="(whsec_[^"]+)"', page.content.decode())
    one = WebhookSubscription.objects.get()
    assert page.status_code == 200
    assert secret is not None
    assert (one.name, one.kinds, one.is_enabled, one.allow_private) == ("alerts", ["run.completed"], True, False)
    for address in ("/webhooks/", "/webhooks/alerts/", "/webhooks/alerts/actions/edit/"):
        assert secret[1] not in admin.get(address).content.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Alerts"}, "A name has small letters"), ({"url": "ftp://x"}, "http"),
        ({"url": "http://127.0.0.1/"}, "private"), ({"saga": "nothing"}, "There is no saga"),
        ({"kinds": ["run.lost"]}, "There is no change"), ({"url": ""}, "error"), ({"saga": "a\0b"}, "There is no saga"),
        ({"events": "order.placed, payment taken!"}, "A type of events"), ({"except_source": "/shop"}, "no events are"),
        ({"gets_redacted": "yes"}, "no events are asked for"),
        ({"events": "order.placed", "except_source": "a\0b"}, "can be shown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(admin, changes, said):
    page = admin.post(NEW, filled(**changes))
    text = page.content.decode()
    assert page.status_code == 422
    assert 'aria-invalid="true"' in text
    assert said in text
    assert "alerts.example.com" in text or "url" in changes
    assert not WebhookSubscription.objects.exists()


def test_events_are_named_in_lines_or_with_commas_and_kept_when_it_is_paused(admin):
    admin.post(
        NEW,
        filled(
            kinds=[],
            events="order.placed\r\npayment.taken, order.shipped",
            except_source=" /shop ",
            gets_redacted="yes",
        ),
    )
    one = WebhookSubscription.objects.get()
    named = ["order.placed", "order.shipped", "payment.taken"]
    assert (one.events, one.except_source, one.kinds, one.gets_redacted) == (named, "/shop", [], True)
    page = admin.get("/webhooks/alerts/actions/edit/").content.decode()
    assert "order.placed\norder.shipped\npayment.taken</textarea>" in page
    assert 'value="/shop"' in page
    for address in ("/webhooks/", "/webhooks/alerts/"):
        text = admin.get(address).content.decode()
        assert "events order.placed, order.shipped, payment.taken but for those of /shop" in text
        assert "every change" not in text
    admin.post("/webhooks/alerts/actions/pause/", {"revision": "1"})
    admin.post("/webhooks/alerts/actions/resume/", {"revision": "2"})
    one = WebhookSubscription.objects.get()
    assert (one.events, one.except_source, one.gets_redacted, one.is_enabled) == (named, "/shop", True, True)


def test_a_name_is_taken_once(admin):
    admin.post(NEW, filled())
    page = admin.post(NEW, filled(url="https://other.example.com/"))
    assert page.status_code == 409
    assert WebhookSubscription.objects.get().url == "https://alerts.example.com/sagas"


def test_a_subscription_is_changed_unless_it_changed_meanwhile(admin):
    admin.post(NEW, filled())
    page = admin.post("/webhooks/alerts/actions/edit/", filled(kinds=[], is_enabled="", revision="1"))
    assert page.status_code == 302
    one = WebhookSubscription.objects.get()
    assert (one.kinds, one.is_enabled, one.disabled_why, one.revision) == ([], False, "Disabled by a person.", 2)
    stale = admin.post("/webhooks/alerts/actions/edit/", filled(url="https://b.example.com/", revision="1"))
    assert stale.status_code == 412
    assert "https://b.example.com/" in stale.content.decode()
    assert WebhookSubscription.objects.get().revision == 2


def test_a_secret_is_made_anew_and_a_subscription_is_taken_away(admin):
    admin.post(NEW, filled())
    assert admin.get("/webhooks/alerts/actions/rotate-secret/").status_code == 200
    page = admin.post("/webhooks/alerts/actions/rotate-secret/", {"revision": "1"})
    assert "whsec_" in page.content.decode()
    assert admin.post("/webhooks/alerts/actions/delete/", {"revision": "1"}).status_code == 412
    assert admin.post("/webhooks/alerts/actions/delete/", {"revision": "2"}).status_code == 302
    assert not WebhookSubscription.objects.exists()
    assert admin.get("/webhooks/alerts/actions/explode/").status_code == 404


def test_only_an_admin_subscribes(db):
    alice = sign_in("alice")
    assert "Subscribe an address" not in alice.get("/webhooks/").content.decode()
    assert alice.get(NEW).status_code == 403
    assert alice.post(NEW, filled()).status_code == 403


def test_a_subscription_is_paused_and_goes_on(admin):
    admin.post(NEW, filled())
    assert "nothing from now on" in admin.get("/webhooks/alerts/actions/pause/").content.decode()
    assert admin.post("/webhooks/alerts/actions/pause/", {"revision": "1"}).status_code == 302
    assert not WebhookSubscription.objects.get().is_enabled
    assert "/actions/resume/" in admin.get("/webhooks/alerts/").content.decode()
    assert admin.post("/webhooks/alerts/actions/resume/", {"revision": "1"}).status_code == 412
    assert admin.post("/webhooks/alerts/actions/resume/", {"revision": "2"}).status_code == 302
    one = WebhookSubscription.objects.get()
    assert (one.is_enabled, one.disabled_why, one.kinds, one.url) == (True, "", ["run.completed"], filled()["url"])


def test_what_was_done_to_a_subscription_is_written_down_and_shown_without_a_secret(admin):
    made = admin.post(NEW, filled())
    admin.post("/webhooks/alerts/actions/edit/", filled(kinds=[], is_enabled="yes", revision="1"))
    rotated = admin.post("/webhooks/alerts/actions/rotate-secret/", {"revision": "2"})
    page = admin.get("/webhooks/alerts/").content.decode()
    for words in ("Subscribed", "changes: run.completed → none chosen", "Secret rotated", "erin"):
        assert words in page
    admin.post("/webhooks/alerts/actions/delete/", {"revision": "3"})
    written = list(WebhookChange.objects.order_by("id"))
    assert [one.verb for one in written] == ["created", "changed", "secret_rotated", "deleted"]
    assert {(one.subscription_name, one.by) for one in written} == {("alerts", "erin")}
    for shown in (made, rotated):
        secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown.content.decode())
        assert secret is not None
        assert secret[0] not in page + str([one.fields for one in written])
