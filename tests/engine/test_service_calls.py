"""Steps that call services, driven by a real pump with a transport that has no network."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from sagas.catalog.publish import check
from sagas.core import action_form
from sagas.core.definition import RetryPolicy
from sagas.core.outcome import Error, Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import Verb
from sagas.engine import service_calls
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError
from sagas.participants import known_services
from tests.engine.actions import BEHAVIOUR, CALLS
from tests.engine.conftest import drive
from tests.engine.services import ANSWERS, CALLED, FakeHttp, accept, called, make_service
from tests.engine.stored_run import faults_of, fetch
from tests.engine.test_orders import is_at, order, step

RESERVE = """
saga: {name}
title: A reservation
{more}
steps:
  - name: reserve
    action: {{http: {{service: inventory, path: "/orders/${{input.id}}", query: {{n: 1}}{options}}}}}
    with: {{id: "${{input.id}}"}}
    timeout: {timeout}
    retry: {{attempts: {attempts}, initial: 10ms, factor: 1, jitter: 0}}
    {probe}
    compensation:
      action: {{http: {{service: inventory, method: DELETE, path: "/orders/${{input.id}}"}}}}
      retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
  - name: ship
    action: engine.plain
    compensation: none
"""
PROBE = 'probe: {http: {service: inventory, path: "/orders/${step.input.body.id}"}}'
REQUEST = {"path": "/orders/a%2F1", "query": {"n": 1}, "body": {"id": "a/1"}}


@pytest.fixture(autouse=True)
def _services(monkeypatch, settings):
    ANSWERS.clear()
    CALLED.clear()
    settings.SAGAWEB_BASE_URL = "https://sagas.example.org"
    monkeypatch.setattr(service_calls, "make_http", FakeHttp)
    monkeypatch.setattr(action_form, "PROBE_RETRY", RetryPolicy(attempts=3, initial_s=0.01, factor=1, jitter=0))


@pytest.fixture
def reserve(saga):
    """Publish the saga and start a run of it."""

    def make(*, attempts=1, options="", probe="", timeout="5s", more="", order_id="a/1", is_known=True):
        if is_known:
            make_service()
        text = RESERVE.format(
            name=f"reserve-{attempts}-{len(options)}-{len(probe)}-{len(more)}",
            attempts=attempts, options=options, probe=probe, timeout=timeout, more=more,
        )  # fmt: skip
        return start_run(saga(source=text), {"id": order_id}).run

    return make


def test_a_request_is_rendered_once_and_its_answer_is_the_output(reserve):
    run = reserve()
    drive()
    assert fetch(run).status == "completed"
    assert step(run, "reserve").output == {"did": "POST inventory of inventory"}
    ((key, call),) = CALLED
    assert (key, call.arguments, call.attempt) == ("reserve:action", REQUEST, 1)
    assert (call.idempotency_key, call.callback_url, call.is_unsettled) == (f"{run.id}:reserve:action", "", False)
    assert FakeHttp.is_closed
    assert faults_of(run) == []


def test_every_attempt_sends_the_same_and_is_told_of_an_unknown_one_before(reserve):
    ANSWERS["reserve:action"] = lambda call: [Unknown(Error("gone", "gone")), Succeeded(7)][call.attempt - 1]
    run = reserve(attempts=2)
    drive()
    assert fetch(run).status == "completed"
    assert [(call.arguments, call.is_unsettled) for _, call in CALLED] == [(REQUEST, False), (REQUEST, True)]
    assert faults_of(run) == []


@pytest.mark.parametrize(("is_explicit", "status"), [(True, "failed"), (False, "in_doubt")])
def test_only_an_explicit_no_settles_an_earlier_unknown_attempt(reserve, is_explicit, status):
    no = Rejected(Error("no", "no"), is_explicit=is_explicit)
    ANSWERS["reserve:action"] = lambda call: Unknown(Error("gone", "gone")) if call.attempt == 1 else no
    run = reserve(attempts=2)
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", status)
    assert ("reserve:compensation" in called()) == (status == "in_doubt")
    assert faults_of(run) == []


def test_a_compensation_has_a_request_of_its_own_and_the_key_of_the_action(reserve):
    BEHAVIOUR["ship:action"] = lambda _call: 1 / 0
    run = reserve()
    drive()
    assert fetch(run).status == "compensated"
    undo = CALLED[-1][1]
    assert (undo.arguments, undo.action_key) == ({"path": "/orders/a%2F1"}, f"{run.id}:reserve:action")
    assert faults_of(run) == []


@pytest.mark.parametrize("order_id", ["", "..", "a//b", "a\n", "a/../../admin", "..\\x"])
def test_a_value_that_would_lead_elsewhere_fails_the_step_and_nothing_is_sent(reserve, order_id):
    run = reserve(order_id=order_id, attempts=3)
    drive()
    assert (fetch(run).status, called()) == ("compensated", [])
    assert step(run, "reserve").error["code"] == "expression_error"
    assert faults_of(run) == []


# ---- the registry ---------------------------------------------------------------


def test_an_unknown_service_is_waited_for_and_then_a_person_is_asked(reserve, monkeypatch):
    monkeypatch.setattr(service_calls, "CODE_AWAITED_S", 0.01)
    run = reserve(attempts=2, is_known=False)
    drive()
    assert (fetch(run).status, called()) == ("needs_attention", [])
    assert [one["code"] for one in fetch(run).attention] == ["service_unknown"]
    assert step(run, "reserve").attempts == 2
    make_service()
    order(run, Verb.RETRY)
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_the_page_says_what_to_do_about_a_service_that_is_missing(reserve, monkeypatch, client, django_user_model):
    monkeypatch.setattr(service_calls, "CODE_AWAITED_S", 0.01)
    run = reserve(is_known=False)
    drive()
    boss = django_user_model.objects.create_superuser("erin")
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/runs/{run.id}/").content.decode()
    assert "“Reserve” cannot be carried out: No service called inventory is registered." in page
    assert "Register the service, then retry." in page


def test_publishing_warns_of_services_that_nobody_registered():
    source = RESERVE.format(name="warned", attempts=1, options="", probe="", timeout="5s", more="")
    assert {one.code for one in check(source).warnings} == {"service_unknown"}
    make_service()
    assert check(source).warnings == ()


def test_a_service_of_another_kind_is_not_called(reserve, monkeypatch):
    monkeypatch.setattr(service_calls, "CODE_AWAITED_S", 0.01)
    make_service(kind="command")
    run = reserve(is_known=False)
    drive()
    assert (fetch(run).attention[0]["code"], called()) == ("service_kind", [])


def test_the_registry_is_read_once_a_second_and_never_in_the_event_loop(reserve, monkeypatch):
    threads = []
    load = known_services.load

    def noting(now):
        threads.append(threading.current_thread().name)
        return load(now)

    monkeypatch.setattr(known_services, "load", noting)
    monkeypatch.setattr(service_calls, "KNOWN_FOR_S", 60.0)
    make_service()
    runs = [reserve(is_known=False, order_id=str(number)) for number in range(5)]
    drive()
    assert [fetch(run).status for run in runs] == ["completed"] * 5
    assert len(threads) == 1
    assert threads[0].startswith("journal")


def test_the_registry_is_one_query():
    make_service()
    with CaptureQueriesContext(connections["default"]) as queries:
        assert known_services.kinds() == {"inventory": "http"}
    assert len(queries) == 1


# ---- time --------------------------------------------------------------------------


@pytest.mark.parametrize(("of_service", "expected"), [(None, 5.0), (0.5, 0.5), (60.0, 5.0)])
def test_the_time_out_is_the_shorter_one_of_step_and_service(reserve, of_service, expected):
    make_service(timeout_s=of_service)
    reserve(is_known=False)
    drive()
    assert CALLED[0][1].timeout_s == expected


def test_a_transport_that_does_not_keep_its_time_is_cancelled(reserve, monkeypatch):
    monkeypatch.setattr(service_calls, "GRACE_S", 0.1)
    ended = []

    async def hang(_call):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    ANSWERS["reserve:action"] = hang
    run = reserve(timeout="100ms")
    drive()
    assert (fetch(run).status, step(run, "reserve").status, ended) == ("compensated", "in_doubt", [1])
    assert step(run, "reserve").error["code"] == "timed_out"


def test_retry_after_moves_the_next_attempt_later(reserve):
    ANSWERS["reserve:action"] = Failed(Error("busy", "busy"), retry_after_s=7200.0)
    run = reserve(attempts=2)
    drive(is_retrying(run))
    wait_s = (step(run, "reserve").next_attempt_at - fetch(run).started_at).total_seconds()
    assert 3599 < wait_s < 3610, "an hour at most"


def is_retrying(run):
    return lambda: fetch(run).steps.filter(status="retrying").exists()


# ---- probes ---------------------------------------------------------------------------


def test_a_probe_over_http_has_a_request_of_its_own_under_the_key_of_the_action(reserve):
    ANSWERS["reserve:action"] = Unknown(Error("gone", "gone"))
    ANSWERS["reserve:probe"] = Succeeded(None)
    run = reserve(probe=PROBE)
    drive()
    assert (fetch(run).status, called()) == ("completed", ["reserve:action", "reserve:probe"])
    asked = CALLED[1][1]
    assert (asked.arguments, asked.is_unsettled) == ({"path": "/orders/a%2F1"}, True)
    assert asked.idempotency_key == asked.action_key == f"{run.id}:reserve:action"
    assert faults_of(run) == []


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (Failed(Error("not_done", "no"), settles=True), "failed"),
        (Failed(Error("busy", "busy")), "in_doubt"),
        (Unknown(Error("gone", "gone")), "in_doubt"),
        (Rejected(Error("no", "no")), "failed"),
    ],
)
def test_what_a_probe_over_http_says_counts_as_of_any_probe(reserve, said, end):
    ANSWERS["reserve:action"] = Unknown(Error("gone", "gone"))
    ANSWERS["reserve:probe"] = said
    run = reserve(probe=PROBE)
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", end)
    assert called().count("reserve:probe") == (3 if end == "in_doubt" else 1)
    assert faults_of(run) == []


def test_a_probe_whose_request_has_no_value_leaves_it_open(reserve):
    ANSWERS["reserve:action"] = Unknown(Error("gone", "gone"))
    run = reserve(probe='probe: {http: {service: inventory, path: "/orders/${input.other}"}}')
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", "in_doubt")
    assert called() == ["reserve:action", "reserve:compensation"]
    assert faults_of(run) == []


# ---- what is not there -----------------------------------------------------------------


def test_without_an_address_of_our_own_an_asynchronous_step_is_not_sent(reserve, settings, monkeypatch):
    monkeypatch.setattr(service_calls, "CODE_AWAITED_S", 0.01)
    settings.SAGAWEB_BASE_URL = ""
    ANSWERS["reserve:action"] = accept
    run = reserve(options=", async: true")
    drive()
    assert (fetch(run).attention[0]["code"], called()) == ("no_callback_address", [])
    assert "SAGAWEB_BASE_URL" in step(run, "reserve").error["message"]


# ---- edited input -----------------------------------------------------------------------


def test_an_edited_request_is_judged_before_it_is_sent(reserve):
    ANSWERS["reserve:action"] = lambda call: (
        Failed(Error("busy", "busy"), retry_after_s=600.0) if call.attempt < 3 else (Succeeded())
    )
    run = reserve(attempts=5)
    drive(is_retrying(run))
    for wrong in ({}, {"path": "//evil/x"}, {"path": "/a?b=1"}, {"path": "/a", "headers": {"Host": "x"}}, {"url": "/"}):
        with pytest.raises(OrderRefusedError, match="no request that may be sent"):
            order(run, Verb.RETRY, step="reserve", arguments=wrong, has_arguments=True)
    order(run, Verb.RETRY, step="reserve", arguments={"path": "/other"}, has_arguments=True)
    drive(lambda: len(CALLED) == 2)
    order(run, Verb.RETRY, step="reserve")
    drive(is_at(run, "completed"))
    assert [call.arguments["path"] for _, call in CALLED] == ["/orders/a%2F1", "/other", "/other"]
    assert CALLED[1][1].idempotency_key.endswith(":reserve:action#2")
    assert CALLS
    assert faults_of(run) == []
