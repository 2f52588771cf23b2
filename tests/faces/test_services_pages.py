"""The pages of services: who sees what, forms with their errors, secrets shown once and never again."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.views.debug import ExceptionReporter

from sagas.core.sealed import MASK
from sagas.models import Service, ServiceChange
from sagas.presentation.services import HEALTHY, LOOKS, health_sentence, service_look
from sagas.queries.services import list_services
from sagas.services import changes
from tests import registered as r
from tests.faces.conftest import sign_in
from tests.faces.test_services_api import CANARY

pytestmark = pytest.mark.django_db
NEW = {"name": "payments", "kind": "http", "base_url": r.ADDRESS, "max_concurrency": "50"}


def text_of(answer) -> str:
    """Return what a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def act(browser, verb: str, name: str = "payments", **fields: str):
    """POST an action as its page would."""
    revision = str(Service.objects.get(name=name).revision)
    return browser.post(f"/services/{name}/actions/{verb}/", {"revision": revision, **fields})


def test_an_empty_registry_says_what_services_are_for():
    erin = sign_in("erin")
    assert "No service yet" in text_of(erin.get("/services/"))
    assert "/services/actions/new/" in erin.get("/services/").text
    assert "/services/actions/new/" not in sign_in("bob").get("/services/").text


def test_a_service_is_registered_and_its_secret_shown_once():
    erin = sign_in("erin")
    answer = erin.post("/services/actions/new/", NEW)
    secret = re.search(r'value="(whsec_[^"]+)"', answer.text)[1]
    assert (answer.status_code, "no-store" in answer.headers["Cache-Control"]) == (200, True)
    for page in ("/services/", "/services/payments/", "/services/payments/actions/edit/"):
        assert secret not in erin.get(page).text
    again = erin.post("/services/actions/new/", NEW)
    assert (again.status_code, "whsec_" in re.sub("whsec_ and", "", again.text)) == (412, False)


def test_each_error_stands_beside_its_field():
    erin = sign_in("erin")
    wrong = {**NEW, "name": "Pay Ments", "base_url": "x", "max_concurrency": "many", "timeout": "soon"}
    answer = erin.post("/services/actions/new/", wrong)
    assert answer.status_code == 422
    assert re.findall(r'id="(\w+)-about" class="help"><span class="error">', answer.text) == [
        "timeout",
        "max_concurrency",
    ]
    answer = erin.post("/services/actions/new/", {**wrong, "max_concurrency": "0", "timeout": "0"})
    assert re.findall(r'id="(\w+)-about" class="help"><span class="error">', answer.text) == ["name"]
    answer = erin.post("/services/actions/new/", {**wrong, "name": "p", "max_concurrency": "0", "timeout": "0"})
    assert re.findall(r'id="(\w+)-about" class="help"><span class="error">', answer.text) == [
        "base_url", "timeout", "max_concurrency",
    ]  # fmt: skip
    assert 'value="x"' in answer.text
    assert not Service.objects.exists()


def test_a_wrong_form_sends_no_secret_back():
    erin = sign_in("erin")
    sent = {**NEW, "kind": "command", "base_url": r.BROKER, "secret": CANARY, "max_concurrency": "0"}
    answer = erin.post("/services/actions/new/", sent)
    assert answer.status_code == 422
    assert "hunter2canary" not in answer.text
    assert CANARY not in answer.text
    assert 'value="amqp://guest@broker.example.com:5672/vhost"' in answer.text
    assert "Type the password again" in text_of(answer)


def test_a_service_is_edited_and_the_mask_keeps_its_password():
    r.register("mail", kind="command", base_url=r.BROKER)
    erin = sign_in("erin")
    page = erin.get("/services/mail/actions/edit/").text
    shown = f"amqp://guest:{MASK}@broker.example.com:5672/vhost"
    assert shown in page
    sent = {"kind": "command", "base_url": shown, "max_concurrency": "7", "revision": "1", "reason": "less"}
    assert erin.post("/services/mail/actions/edit/", sent).status_code == 302
    service = Service.objects.get()
    assert (service.max_concurrency, service.password) == (7, MASK)
    assert "less" in text_of(erin.get("/services/mail/"))
    assert erin.post("/services/mail/actions/edit/", sent).status_code == 412


def test_a_service_is_held_and_released_from_its_page():
    r.register()
    alice = sign_in("alice")
    assert "Hold this service" in text_of(alice.get("/services/payments/actions/hold/"))
    missing = act(alice, "hold", reason=" ")
    assert (missing.status_code, "Say why" in text_of(missing)) == (422, True)
    assert act(alice, "hold", reason="it charges twice").status_code == 302
    page = text_of(alice.get("/services/payments/"))
    assert "Held by alice" in page
    assert "it charges twice" in page
    assert "Held" in text_of(alice.get("/services/"))
    assert "It is held already." in text_of(alice.get("/services/payments/actions/hold/"))
    assert act(alice, "release").status_code == 302
    assert not Service.objects.get().is_held


