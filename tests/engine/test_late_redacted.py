"""What late reports tell is hidden where the step says so: in the inbox, in the journal, in the step."""

from __future__ import annotations

import threading

import pytest

from sagas import NoEffect
from sagas.catalog.publish import publish
from sagas.core.vocabulary import Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import Order
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, state_of
from tests.redacted import (
    BEHAVIOUR,
    CALLS,
    INPUT,
    SOURCE,
    TOKEN,
    assert_no_table_tells,
    refuse_telling,
)
from tests.running import wait_for

SLOW = SOURCE.replace("KIND", "call").replace(
    "    redact: [with.card.number",
    "    timeout: 300ms\n    retry: {attempts: 2, initial: 1h, max: 1h}\n    redact: [with.card.number",
)


@pytest.fixture
def late(transactional_db):
    """Start a run whose payment comes back when the test says so, and does what it is told; return run and gate."""
    gate = threading.Event()
    CALLS.clear()
    BEHAVIOUR.clear()

    def begin(then=lambda _call, _arguments: {"token": TOKEN, "id": 7}):
        def behave(call, arguments):
            gate.wait(30)
            return then(call, arguments)

        BEHAVIOUR["pay:action"] = behave
        publish(SLOW, by="tests")
        run = start_run("charge", INPUT).run
        drive(lambda: fetch(run).steps.filter(step="pay", status="retrying").exists())
        return run, gate

    yield begin
    gate.set()


def fail_telling(_call, arguments):
    raise NoEffect(f"not reached: {arguments}", details={"sent": arguments})


def come_back(run, gate):
    """Let the payment come back while nobody drives the run."""
    gate.set()
    wait_for(lambda: Order.objects.filter(run_id=run.id, verb="report").exists(), "the report")
    assert_no_table_tells()


def test_a_late_success_is_sealed_on_its_way_and_opened_for_what_follows(late):
    run, gate = late()
    come_back(run, gate)
    drive()
    assert fetch(run).status == "completed"
    assert CALLS[-1] == ("ship:action", {"bearer": f"Bearer {TOKEN}", "order": "A-1"})
    assert_no_table_tells()
    assert faults_of(run) == []


def test_a_late_refusal_tells_no_secret(late):
    run, gate = late(refuse_telling)
    come_back(run, gate)
    drive()
    assert fetch(run).status == "compensated"
    assert "•••" in state_of(run).reason["message"]
    assert_no_table_tells()
    assert faults_of(run) == []


def test_a_late_failure_that_waits_while_the_run_is_terminated_tells_no_secret(late):
    run, gate = late(fail_telling)
    come_back(run, gate)
    give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="enough"))
    entry = fetch(run).journal.get(kind="late_report_received").data
    assert entry["code"] == "no_effect"
    assert "•••" in entry["message"]
    assert_no_table_tells()
    assert faults_of(run) == []


def test_what_is_said_while_a_newer_attempt_is_in_flight_is_sealed_with_the_step(late):
    run, gate = late()
    held = threading.Event()
    first = BEHAVIOUR["pay:action"]
    BEHAVIOUR["pay:action"] = lambda call, arguments: held.wait(30) and first(call, arguments)
    give_order(run.id, Verb.RETRY, by="alice")

    def heard():
        if ("pay:action" in [key for key, _ in CALLS][1:]) and not gate.is_set():
            gate.set()
        row = fetch(run).steps.get(step="pay")
        return row.halves["action"].get("late") == "succeeded"

    drive(heard)
    assert_no_table_tells()
    held.set()
    drive(lambda: fetch(run).inbox_done == 3 and fetch(run).status == "completed")
    assert fetch(run).status == "completed"
    assert state_of(run).output == {"token": TOKEN, "order": "A-1"}
    assert_no_table_tells()
    assert faults_of(run) == []
