"""Steps that a service takes on and calls back about: every order in which that may happen."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections
from django.db.models import F
from django.utils import timezone

from sagas.core import evolve_callbacks
from sagas.core.outcome import Error, Failed, Rejected, Succeeded
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, Verb
from sagas.engine import callback_token, callbacks, service_calls
from sagas.engine.callbacks import Heard, call_back
from sagas.engine.commands import start_run
from sagas.engine.errors import CallbackUnknownError, InputInvalidError
from sagas.engine.law import Law
from sagas.models import Order, SagaRun
from tests.engine.conftest import drive
from tests.engine.services import ANSWERS, CALLED, FakeHttp, accept, called, make_service, token_of
from tests.engine.stored_run import faults_of, fetch, kinds
from tests.engine.test_journal import make_due
from tests.engine.test_orders import is_at, order, step
from tests.factories import make_beat

RESERVE = """
saga: {name}
title: A reservation
{more}
steps:
  - name: reserve
    action: {{http: {{service: inventory, path: /orders, async: true}}}}
    with: {{id: 1}}
    timeout: {timeout}
    retry: {{attempts: {attempts}, initial: 10ms, factor: 1, jitter: 0}}
    compensation: {{action: {{http: {{service: inventory, path: /undo, async: true}}}}, timeout: 20s}}
    {probe}
  - name: ship
    action: engine.plain
    compensation: none