def test_a_page_that_is_stale_changes_nothing():
    r.register()
    erin = sign_in("erin")
    for verb in ("hold", "rotate-secret", "delete"):
        answer = erin.post(f"/services/payments/actions/{verb}/", {"revision": "9", "reason": "r"})
        assert (answer.status_code, "changed while you were deciding" in text_of(answer)) == (412, True)
    assert Service.objects.get().revision == 1


def test_a_rotated_secret_is_shown_once_and_a_reload_makes_no_other():
    first = r.register().secret
    erin = sign_in("erin")
    sent = {"revision": "1", "former_valid_h": "2"}
    answer = erin.post("/services/payments/actions/rotate-secret/", sent)
    assert re.search(r'value="(whsec_[^"]+)"', answer.text)[1] != first
    assert "valid until" in text_of(answer)
    assert erin.post("/services/payments/actions/rotate-secret/", sent).status_code == 412
    assert "End former secret" in text_of(erin.get("/services/payments/"))
    assert act(erin, "drop-former-secret").status_code == 302
    assert Service.objects.get().former_secret is None
    for hours in ("", "-1", "721", "x"):
        wrong = act(erin, "rotate-secret", former_valid_h=hours)
        assert (wrong.status_code, 'id="former_valid_h-about" class="help"><span class="error">' in wrong.text) == (
            422,
            True,
        )


def test_a_service_in_use_is_not_deleted_and_who_needs_it_is_said():
    r.register()
    r.make_saga("order", r.document_naming("order", "payments"))
    erin = sign_in("erin")
    page = erin.get("/services/payments/actions/delete/")
    assert "names it" in text_of(page)
    assert "Delete this service" not in text_of(page)
    assert act(erin, "delete").status_code == 409
    assert Service.objects.exists()


def test_a_service_nobody_needs_is_deleted():
    r.register()
    assert act(sign_in("erin"), "delete").headers["Location"] == "/services/"
    assert not Service.objects.exists()


@pytest.mark.parametrize("who", ["bob", "alice", "dora"])
def test_only_admins_manage_and_only_operators_hold(who):
    r.register()
    browser = sign_in(who)
    for address in (
        "actions/new/",
        "payments/actions/edit/",
        *(f"payments/actions/{verb}/" for verb in ("rotate-secret", "drop-former-secret", "delete")),
    ):
        assert browser.get(f"/services/{address}").status_code == 403
        assert browser.post(f"/services/{address}", {"revision": "1"}).status_code == 403
    assert browser.get("/services/payments/actions/hold/").status_code == (403 if who == "bob" else 200)
    assert browser.get("/services/payments/").status_code == browser.get("/services/").status_code == 200
    assert Service.objects.get().revision == 1


def test_every_post_needs_its_csrf_token():
    r.register()
    erin = sign_in("erin", enforces_csrf=True)
    for address in ("actions/new/", "payments/actions/edit/", "payments/actions/hold/", "payments/actions/delete/"):
        assert erin.post(f"/services/{address}", {"revision": "1", "reason": "r", **NEW}).status_code == 403


def test_what_is_not_there_is_a_404():
    erin = sign_in("erin")
    r.register()
    for address in ("nothing/", "nothing/actions/edit/", "nothing/actions/hold/", "payments/actions/explode/"):
        assert erin.get(f"/services/{address}").status_code == 404


def test_a_page_tells_how_the_service_is_and_who_needs_it():
    now = timezone.now()
    service = r.register().service
    r.make_state(service, now, last_failure_at=now, last_error="http_503: no answer")
    r.make_minutes(service, now, (20, 0), (10, 4), (10, 5))
    r.make_saga("order", r.document_naming("order", "payments"))
    page = sign_in("bob").get("/services/payments/")
    said = text_of(page)
    assert "22 % failed: 9 of 40 calls in 5 minutes, 0.1 s on average." in said
    assert "http_503: no answer" in said
    assert "/sagas/order/" in page.text
    assert page.text.count('class="minutes-calls"') == 3
    assert page.text.count('class="minutes-failed"') == 2
    assert "whsec" not in page.text


@pytest.mark.parametrize(
    ("facts", "calls", "expected"),
    [
        ({}, [], "quiet"),
        ({}, [(10, 0)], "healthy"),
        ({}, [(10, 1)], "failing"),
        ({"breaker": "open"}, [(10, 9)], "open"),
        ({"breaker": "half_open"}, [(10, 9)], "half_open"),
        (None, [], "never"),
    ],
)
def test_a_service_has_one_state_and_a_sentence(facts, calls, expected):
    now = timezone.now()
    service = r.register().service
    if facts is not None:
        r.make_state(service, now, **facts)
    r.make_minutes(service, now, *calls)
    line = list_services(now)[0]
    assert service_look(line).value == expected
    assert health_sentence(line).endswith(".")
    assert len({look.value for look in LOOKS}) == len(LOOKS)
    assert HEALTHY.tone == "success"


