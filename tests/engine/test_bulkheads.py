"""Before a service: runs wait there while it is held, sick or full, and nobody else waits with them."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone

from sagas.core.outcome import Error, Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import Verb
from sagas.engine import breaker, pump, room, service_calls
from sagas.engine.commands import start_run
from sagas.models import JournalEntry, PumpSlot, SagaRun, Service, ServiceMinute, ServiceState, StepRun
from sagas.presentation.why import why
from sagas.queries.run_detail import find_run_detail
from tests.engine.conftest import drive
from tests.engine.services import ANSWERS, CALLED, FakeHttp, called, make_service
from tests.engine.stored_run import faults_of
from tests.engine.test_orders import order

pytestmark = pytest.mark.django_db(transaction=True)

SOURCE = """
saga: {name}
steps:
  - name: pay
    action: {{http: {{service: payments, path: /payments}}}}
    compensation: {{action: {{http: {{service: payments, path: /refunds}}}}}}
  - name: reserve
    action: {{http: {{service: {service}, path: /orders}}}}
    timeout: 5s
    retry: {{attempts: {attempts}, initial: 10ms, max: 10ms, factor: 1, jitter: 0}}
    compensation: {{action: {{http: {{service: {service}, path: /undo}}}}}}
"""


@pytest.fixture(autouse=True)
def _services(monkeypatch):
    ANSWERS.clear()
    CALLED.clear()
    monkeypatch.setattr(service_calls, "make_http", FakeHttp)
    monkeypatch.setattr(service_calls, "HELD_S", 0.1)
    monkeypatch.setattr(service_calls, "FULL_S", 0.05)
    monkeypatch.setattr(service_calls, "KNOWN_FOR_S", 0.05)
    make_service("payments")


@pytest.fixture
def begin(saga):
    def make(count=1, service="inventory", attempts=3):
        name = saga(source=SOURCE.format(name=f"order-{service}", service=service, attempts=attempts))
        return [start_run(name, {}).run for _ in range(count)]

    return make


def status(run):
    return SagaRun.objects.get(id=run.id).status


def waits(run, code):
    found = StepRun.objects.filter(run=run, step="reserve").first()
    return found is not None and found.status == "retrying" and found.error["code"] == code


def attempts_sent(run):
    return [key for key, call in CALLED if call.run_id == str(run.id)]


def test_runs_wait_before_a_held_service_and_go_on_when_it_is_released(begin):
    make_service(is_held=True, held_by="alice", held_reason="stock-taking")
    runs = begin(3)
    drive(lambda: all(waits(run, "service_held") for run in runs))
    assert "reserve:action" not in called()
    assert StepRun.objects.filter(step="reserve").first().error["message"] == (
        "inventory is held by alice: stock-taking"
    )
    assert {status(run) for run in runs} == {"running"}
    Service.objects.filter(name="inventory").update(is_held=False)
    drive()
    assert {status(run) for run in runs} == {"completed"}
    assert [attempts_sent(run) for run in runs] == [["pay:action", "reserve:action"]] * 3
    assert [faults_of(run) for run in runs] == [[], [], []]


def test_waiting_uses_up_no_attempt_and_undoes_nothing(begin):
    make_service(is_held=True)
    (run,) = begin(attempts=1)
    ends = JournalEntry.objects.filter(run=run, kind="attempt_ended", data__step="reserve")
    drive(lambda: ends.count() > 4)
    assert status(run) == "running"
    assert not [key for key in called() if "compensation" in key]
    Service.objects.filter(name="inventory").update(is_held=False)
    drive()
    assert status(run) == "completed"


def test_a_cancelled_run_does_not_undo_what_waited_before_a_service(begin):
    make_service(is_held=True)
    (run,) = begin()
    drive(lambda: waits(run, "service_held"))
    order(run, Verb.CANCEL, reason="no")
    drive()
    assert status(run) == "compensated"
    assert attempts_sent(run) == ["pay:action", "pay:compensation"]


def test_a_compensation_waits_before_a_held_service_too(begin):
    make_service()
    (run,) = begin()

    def hold():
        Service.objects.filter(name="payments").update(is_held=True)
        connections.close_all()

    async def no_after_a_while(_call):
        await sync_to_async(hold)()
        await asyncio.sleep(0.3)  # until the pump has read it
        return Rejected(Error("no", "no"))

    ANSWERS["reserve:action"] = no_after_a_while
    undo = StepRun.objects.filter(run=run, step="pay", compensation_status="retrying")
    drive(undo.exists)
    assert undo.get().error["code"] == "service_held"
    assert status(run) == "compensating"
    Service.objects.filter(name="payments").update(is_held=False)
    drive()
    assert status(run) == "compensated"


def test_one_sick_service_holds_its_own_runs_and_nobody_elses(begin, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_PAUSE", breaker.LONGEST_PAUSE)
    make_service()
    make_service("other")
    ANSWERS["reserve:action"] = lambda call: (
        Unknown(Error("timed_out", "no answer")) if "inventory" in call.saga else Succeeded()
    )
    sick = begin(12, attempts=50)
    well = begin(30, service="other")
    drive(lambda: all(status(run) == "completed" for run in well) and all(waits(run, "service_sick") for run in sick))
    assert ServiceState.objects.get(service__name="inventory").breaker == "open"
    assert {status(run) for run in sick} == {"running"}
    sent = len([key for key, call in CALLED if key == "reserve:action" and "inventory" in call.saga])
    drive(lambda: JournalEntry.objects.filter(run=sick[0]).exists())
    assert len([key for key, call in CALLED if key == "reserve:action" and "inventory" in call.saga]) == sent


def test_a_service_that_is_well_again_gets_its_runs_back(begin, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_PAUSE", breaker.FIRST_PAUSE / 20)
    make_service()
    answers = {"is_sick": True}
    ANSWERS["reserve:action"] = lambda _call: (
        Unknown(Error("timed_out", "no answer")) if answers["is_sick"] else Succeeded()
    )
    runs = begin(8, attempts=500)
    drive(lambda: any(waits(run, "service_sick") for run in runs))
    answers["is_sick"] = False
    drive()
    assert {status(run) for run in runs} == {"completed"}
    assert ServiceState.objects.get(service__name="inventory").breaker == "closed"


def test_a_service_that_says_no_is_not_sick(begin):
    make_service()
    ANSWERS["reserve:action"] = Rejected(Error("no", "no"))
    runs = begin(12)
    drive()
    assert {status(run) for run in runs} == {"compensated"}
    assert ServiceState.objects.get(service__name="inventory").breaker == "closed"
    minutes = ServiceMinute.objects.filter(service__name="inventory")
    assert (sum(one.calls for one in minutes), sum(one.refusals for one in minutes)) == (12, 12)
    assert sum(one.failures for one in minutes) == 0


def test_no_more_calls_are_in_flight_than_a_service_takes(begin):
    make_service(max_concurrency=3)
    under_way, most = 0, 0

    async def slowly(_call):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return Succeeded()

    ANSWERS["reserve:action"] = slowly
    runs = begin(25)
    drive()
    assert {status(run) for run in runs} == {"completed"}
    assert most == 3


def test_a_service_that_takes_every_call_and_answers_none_leaves_hands_free_for_others(begin, monkeypatch):
    monkeypatch.setattr(room, "CALLS_MAX", 2)
    monkeypatch.setattr(pump, "HELD_MAX", 4)
    monkeypatch.setattr(service_calls, "IN_LINE_S", 0.05)
    make_service(max_concurrency=10_000)
    make_service("other")

    given_up: list[str] = []

    async def never(call):
        try:
            await asyncio.sleep(60 if "inventory" in call.saga else 0)
        except asyncio.CancelledError:
            given_up.append(call.run_id)
            raise
        return Succeeded()

    ANSWERS["reserve:action"] = never
    sick = begin(8)
    drive(lambda: all(StepRun.objects.filter(run=run, step="reserve").exists() for run in sick))
    given_up.clear()
    (well,) = begin(service="other")
    drive(lambda: given_up or status(well) == "completed")
    assert status(well) == "completed"
    assert {status(run) for run in sick} == {"running"}


def test_what_calls_came_to_is_counted(begin):
    make_service()
    ANSWERS["reserve:action"] = Failed(Error("unreachable", "inventory cannot be reached."), is_retriable=False)
    begin()
    drive()
    (minute,) = ServiceMinute.objects.filter(service__name="inventory")
    state = ServiceState.objects.get(service__name="inventory")
    assert (minute.calls, minute.failures) == (1, 1)
    assert state.last_error == "unreachable: inventory cannot be reached."
    assert state.last_failure_at is not None
    assert state.last_success_at is None
    assert ServiceState.objects.get(service__name="payments").last_success_at is not None


@pytest.mark.parametrize(
    ("outcome", "is_answer"),
    [
        (Succeeded(), True),
        (Rejected(Error("http_422", "")), True),
        (Failed(Error("http_429", "")), True),
        (Unknown(Error("http_409", "")), True),
        (Unknown(Error("http_503", "")), False),
        (Unknown(Error("http_408", "")), False),
        (Unknown(Error("timed_out", "")), False),
        (Failed(Error("unreachable", "")), False),
    ],
)
def test_a_no_is_an_answer_and_silence_is_none(outcome, is_answer):
    assert service_calls.is_answer(outcome) is is_answer


def test_a_person_reads_which_service_is_waited_for(begin):
    make_service(is_held=True, held_by="alice", held_reason="stock-taking")
    (run,) = begin()
    drive(lambda: waits(run, "service_held"))
    row = SagaRun.objects.get(id=run.id)
    assert row.waiting_for == "service"
    PumpSlot.objects.create(group="another", number=0, beat_at=timezone.now())
    said = why(find_run_detail(run.id), timezone.now())
    assert said.code == "service_held"
    assert "“Reserve” waits before its service: inventory is held by alice: stock-taking" in said.text
