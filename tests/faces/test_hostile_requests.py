"""Requests that no browser sends: each is refused in words, on both databases, and never a 500."""

from __future__ import annotations

import json
import logging
from logging.config import DictConfigurator

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncClient, Client
from django.utils import timezone

from sagas import access
from sagas.core.vocabulary import Role
from sagas.guard import session_key
from sagas.models import ApiToken, SagaRun
from tests import factories
from tests.faces.conftest import make_person, sign_in

pytestmark = pytest.mark.django_db

RUNS, TOKENS = "/admin/sagas/sagarun/", "/admin/sagas/apitoken/"
CODECS = ["rot13", "hex", "idna", "unicode_escape", "raw_unicode_escape", "utf-16", "latin-1", "nosuch", "utf-8-sig"]
PART = b'--XX\r\nContent-Disposition: form-data; name="theme"\r\n\r\n\\ud800\r\n--XX--\r\n'


@pytest.fixture
def stranger() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def erin() -> Client:
    client = sign_in("erin")
    client.raise_request_exception = False
    return client


def with_csrf_cookie() -> Client:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.get("/sign-in/")
    assert settings.CSRF_COOKIE_NAME in client.cookies
    return client


@pytest.mark.parametrize("key", ["aaaa\0bbbb", "\0", "ä" * 32, "a b", "", "a" * 31 + "\n"])
def test_a_session_cookie_that_cannot_be_one_is_a_strangers(stranger, key):
    stranger.cookies[settings.SESSION_COOKIE_NAME] = key
    for path, status in (("/sign-in/", 200), ("/", 302), ("/runs/", 302), ("/admin/login/", 200), ("/livez", 200)):
        assert stranger.get(path).status_code == status, path
    assert stranger.get("/api/v1/runs/").status_code == 401


@pytest.mark.parametrize("key", [None, "a" * 32, "eyJhIjoxfQ:1sXyZ-_:8t8" * 9])
def test_keys_of_every_session_store_pass(key):
    """The database's are 32 letters and digits; those of signed cookies are as long as what they hold."""
    if key is None:
        session = SessionStore()
        session.create()
        key = session.session_key
    assert session_key({settings.SESSION_COOKIE_NAME: key}) == key


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
@pytest.mark.parametrize("length", [151, 256, 100_000])
def test_a_longer_name_than_anybody_has_is_refused_before_it_is_looked_up(stranger, path, length):
    answer = stranger.post(path, {"username": "n" * length, "password": "wrong"})
    assert answer.status_code == 200
    assert "at most 150 characters" in answer.text


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_the_longest_name_there_can_be_is_looked_up(stranger, path):
    answer = stranger.post(path, {"username": "n" * 150, "password": "wrong"})
    assert answer.status_code == 200
    assert "Please enter" in answer.text


@pytest.mark.parametrize("path", ["/sign-in/", "/admin/login/"])
def test_a_wrong_password_is_written_down_whatever_came_with_it(stranger, path):
    headers = {"User-Agent": "u" * 3000, "Accept": "a" * 3000}
    sent = {"username": "bob", "password": "wrong", "x\0": "\0"}
    assert stranger.post(f"{path}?next=%00&%00=a&b={'c' * 3000}", sent, headers=headers).status_code in {200, 400}


@pytest.mark.parametrize("charset", CODECS)
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=XX", "application/x-www-form-urlencoded"])
def test_a_form_in_another_charset_is_a_415(charset, kind):
    answer = with_csrf_cookie().generic("POST", "/theme/", PART, content_type=f"{kind}; charset={charset}")
    assert (answer.status_code, answer["Content-Type"]) == (415, "text/plain; charset=utf-8")


