"""Services over REST: who may, what is refused with which pointer, and that no answer holds a secret."""

from __future__ import annotations

import json
import logging
import re

import pytest
from django.utils import timezone

from sagas.core.sealed import MASK
from sagas.core.vocabulary import Role
from sagas.models import Service, ServiceChange
from sagas.services.secret import new_secret
from tests import registered as r
from tests.faces.conftest import Api
from tests.faces.test_api_reference import BASE, ROOT, blocks, perform
from tests.faces.test_api_schema import assert_fits

pytestmark = pytest.mark.django_db
CANARY = "whsec_" + "Q0FOQVJZ" * 4


def put(api: Api, name: str = "payments", body: dict | None = None, **headers: str):
    """PUT a service."""
    body = {"base_url": r.ADDRESS} if body is None else body
    return api.put(f"services/{name}/", json.dumps(body), "application/json", **headers)


@pytest.fixture
def admin() -> Api:
    return Api(Role.ADMIN, "admin")


def pointers(answer) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_service_is_registered_read_changed_and_deleted(admin):
    made = put(admin)
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert made.json()["secret"].startswith("whsec_")
    found = admin.get("services/payments/")
    assert (found.status_code, found.json()["has_secret"], "secret" in found.json()) == (200, True, False)
    assert found.json()["health"]["error_rate"] is None
    assert found.json()["state"] == "never"
    again = put(admin)
    assert (again.status_code, "secret" in again.json(), again.json()["revision"]) == (200, False, 1)
    changed = put(admin, body={"base_url": r.ADDRESS, "max_concurrency": 5, "timeout": 2.5})
    assert (changed.json()["max_concurrency"], changed.json()["timeout"], changed.json()["revision"]) == (5, 2.5, 2)
    client = admin.client
    assert client.delete("/api/v1/services/payments/").json() == {"name": "payments"}
    assert admin.get("services/payments/").status_code == 404
    assert [change.by for change in ServiceChange.objects.all()] == ["token:admin"] * 3


