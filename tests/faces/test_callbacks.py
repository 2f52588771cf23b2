"""`POST /api/v1/callbacks/{token}/`: what it answers, to the right ones and to everybody else."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from sagas.catalog.publish import publish
from sagas.core import messages as m
from sagas.core.outcome import Error, Unknown
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, Verb, WaitingFor
from sagas.engine import callback_token, journal
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import Order, SagaRun, Service
from tests.engine.test_journal import claim_all, step_on

SOURCE = """\
saga: reserve
title: Reserve
steps:
  - name: reserve
    action: {http: {service: inventory, path: /orders, async: true}}
    compensation: {action: {http: {service: inventory, path: /undo}}}
"""
ATTEMPT = AttemptKey("reserve", NO_ITEM, Phase.ACTION, 1)


@pytest.fixture
def run(db):
    """A run whose first attempt a service has taken on."""
    Service.objects.create(name="inventory", base_url="https://inventory.example.org")
    publish(SOURCE, by="tests")
    made = start_run("reserve", {}).run
    token = claim_all()[made.id]
    journal.append([step_on(made, token)])
    accepted = m.AcceptAttempt(ATTEMPT, "inventory", Clock().now(), 0.5, WaitingFor.CALLBACK)
    journal.append([step_on(made, token, command=accepted)])
    return SagaRun.objects.get(id=made.id)


def post(token, body, client=None, kind="application/json"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (client or Client(enforce_csrf_checks=True)).post(f"/api/v1/callbacks/{token}/", raw, content_type=kind)


def token_of(run, attempt=ATTEMPT, edition=1):
    return callback_token.make_token(run.id, attempt, edition)


def test_whoever_has_the_token_needs_nothing_else(run):
    answer = post(token_of(run), {"outcome": "succeeded", "output": {"id": 7}})
    assert (answer.status_code, answer.json()) == (200, {"result": "counted"})
    assert answer["Cache-Control"] == "no-store"
    told = Order.objects.get()
    assert (told.verb, told.by, told.details["late"]["output"]) == ("report", "inventory", {"id": 7})


@pytest.mark.parametrize("outcome", ["rejected", "failed"])
def test_a_no_says_why(run, outcome):
    body = {"outcome": outcome, "error": {"code": "sold_out", "message": "None\nleft.", "details": {"left": 0}}}
    assert post(token_of(run), body).status_code == 200
    late = Order.objects.get().details["late"]
    assert (late["outcome"], late["code"], late["message"], late["details"]) == (
        outcome, "sold_out", "None left.", {"left": 0},
    )  # fmt: skip


def test_a_no_without_a_reason_has_one(run):
    assert post(token_of(run), {"outcome": "failed"}).status_code == 200
    late = Order.objects.get().details["late"]
    assert (late["code"], late["message"]) == ("failed", "The service called back: failed.")


def test_a_second_one_changes_nothing(run):
    token = token_of(run)
    assert post(token, {"outcome": "succeeded"}).status_code == 200
    answer = post(token, {"outcome": "rejected"})
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert answer.json() == {
        "type": "urn:sagaweb:problem:callback-kept",
        "title": "The callback changes nothing",
        "status": 409,
        "detail": "The outcome of this attempt is known already.",
    }
    assert Order.objects.count() == 1


def test_a_run_that_has_ended_is_gone(run):
    give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="enough"))
    answer = post(token_of(run), {"outcome": "succeeded"})
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:sagaweb:problem:run-ended")
    assert answer.json()["detail"] == "The run has ended: it is terminated."


def test_an_unknown_attempt_is_settled_late(run):
    token = claim_all_again(run)
    journal.append(
        [step_on(run, token, command=m.ReportOutcome(ATTEMPT, Unknown(Error("timed_out", "late")), Clock().now()))]
    )
    assert post(token_of(run), {"outcome": "succeeded"}).status_code == 200


def claim_all_again(run):
    SagaRun.objects.filter(id=run.id).update(due_at=Clock().now())
    return claim_all()[run.id]


# ---- those without the right -----------------------------------------------------


def test_every_wrong_token_gets_the_same_answer(run):
    right = token_of(run)
    other = start_run("reserve", {}).run
    wrong = [
        "x",
        "A" * len(right),
        right[:-1],
        right[:-2] + ("AA" if right[-2:] != "AA" else "BB"),
        right + "A",
        right.swapcase(),
        token_of(run, ATTEMPT._replace(number=2)),
        token_of(run, ATTEMPT._replace(phase=Phase.COMPENSATION)),
        token_of(run, ATTEMPT._replace(step="ship")),
        token_of(other),
        "%00",
        "%ff%fe",
        "é" * 20,
        "A" * 3_000,
    ]
    answers = {post(one, {"outcome": "succeeded"}).content for one in wrong}
    assert [json.loads(content)["detail"] for content in answers] == ["Nobody was given this address."]
    assert {post(one, {"outcome": "succeeded"}).status_code for one in wrong} == {404}
    assert not Order.objects.exists()
    assert post(right, {"outcome": "succeeded"}).status_code == 200


def test_a_token_made_under_another_secret_is_wrong(run, settings):
    made = token_of(run)
    settings.SECRET_KEY = "somebody else's, and long enough to be one"
    assert post(made, {"outcome": "succeeded"}).status_code == 404


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_there_is_nothing_to_do_but_to_post(run, method):
    assert getattr(Client(), method)(f"/api/v1/callbacks/{token_of(run)}/").status_code == 405


# ---- bad bodies --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/outcome"),
        ({"outcome": "unknown"}, 422, "/outcome"),
        ({"outcome": "suceeded"}, 422, "/outcome"),
        ({"outcome": ["succeeded"]}, 422, "/outcome"),
        ([], 422, ""),
        ({"outcome": "succeeded", "otput": 1}, 422, "/otput"),
        ({"outcome": "succeeded", "error": {}}, 422, "/error"),
        ({"outcome": "failed", "output": 1}, 422, "/output"),
        ({"outcome": "failed", "error": "no"}, 422, "/error"),
        ({"outcome": "failed", "error": {"code": 1}}, 422, "/error/code"),
        ({"outcome": "failed", "error": {"message": "x" * 1001}}, 422, "/error/message"),
        ({"outcome": "failed", "error": {"details": "x" * 300_000}}, 422, "/error/details"),
        ({"outcome": "succeeded", "output": "x" * 300_000}, 422, "/output"),
        (b"{", 400, None),
        (b'{"outcome": "succeeded", "output": "\\u0000"}', 400, None),
        (b'{"outcome": "succeeded", "output": "\\ud800"}', 400, None),
        (b'{"outcome": "succeeded", "output": NaN}', 400, None),
        (b'{"outcome": "succeeded", "output": ' + b"[" * 70 + b"]" * 70 + b"}", 400, None),
        (b'"' + b"x" * 1_100_000 + b'"', 413, None),
    ],
)
def test_a_bad_body_is_a_problem_and_changes_nothing(run, body, status, pointer):
    answer = post(token_of(run), body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    if pointer is not None:
        assert pointer in {one.get("pointer") for one in answer.json()["errors"]}
    assert not Order.objects.exists()


def test_a_word_that_is_none_of_the_outcomes_is_answered_with_those_there_are(run):
    (fault,) = post(token_of(run), {"outcome": "ok"}).json()["errors"]
    assert fault == {"pointer": "/outcome", "detail": "One of these is expected: succeeded, rejected, failed."}


def test_only_json_is_read(run):
    assert post(token_of(run), b"outcome=succeeded", kind="application/x-www-form-urlencoded").status_code == 415
    assert post(token_of(run), b"<a/>", kind="text/xml").status_code == 415


@pytest.mark.parametrize(("body", "kind"), [(b"{", "application/json"), (b"<a/>", "text/xml")])
def test_what_somebody_without_a_token_sends_is_not_even_read(run, body, kind):
    assert post("guess", body, kind=kind).status_code == 404


def test_a_key_of_sealed_values_is_refused(run):
    from sagas.core.sealed import MARK

    answer = post(token_of(run), {"outcome": "succeeded", "output": {MARK: "x"}})
    assert answer.status_code == 422
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//api/v1/callbacks/{}/", 404),
        ("/callbacks/{}/", 404),
        ("/Callbacks//{}", 404),
        ("/api/v1/callbacks/{}/x", 401),
    ],
)
def test_no_log_holds_the_token_of_a_service_that_put_the_address_together_wrongly(client, db, caplog, path, status):
    token = "AaIaEtalfoySLVCZx3fFKAD_____AAAAAgAAAARzaGlw"
    answer = client.post(path.format(token), {}, content_type="application/json")
    assert answer.status_code == status
    assert token not in caplog.text
    assert status == 401 or "/…" in caplog.text