@pytest.mark.parametrize("charset", CODECS)
async def test_nor_is_it_read_by_the_asynchronous_server(charset):
    client = AsyncClient(raise_request_exception=False)
    kind = f"multipart/form-data; boundary=XX; charset={charset}"
    assert (await client.generic("POST", "/theme/", PART, content_type=kind)).status_code == 415


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"'])
def test_a_form_in_unicode_is_read_however_that_is_spelt(charset):
    body = PART.replace(b"\\ud800", b"dark")
    answer = Client().post("/theme/", body, content_type=f"multipart/form-data; boundary=XX; charset={charset}")
    assert answer.cookies["theme"].value == "dark"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"theme=%ED%A0%80&%ED%A0%80=a&next=%ED%A0%80"),
        ("application/x-www-form-urlencoded", b"theme=\xed\xa0\x80&next=/\xff"),
        ("multipart/form-data; boundary=XX", PART.replace(b"\\ud800", b"\xed\xa0\x80")),
        ("multipart/form-data; boundary=XX", PART.replace(b'name="theme"', b"name*=raw_unicode_escape''\\ud800")),
        ("multipart/form-data; boundary=XX", PART.replace(b'name="theme"', b"name*=idna''x")),
        ("multipart/form-data; boundary=XX", PART.replace(b'name="theme"', b'name="theme\xed\xa0\x80"')),
    ],
)
@pytest.mark.parametrize("path", ["/theme/", "/sign-in/"])
def test_half_a_surrogate_pair_in_a_form_does_no_harm(stranger, path, kind, body):
    assert stranger.post(path, body, content_type=kind).status_code in {200, 302, 400}


@pytest.mark.parametrize("value", [b"%ED%A0%80", b"\xed\xa0\x80", b"%FF", b"a%C3"])
def test_a_form_with_bytes_that_are_not_utf_8_starts_nothing(saga, value):
    kind = "application/x-www-form-urlencoded"
    client = sign_in("alice")
    answer = client.post("/sagas/order/actions/start/", b"field-order_id=" + value, content_type=kind)
    assert (answer.status_code, answer.text) == (400, "The form holds bytes that are not UTF-8. Nothing was done.")
    assert not SagaRun.objects.exists()
    assert (
        client.post("/sagas/order/actions/start/", b"field-order_id=%F0%9F%AB%96+x", content_type=kind).status_code
        == 302
    )
    assert SagaRun.objects.get().input == {"order_id": "\U0001fad6 x"}


def test_nor_does_one_in_parts(saga):
    part = PART.replace(b'"theme"', b'"field-order_id"')
    kind = "multipart/form-data; boundary=XX"
    client = sign_in("alice")
    body = part.replace(b"\\ud800", b"\xed\xa0\x80")
    assert client.post("/sagas/order/actions/start/", body, content_type=kind).status_code == 400
    assert not SagaRun.objects.exists()
    assert client.post("/sagas/order/actions/start/", part, content_type=kind).status_code == 302


def test_bodies_of_the_api_are_still_its_own_matter(stranger):
    kind = "multipart/form-data; boundary=XX; charset=rot13"
    answer = stranger.generic("POST", "/api/v1/runs/", PART, content_type=kind)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.status_code < 500


@pytest.mark.parametrize("charset", [*CODECS, "us-ascii"])
@pytest.mark.parametrize("path", ["runs/", "sagas/validate/", "sagas/simulate/"])
def test_a_body_of_the_api_in_another_charset_is_a_415(api, path, charset):
    kind = f"application/json; charset={charset}"
    answer = api.client.generic("POST", f"/api/v1/{path}", b"{}", content_type=kind)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:sagaweb:problem:unsupported-media-type")
    assert charset in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
def test_a_body_of_the_api_in_unicode_is_read_however_that_is_spelt(api, charset):
    kind = f"application/json; charset={charset}"
    answer = api.client.generic("POST", "/api/v1/runs/", b"{}", content_type=kind)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sagaweb:problem:invalid")


@pytest.mark.parametrize(
    "kind", ["a/b; charset*=nosuch''x", "a/b; charset*=utf-8''a%00b", "a/b; x*=idna''%ff", "a/b; x*=\xff''a"]
)
@pytest.mark.parametrize("path", ["/sign-in/", "/api/v1/runs/", "/livez"])
async def test_a_content_type_that_the_framework_breaks_on_is_a_400(kind, path):
    from sagaweb.asgi import protocols

    headers = [(b"host", b"localhost"), (b"content-type", kind.encode("latin1"))]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    server = ApplicationCommunicator(protocols, scope)
    await server.send_input({"type": "http.request", "body": b""})
    assert (await server.receive_output(5))["status"] == 400
    assert json.loads((await server.receive_output(5))["body"])["status"] == 400