"""
PROBE = "probe: {http: {service: inventory, path: /orders/1}}"
NO = Rejected(Error("no", "not today"))
FAILURE = Failed(Error("failed", "it broke"))


@pytest.fixture(autouse=True)
def _services(monkeypatch, settings):
    ANSWERS.clear()
    CALLED.clear()
    ANSWERS["reserve:action"] = accept
    settings.SAGAWEB_BASE_URL = "https://sagas.example.org/"
    monkeypatch.setattr(service_calls, "make_http", FakeHttp)
    make_service()


@pytest.fixture
def reserve(saga):
    """Publish the saga and start a run of it."""

    def make(*, attempts=1, timeout="20s", more="", probe="", name="reserve"):
        text = RESERVE.format(name=name, attempts=attempts, timeout=timeout, more=more, probe=probe)
        return start_run(saga(source=text), {}).run

    return make


def waits(run, name="reserve", phase="action"):
    status = "status" if phase == "action" else "compensation_status"
    return lambda: fetch(run).steps.filter(step=name, **{status: "waiting"}).exists() and fetch(run).lease_until is None


def token(place=-1):
    return token_of(CALLED[place][1])


def test_a_step_rests_without_a_worker_until_the_service_calls_back(reserve):
    run = reserve()
    drive(waits(run))
    row = fetch(run)
    assert (row.status, row.waiting_for, step(run, "reserve").waits_for) == ("running", "callback", "callback")
    began = row.journal.get(kind="attempt_started").at
    assert row.due_at == step(run, "reserve").next_attempt_at == began + timedelta(seconds=20)
    assert row.journal.get(kind="attempt_accepted").data["by"] == "inventory"
    assert call_back(token(), Succeeded({"ok": 1})).heard is Heard.COUNTED
    drive()
    assert (fetch(run).status, step(run, "reserve").output) == ("completed", {"ok": 1})
    assert (called(), Order.objects.get().by) == (["reserve:action"], "inventory")
    assert faults_of(run) == []


@pytest.mark.parametrize(("outcome", "status"), [(NO, "failed"), (FAILURE, "failed")])
def test_a_definite_no_by_callback_fails_the_step_and_nothing_is_undone(reserve, outcome, status):
    run = reserve()
    drive(waits(run))
    assert call_back(token(), outcome).heard is Heard.COUNTED
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", status)
    assert called() == ["reserve:action"]
    assert step(run, "reserve").error == {"code": outcome.error.code, "message": outcome.error.message}
    assert faults_of(run) == []


def test_a_failure_by_callback_is_tried_again_and_each_attempt_has_a_token_of_its_own(reserve):
    run = reserve(attempts=2)
    drive(waits(run))
    first = token()
    assert call_back(first, FAILURE).heard is Heard.COUNTED
    drive(lambda: len(CALLED) == 2 and waits(run)())
    assert token() != first
    assert call_back(first, Succeeded()).heard is Heard.KNOWN
    assert call_back(token(), Succeeded()).heard is Heard.COUNTED
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_callback_that_overtakes_the_answer_counts_and_the_answer_is_stale(reserve):
    heard = []

    async def call_back_first(call):
        def say():
            heard.append(call_back(token_of(call), Succeeded({"ok": 2})).heard)
            connections.close_all()

        await asyncio.to_thread(say)
        await asyncio.to_thread(done.wait, 30)
        return accept(call)

    done = threading.Event()
    ANSWERS["reserve:action"] = call_back_first
    run = reserve()

    def until():
        if fetch(run).steps.filter(step="reserve", status="succeeded").exists():
            done.set()
        return fetch(run).status == "completed"

    drive(until)
    assert heard == [Heard.COUNTED]
    assert "attempt_accepted" not in kinds(run)
    assert step(run, "reserve").output == {"ok": 2}
    assert faults_of(run) == []


def test_twice_is_once(reserve):
    run = reserve()
    drive(waits(run))
    assert call_back(token(), Succeeded({"n": 1})).heard is Heard.COUNTED
    assert call_back(token(), Succeeded({"n": 2})).heard is Heard.KNOWN, "the first one waits in the inbox"
    drive(lambda: fetch(run).inbox_done == 1)
    assert call_back(token(), NO).heard in {Heard.KNOWN, Heard.ENDED}
    drive()
    assert (step(run, "reserve").output, Order.objects.count()) == ({"n": 1}, 1)
    assert faults_of(run) == []


def test_silence_is_unknown_at_the_time_out_and_the_step_is_undone_in_doubt(reserve):
    run = reserve(timeout="300ms")
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", "in_doubt")
    assert called() == ["reserve:action", "reserve:compensation"]
    ended = fetch(run).journal.filter(kind="attempt_ended").first().data
    assert (ended["outcome"], ended["code"]) == ("unknown", "timed_out")
    assert ended["message"] == "inventory has not called back in time."
    assert faults_of(run) == []


def test_a_callback_after_the_time_out_settles_the_step(reserve):
    run = reserve(timeout="300ms", more="in_doubt: ask")
    drive(is_at(run, "needs_attention"))
    assert call_back(token(), Succeeded({"ok": 3})).heard is Heard.COUNTED
    drive()
    assert (fetch(run).status, step(run, "reserve").output) == ("completed", {"ok": 3})
    assert fetch(run).journal.get(kind="late_report_received").data["settles"]
    assert faults_of(run) == []


def test_after_the_time_out_the_probe_is_asked(reserve):
    ANSWERS["reserve:probe"] = Succeeded({"found": 1})
    run = reserve(timeout="300ms", probe=PROBE)
    drive()
    assert (fetch(run).status, called()) == ("completed", ["reserve:action", "reserve:probe"])
    assert CALLED[1][1].callback_url == ""
    assert faults_of(run) == []


def test_a_compensation_is_called_back_about_as_well_and_a_late_success_of_the_action_hangs(reserve):
    run = reserve(timeout="300ms")
    ANSWERS["reserve:compensation"] = accept
    drive(waits(run, phase="compensation"))
    kept = call_back(token(0), Succeeded({"late": True}))
    assert (kept.heard, "kept as evidence" in kept.why) == (Heard.KEPT, True)
    assert call_back(token(0), Succeeded({"late": True})).heard is Heard.KNOWN
    assert call_back(token(1), Succeeded()).heard is Heard.COUNTED
    drive()
    assert fetch(run).status == "compensated"
    assert faults_of(run) == []


def test_a_success_told_after_the_run_was_undone_is_kept_and_shown_to_hang(reserve):
    run = reserve(timeout="300ms")
    drive()
    found = call_back(token(0), Succeeded())
    assert (found.heard, found.why) == (Heard.ENDED, "The run has ended: it is compensated.")
    assert call_back(token(0), Succeeded()).heard is Heard.ENDED
    drive()
    row = fetch(run)
    assert (row.status, row.is_hanging, row.due_at, row.inbox_last) == ("compensated", True, None, 1)
    assert faults_of(run) == []


def test_a_lost_lease_does_not_touch_what_waits_for_a_callback(reserve):
    run = reserve()
    drive(waits(run))
    SagaRun.objects.filter(id=run.id).update(token=F("token") + 1, lease_until=None)
    make_due(run)
    drive(lambda: fetch(run).token >= 3 and waits(run)())
    assert kinds(run).count("attempt_started") == 1
    assert call_back(token(), Succeeded()).heard is Heard.COUNTED
    drive()
    assert fetch(run).status == "completed"
    assert faults_of(run) == []


def test_a_run_that_is_cancelled_waits_a_minute_at_most(reserve, monkeypatch):
    run = reserve(timeout="1h")
    drive(waits(run))
    order(run, Verb.CANCEL)
    drive(lambda: fetch(run).is_turning and waits(run)())
    turned = fetch(run).journal.get(kind="turn_requested").at
    assert fetch(run).due_at == step(run, "reserve").next_attempt_at == turned + timedelta(seconds=60)
    assert faults_of(run) == []
    assert call_back(token(), Succeeded()).heard is Heard.COUNTED
    drive()
    assert (fetch(run).status, called()[-1]) == ("compensated", "reserve:compensation")
    assert faults_of(run) == []


def test_when_that_minute_is_over_the_step_is_in_doubt(reserve, monkeypatch):
    monkeypatch.setattr(evolve_callbacks, "CALLBACK_DRAIN_S_MAX", 0.3)
    run = reserve(timeout="1h")
    drive(waits(run))
    order(run, Verb.CANCEL)
    drive()
    assert (fetch(run).status, step(run, "reserve").status) == ("compensated", "in_doubt")


def test_the_time_runs_out_while_the_run_is_paused_too(reserve):
    run = reserve(timeout="1500ms", attempts=2)
    drive(waits(run))
    order(run, Verb.PAUSE)
    drive(lambda: step(run, "reserve").status == "retrying" and fetch(run).lease_until is None)
    assert (len(CALLED), fetch(run).due_at) == (1, None)
    assert call_back(token(), Succeeded()).heard is Heard.COUNTED
    order(run, Verb.RESUME)
    drive()
    assert (fetch(run).status, len(CALLED)) == ("completed", 1)
    assert faults_of(run) == []


def test_a_terminated_run_has_ended_for_the_service_and_what_it_says_is_kept(reserve):
    run = reserve()
    drive(waits(run))
    order(run, Verb.TERMINATE)
    assert step(run, "reserve").status == "in_doubt"
    assert call_back(token(), Succeeded()).heard is Heard.ENDED
    drive()
    assert (fetch(run).status, kinds(run)[-1]) == ("terminated", "late_report_received")
    assert faults_of(run) == []


def test_each_item_of_a_list_is_called_back_about_by_itself(saga):
    source = """