def test_the_admin_shows_services_to_read_and_no_secret(settings):
    r.register(secret=CANARY)
    mail = r.register("mail", kind="command", base_url=r.BROKER).service
    root = get_user_model().objects.create_superuser("root")
    browser = sign_in("bob")
    browser.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    change = ServiceChange.objects.first()
    pages = [
        browser.get(f"/admin/sagas/{path}")
        for path in (
            "service/", f"service/{mail.pk}/change/", f"service/{Service.objects.get(name='payments').pk}/change/",
            "servicechange/", f"servicechange/{change.pk}/change/",
        )
    ]  # fmt: skip
    assert [page.status_code for page in pages] == [200] * 5
    shown = "".join(page.text for page in pages)
    assert f"amqp://guest:{MASK}@broker.example.com" in shown
    assert "hunter2canary" not in shown
    assert CANARY not in shown
    assert "$sealed" not in shown
    for path in ("service/add/", f"service/{mail.pk}/delete/", f"servicechange/{change.pk}/delete/"):
        assert browser.get(f"/admin/sagas/{path}").status_code == 403
    assert browser.post(f"/admin/sagas/service/{mail.pk}/change/", {"name": "x"}).status_code == 403


def test_no_page_shows_a_secret():
    r.register(secret=CANARY)
    r.register("mail", kind="command", base_url=r.BROKER)
    erin = sign_in("erin")
    shown = "".join(
        erin.get(f"/services/{path}").text
        for path in ("", "payments/", "mail/", "payments/actions/edit/", "mail/actions/edit/", "mail/actions/hold/")
    )
    assert "hunter2canary" not in shown
    assert CANARY not in shown
    assert "$sealed" not in shown


@pytest.mark.parametrize(("reason", "status"), [("a\0b", 422), ("x" * 1001, 422), ("a\ud800b", 400)])
def test_a_reason_that_cannot_be_kept_is_refused(reason, status):
    r.register()
    erin = sign_in("erin")
    kind = "application/x-www-form-urlencoded"
    sent = f"revision=1&kind=http&max_concurrency=5&base_url={quote(r.ADDRESS)}"
    sent += f"&reason={quote(reason.encode('utf-8', 'surrogatepass'))}"
    for verb in ("hold", "edit", "rotate-secret", "delete"):
        answer = erin.post(f"/services/payments/actions/{verb}/", sent, content_type=kind)
        assert (verb, answer.status_code) == (verb, status)
    assert Service.objects.get().revision == 1


def test_a_nul_in_any_field_of_a_new_service_is_refused():
    raw = "name=p%00&base_url=https%3A%2F%2Fa.example.com%00&max_concurrency=5%00&kind=h%00&timeout=%00&secret=%00"
    kind = "application/x-www-form-urlencoded"
    assert sign_in("erin").post("/services/actions/new/", raw, content_type=kind).status_code == 422
    assert not Service.objects.exists()


def test_a_long_list_has_pages():
    Service.objects.bulk_create(Service(name=f"s{n:03}", base_url=r.ADDRESS) for n in range(205))
    bob = sign_in("bob")
    seen, address = [], "/services/"
    for _ in range(3):
        page = bob.get(address).text
        seen += re.findall(r'class="saga-title" href="/services/(s\d+)/"', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1] if following else ""
    assert (seen, address) == ([f"s{n:03}" for n in range(205)], "")
    assert "No service behind s999" in text_of(bob.get("/services/?after=s999"))
    assert bob.get("/services/?after=%00").status_code == 200


@pytest.mark.parametrize("address", ["/services/actions/new/", "/services/mail/actions/edit/"])
def test_no_error_report_shows_a_secret(address, monkeypatch, caplog):
    """As the admins would get it by mail: with what was sent, and what each function had in hand."""
    r.register("mail", kind="command", base_url=r.BROKER)
    erin = sign_in("erin")
    erin.raise_request_exception = False
    monkeypatch.setattr(changes, "check_wanted", lambda *_: 1 / 0)
    sent = {**NEW, "kind": "command", "base_url": r.BROKER, "secret": CANARY, "revision": "1"}
    assert erin.post(address, sent).status_code == 500
    record = next(one for one in caplog.records if one.exc_info and hasattr(one, "request"))
    reporter = ExceptionReporter(record.request, *record.exc_info)
    report = reporter.get_traceback_text() + reporter.get_traceback_html()
    assert "ZeroDivisionError" in report
    assert "hunter2canary" not in report
    assert CANARY not in report