@pytest.mark.parametrize("selected", ["zz", "\0", "999", "", "9" * 5000])
@pytest.mark.parametrize(("path", "action"), [(RUNS, "cancel"), (RUNS, "retry"), (TOKENS, "revoke")])
def test_what_is_no_key_of_the_list_cannot_be_selected_in_it(erin, path, action, selected):
    access.make_token("robot", Role.VIEWER, None)
    factories.compensating(timezone.now())
    answer = erin.post(path, {"action": action, "_selected_action": ["0" * 32, selected]})
    assert answer.status_code == 400
    assert not ApiToken.objects.filter(revoked_at__isnull=False).exists()


def test_a_key_that_is_gone_harms_nothing(erin):
    assert erin.post(TOKENS, {"action": "revoke", "_selected_action": ["0" * 32]}).status_code == 302


@pytest.mark.parametrize(
    "query",
    [
        "input__contains=a", "input__x=1", "key__regex=(", "id=zz", "saga__name__regex=(", "version__document__a=1",
        "created_at__year=x", "status__in=a,b", "status__x=1", "lease_until__gt=zz", "%00=1", "status__exact=%00",
    ],
)  # fmt: skip
def test_a_list_is_filtered_by_its_own_filters_only(erin, query):
    assert erin.get(f"{RUNS}?{query}").status_code == 400


@pytest.mark.parametrize("model", ["sagarun", "steprun", "order", "saga", "sagaversion", "apitoken"])
def test_every_choice_of_every_filter_works(erin, model):
    access.make_token("robot", Role.VIEWER, None)
    for teller in factories.EVERY_STATE:
        teller(timezone.now())
    page = erin.get(f"/admin/sagas/{model}/")
    choices = [choice for spec in page.context["cl"].filter_specs for choice in spec.choices(page.context["cl"])]
    assert len(choices) > 1
    for choice in choices:
        assert erin.get(f"/admin/sagas/{model}/{choice['query_string']}").status_code == 200, choice


@pytest.mark.parametrize("value", ["zz", "9" * 40, "-1", "", "a,b", "é", "1e9", "null"])
@pytest.mark.parametrize(
    "query",
    [
        "sagarun/?saga__id__exact=", "sagarun/?saga__isnull=", "sagarun/?status__exact=", "sagarun/?attention=",
        "sagarun/?status__isnull=", "sagarun/?saga=", "sagarun/?status=",
        "saga/?style=", "saga/?is_demo=", "saga/?is_demo__exact=", "sagaversion/?saga__id__exact=", "sagarun/?p=",
        "sagarun/?o=", "sagarun/?q=", "steprun/?q=", "sagarun/?all=", "sagarun/?e=", "sagarun/?_to_field=",
    ],
)  # fmt: skip
def test_no_value_of_a_filter_breaks_the_list(erin, query, value):
    assert erin.get(f"/admin/sagas/{query}{value}").status_code in {200, 302, 400}


@pytest.fixture
def log(caplog):
    """What the product's own handler would write."""
    configured = DictConfigurator(settings.LOGGING)
    made = configured.configure_filter(configured.config["filters"]["links"])
    caplog.handler.addFilter(made)
    yield caplog
    caplog.handler.removeFilter(made)


def test_a_refused_link_does_not_stand_in_the_log(log):
    path = f"/sign-in/{access.make_sign_in_link(make_person('bob'))}/"
    secret = path.split("/")[2]
    for address, status in ((path, 403), (f"{path}more/", 404)):
        assert Client(enforce_csrf_checks=True).post(address).status_code == status
    assert log.text.count("/sign-in/…/") == 2
    assert secret not in log.text
    assert Client().post(path).status_code == 302, "and it still works"


def test_every_handler_of_djangos_own_is_spared_it(caplog):
    """Its console and its mail to the admins stand before ours; the loggers themselves change the record."""
    path = f"/sign-in/{access.make_sign_in_link(make_person('bob'))}/"
    Client(enforce_csrf_checks=True).post(path)
    Client().get(f"{path}more/")
    assert path.split("/")[2] not in caplog.text


@pytest.mark.parametrize("text", ["GET /sign-in/?next=/", "/sign-in/", "100 %", "other"])
def test_other_lines_are_left_alone(log, text):
    logging.getLogger("sagas").warning(text)
    logging.getLogger("sagas").warning("%s and %d", text, 1)
    assert [record.getMessage() for record in log.records] == [text, f"{text} and 1"]