saga: each
steps:
  - name: each
    for_each: [1, 2, 3]
    action: {http: {service: inventory, path: "/items/${item}", async: true}}
    compensation: none
"""
    ANSWERS["each:action"] = accept
    run = start_run(saga(source=source), {}).run
    drive(lambda: len(CALLED) == 3 and fetch(run).steps.filter(status="waiting").count() == 3)
    for call in sorted((call for _, call in CALLED), key=lambda call: -call.item):
        assert call_back(token_of(call), Succeeded(call.item)).heard is Heard.COUNTED
    drive()
    assert fetch(run).status == "completed"
    outputs = dict(fetch(run).steps.exclude(item=NO_ITEM).values_list("item", "output"))
    assert outputs == {0: 0, 1: 1, 2: 2}
    assert faults_of(run) == []


def test_what_is_redacted_is_sealed_before_it_waits(saga):
    source = RESERVE.format(
        name="hidden", attempts=1, timeout="20s", more="", probe="redact: [output.secret, with.id]"
    ).replace("{id: 1}", "{id: top-secret-id}")
    run = start_run(saga(source=source), {}).run
    drive(waits(run))
    assert CALLED[0][1].arguments["body"] == {"id": "top-secret-id"}
    call_back(token(), Succeeded({"secret": "hush-hush", "n": 1}))
    drive()
    assert fetch(run).status == "completed"
    with connections["default"].cursor() as cursor:
        for table, columns in {
            "sagas_order": "details", "sagas_steprun": "halves, output", "sagas_journalentry": "data"
        }.items():  # fmt: skip
            cursor.execute(f"SELECT {columns} FROM {table}")
            told = str(cursor.fetchall())
            assert "hush-hush" not in told, table
            if table != "sagas_sagaversion":
                assert "top-secret-id" not in told, table
    assert faults_of(run) == []


# ---- what is refused ----


def test_a_token_of_a_run_that_is_gone_or_of_an_attempt_that_never_was_is_nobodys(reserve):
    run = reserve()
    drive(waits(run))
    never = AttemptKey("reserve", NO_ITEM, Phase.ACTION, 2)
    for run_id, attempt in ((uuid4(), never), (run.id, never), (run.id, never._replace(step="nope", number=1))):
        with pytest.raises(CallbackUnknownError):
            call_back(callback_token.make_token(run_id, attempt, 1), Succeeded())
    assert not Order.objects.exists()


def test_what_cannot_be_kept_is_refused_and_the_token_still_holds(reserve):
    run = reserve()
    drive(waits(run))
    with pytest.raises(InputInvalidError):
        call_back(token(), Succeeded("x" * 300_000))
    assert call_back(token(), Succeeded()).heard is Heard.COUNTED
    drive()
    assert fetch(run).status == "completed"


# ---- what people are told -------------------------------------------------------------


def test_pages_say_who_is_waited_for_and_until_when(reserve, client, django_user_model):
    run = reserve()
    drive(waits(run))
    make_beat(timezone.now())
    boss = django_user_model.objects.create_superuser("erin")
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/runs/{run.id}/").content.decode()
    assert "“Reserve” waits for inventory to call back, since" in page
    assert "inventory has taken “Reserve” on and is to call back, until" in page
    assert "for inventory to call back" in page
    one = client.get(f"/runs/{run.id}/steps/reserve/").content.decode()
    assert "POST inventory /orders" in one
    told = client.get(f"/api/v1/runs/{run.id}/").json()
    assert told["waiting_for"] == "callback"
    assert told["steps"][0]["waits_for"]["for"] == "callback"
    assert told["why"]["text"].startswith("“Reserve” waits for inventory to call back")


def test_pages_say_so_of_a_compensation_too(reserve, client, django_user_model):
    run = reserve(timeout="300ms")
    ANSWERS["reserve:compensation"] = accept
    drive(waits(run, phase="compensation"))
    make_beat(timezone.now())
    boss = django_user_model.objects.create_superuser("erin")
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/runs/{run.id}/").content.decode()
    assert "“Undo Reserve” waits for inventory to call back, since" in page


def test_where_nobody_can_say_what_is_redacted_all_that_is_told_is_sealed(reserve, monkeypatch):
    run = reserve()
    drive(waits(run))
    monkeypatch.setattr(callbacks, "law_of", lambda _version: Law(None, "its code is gone"))
    call_back(token(), Succeeded({"secret": "hush-hush"}))
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT details FROM sagas_order")
        assert "hush-hush" not in str(cursor.fetchall())
    drive()
    assert (fetch(run).status, step(run, "reserve").output) == ("completed", {"secret": "hush-hush"})
    assert faults_of(run) == []