def test_every_answer_fits_the_document(admin):
    path = "/api/v1/services/{name}/"
    assert_fits(put(admin), path, "put")
    assert_fits(put(admin), path, "put")
    assert_fits(put(admin, body={"base_url": "x"}), path, "put")
    service = Service.objects.get()
    r.make_state(service, timezone.now(), last_error="http_503: no answer")
    r.make_minutes(service, timezone.now(), (10, 3), (5, 0))
    assert_fits(admin.get("services/payments/"), path, "get")
    assert_fits(admin.get("services/"), "/api/v1/services/", "get")
    assert_fits(admin.post("services/payments/rotate-secret/", {}), f"{path}rotate-secret/", "post")
    assert_fits(admin.post("services/payments/hold/", {"reason": "r"}), f"{path}hold/", "post")
    assert_fits(admin.post("services/payments/hold/", {"reason": "r"}), f"{path}hold/", "post")
    assert_fits(admin.post("services/payments/release/", {}), f"{path}release/", "post")
    assert_fits(admin.client.delete("/api/v1/services/payments/"), path, "delete")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ["/base_url"]),
        ({"base_url": "x"}, ["/base_url"]),
        ({"base_url": 5}, ["/base_url"]),
        ({"base_url": r.ADDRESS, "secrets": 1}, ["/secrets"]),
        ({"base_url": r.ADDRESS, "kind": "smtp"}, ["/kind"]),
        ({"base_url": r.ADDRESS, "kind": "command"}, ["/base_url"]),
        ({"base_url": r.ADDRESS, "timeout": "5"}, ["/timeout"]),
        ({"base_url": r.ADDRESS, "timeout": True}, ["/timeout"]),
        ({"base_url": r.ADDRESS, "timeout": 0}, ["/timeout"]),
        ({"base_url": r.ADDRESS, "max_concurrency": 0}, ["/max_concurrency"]),
        ({"base_url": r.ADDRESS, "max_concurrency": 10**18}, ["/max_concurrency"]),
        ({"base_url": r.ADDRESS, "allow_private": "yes"}, ["/allow_private"]),
        ({"base_url": r.ADDRESS, "secret": "x"}, ["/secret"]),
        ({"base_url": r.ADDRESS, "name": "other"}, ["/name"]),
        ({"base_url": r.ADDRESS, "held": True}, ["/held"]),
        (
            {"base_url": "http://10.0.0.1/", "secret": "x", "max_concurrency": -1},
            ["/base_url", "/max_concurrency", "/secret"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_pointer(admin, body, expected):
    answer = put(admin, body=body)
    assert (answer.status_code, sorted(pointers(answer))) == (422, sorted(expected))
    assert not Service.objects.exists()


def test_a_name_that_is_none_is_refused(admin):
    assert pointers(put(admin, "Pay_Ments")) == ["/name"]


def test_what_was_read_can_be_put_with_what_is_fixed(admin):
    put(admin)
    assert put(admin, body={"base_url": r.ADDRESS, "name": "payments", "held": False}).status_code == 200


def test_roles(admin):
    put(admin)
    for role in (Role.VIEWER, Role.OPERATOR, Role.AUTHOR):
        api = Api(role, role.value)
        assert api.get("services/").status_code == api.get("services/payments/").status_code == 200
        assert put(api).status_code == 403
        assert api.client.delete("/api/v1/services/payments/").status_code == 403
        assert api.post("services/payments/rotate-secret/", {}).status_code == 403
        expected = 403 if role is Role.VIEWER else 200
        assert api.post("services/payments/hold/", {"reason": "r"}).status_code == expected
        assert api.post("services/payments/release/", {}).status_code == expected


def test_a_stale_change_is_a_412_with_the_present_revision(admin):
    put(admin)
    stale = {"If-Match": '"7"'}
    for answer in (
        put(admin, **stale),
        admin.post("services/payments/hold/", {"reason": "r"}, **stale),
        admin.post("services/payments/rotate-secret/", {}, **stale),
        admin.client.delete("/api/v1/services/payments/", headers=stale),
    ):
        assert (answer.status_code, answer.json()["revision"]) == (412, 1)
    assert Service.objects.get().revision == 1
    assert admin.post("services/payments/hold/", {"reason": "r"}, **{"If-Match": '"1"'}).status_code == 200


def test_holding_twice_and_releasing_what_is_free_are_refused(admin):
    put(admin)
    assert pointers(admin.post("services/payments/hold/", {})) == ["/reason"]
    assert admin.post("services/payments/hold/", {"reason": "down"}).json()["state"] == "held"
    again = admin.post("services/payments/hold/", {"reason": "down"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:sagaweb:problem:service-state")
    assert admin.post("services/payments/release/", {}).json()["held"] is False
    assert admin.post("services/payments/release/", {}).status_code == 409


def test_a_service_in_use_is_not_deleted_and_who_needs_it_is_said(admin):
    put(admin)
    version = r.make_saga("order", r.document_naming("order", "payments"))
    run = r.make_run(version)
    answer = admin.client.delete("/api/v1/services/payments/")
    assert (answer.status_code, answer.json()["sagas"], answer.json()["runs"]) == (409, ["order"], [str(run.id)])


def test_an_unknown_service_is_a_404_with_the_nearest_name(admin):
    put(admin)
    for answer in (admin.get("services/paymnts/"), admin.post("services/paymnts/hold/", {"reason": "r"})):
        assert answer.status_code == 404
        assert "Did you mean 'payments'?" in answer.json()["detail"]


def test_health_comes_with_the_time_of_each_figure(admin):
    put(admin)
    now, service = timezone.now(), Service.objects.get()
    r.make_state(service, now, breaker="open", opened_at=now, try_at=now, last_error="http_503: no answer")
    r.make_minutes(service, now, (10, 3), (10, 2))
    told = admin.get("services/payments/").json()
    assert (told["health"]["error_rate"], told["health"]["latency_mean"], told["health"]["latency_max"]) == (
        0.25,
        0.12,
        0.24,
    )
    assert all((told["health"]["as_of"], told["breaker"]["as_of"], told["waiting"]["as_of"]))
    assert (told["breaker"]["state"], told["state"]) == ("open", "open")


def test_the_list_is_paged(admin):
    for name in ("a", "b", "c"):
        put(admin, name)
    first = admin.get("services/", {"page_size": 2}).json()
    assert [one["name"] for one in first["results"]] == ["a", "b"]
    second = admin.client.get(first["next"]).json()
    assert [one["name"] for one in second["results"]] == ["c"]
    assert admin.get("services/", {"cursor": "after-A!"}).status_code == 400


def test_secrets_are_in_no_answer_and_no_log(admin, caplog):
    caplog.set_level(logging.DEBUG)
    canaries = ("hunter2canary", CANARY)
    answers = [
        put(admin, body={"base_url": r.ADDRESS, "secret": CANARY}),
        put(admin, "mail", {"base_url": r.BROKER, "kind": "command", "secret": CANARY}),
        put(admin, "mail", {"base_url": r.BROKER, "kind": "http", "secret": CANARY}),
        put(admin, "mail", {"base_url": r.BROKER, "kind": "command", "secret": CANARY + "!"}),
        admin.post("services/payments/rotate-secret/", {"secret": CANARY}),
        admin.post("services/payments/rotate-secret/", {"secret": CANARY + "!"}),
        admin.get("services/"),
        admin.get("services/mail/"),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 422, 422, 200, 422, 200, 200]
    shown = "".join(answer.text for answer in answers) + caplog.text + str(list(ServiceChange.objects.values()))
    assert [canary for canary in canaries if canary in shown] == []
    assert answers[-1].json()["base_url"] == f"amqp://guest:{MASK}@broker.example.com:5672/vhost"
    assert CANARY not in str(list(Service.objects.values()))


def test_a_secret_made_here_is_told_once(admin):
    put(admin)
    made = admin.post("services/payments/rotate-secret/", {"former_valid": 60}).json()
    assert made["secret"].startswith("whsec_")
    assert made["former_secret_until"] is not None
    assert made["secret"] not in admin.get("services/payments/").text
    assert "secret" not in admin.post("services/payments/rotate-secret/", {"secret": new_secret()}).json()


def test_every_command_of_the_how_to_gives_what_it_says(admin):
    names = {"AUTH": f"Authorization: Bearer {admin.token}", "JSON": "Content-Type: application/json", "B": BASE}
    page = (ROOT / "docs/howto/services.md").read_text()
    commands = re.findall(
        r"^(curl .*?) +# (\d{3})$", "\n".join("\n".join(block) for block in blocks(page)), re.MULTILINE
    )
    assert len(commands) == page.count("curl ")
    for command, status in commands:
        assert perform(command, names).status_code == int(status), command
    assert [change.reason for change in ServiceChange.objects.all()][1:3] == ["mended", "it charges twice"]
