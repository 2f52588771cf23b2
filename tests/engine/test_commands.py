"""Commands: written down before they count as taken on, handed over, and answered through the queue of replies."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sagas.engine import outbox, replies
from sagas.engine.commands import start_run
from sagas.models import DeadReply, OutgoingCommand, SagaRun, StepRun
from sagas.sealing import opened
from tests.engine.conftest import drive
from tests.engine.services import make_service

pytestmark = pytest.mark.django_db(transaction=True)

SOURCE = """
saga: tell
steps:
  - name: reserve
    action: {command: {service: inventory, name: reserve-goods}}
    with: {sku: "${input.sku}", card: "${input.card}"}
    timeout: 60s
    compensation: {action: {command: {service: inventory, name: restore-goods}}, with: {sku: "${input.sku}"}}
    REDACT
  - {name: after, action: engine.plain, compensation: none}
"""


@pytest.fixture
def told(saga):
    """Start a run and drive it until its command is written down."""

    def begin(redact=""):
        make_service(kind="command", base_url="amqp://mq.example/")
        source = SOURCE.replace("REDACT", redact)
        run = start_run(saga(source=source), {"sku": 7, "card": "4111"}).run
        drive(lambda: state_of(run)[1] == "callback")
        return run

    return begin


def state_of(run):
    run = SagaRun.objects.get(id=run.id)
    return run.status, run.waiting_for


def reply(correlation, **said):
    raw = json.dumps(said).encode()
    return replies.take(correlation, raw, size_bytes=len(raw), broker="amqp://mq.example/")


def test_a_command_says_what_a_request_says_and_the_run_waits_for_its_reply(told):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    assert row.service == "inventory"
    assert row.message["name"] == "reserve-goods"
    assert row.message["headers"]["Idempotency-Key"] == f"{run.id}:reserve:action"
    assert row.message["headers"]["Saga-Attempt"] == "1"
    assert row.message["body"] == {"sku": 7, "card": "4111"}
    assert (row.expires_at - row.created_at) == timedelta(seconds=60)
    assert len(row.message["correlation"]) <= 255  # what AMQP takes
    assert state_of(run) == ("running", "callback")


def test_a_reply_ends_the_attempt(told):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    assert reply(row.message["correlation"], outcome="succeeded", output={"id": 3})
    drive()
    assert state_of(run)[0] == "completed"
    assert StepRun.objects.get(run=run, step="reserve").output == {"id": 3}


def test_a_reply_that_rejects_turns_the_run_round(told):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    reply(row.message["correlation"], outcome="rejected", error={"code": "short", "message": "Out of stock."})
    drive()
    assert state_of(run)[0] == "compensated"
    assert StepRun.objects.get(run=run, step="reserve").error["message"] == "Out of stock."


def test_a_second_reply_changes_nothing_and_is_no_dead_one(told):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    reply(row.message["correlation"], outcome="succeeded")
    drive()
    sequence = SagaRun.objects.get(id=run.id).sequence
    assert reply(row.message["correlation"], outcome="rejected")
    assert SagaRun.objects.get(id=run.id).sequence == sequence
    assert SagaRun.objects.get(id=run.id).status == "completed"
    assert not DeadReply.objects.exists()


def test_what_is_redacted_is_sealed_until_it_is_handed_over(told):
    told("redact: [with.card]")
    (row,) = OutgoingCommand.objects.all()
    assert "4111" not in json.dumps(row.message, default=str)
    assert opened(row.message["body"]) == {"sku": 7, "card": "4111"}


@pytest.mark.parametrize(
    ("raw", "size", "why"),
    [
        (b"not json", 8, "not JSON"),
        (b"[]", 2, "must be"),
        (b'{"outcome": "maybe"}', 20, "must be"),
        (b'{"outcome": "succeeded", "extra": 1}', 36, "must be"),
        (b'{"outcome": "rejected", "error": {"code": 5}}', 45, "`error`"),
        (b"", 600_000, "600,000 bytes"),
        (b"[" * 100_000, 100_000, "not JSON"),
    ],
)
def test_a_reply_that_says_nothing_readable_is_put_aside_and_the_run_waits_on(told, raw, size, why):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    assert not replies.take(row.message["correlation"], raw, size_bytes=size, broker="amqp://mq.example/")
    (dead,) = DeadReply.objects.all()
    assert why in dead.why
    assert dead.correlation == row.message["correlation"][:12]
    assert state_of(run) == ("running", "callback")


@pytest.mark.parametrize("correlation", ["", "x", "x" * 5_000, "\0\n", "ÿ"])
def test_a_reply_of_no_attempt_is_put_aside(db, correlation):
    assert not reply(correlation, outcome="succeeded")
    assert "correlation" in DeadReply.objects.get().why


def test_commands_are_taken_once_oldest_first_and_again_when_their_courier_died(told):
    told()
    (row,) = OutgoingCommand.objects.all()
    now = row.due_at
    (taken,) = outbox.take(["inventory"], now)
    assert taken.tries == 0
    assert outbox.take(["inventory"], now) == []
    assert outbox.take(["other"], now + outbox.TAKEN) == []
    (again,) = outbox.take(["inventory"], now + outbox.TAKEN)
    assert (again.id, again.tries) == (taken.id, 1)
    outbox.put_back([again], "mq.example: ConnectionRefusedError", now)
    assert OutgoingCommand.objects.get().last_error == "mq.example: ConnectionRefusedError"
    assert outbox.take(["inventory"], now) == []
    assert outbox.take(["inventory"], now + timedelta(seconds=1))
    outbox.dismiss([again.id])
    assert not OutgoingCommand.objects.exists()


def test_a_command_that_no_courier_ever_tried_had_no_effect_and_is_told_so(told):
    run = told()
    (row,) = OutgoingCommand.objects.all()
    replies.not_sent(row)
    drive(lambda: OutgoingCommand.objects.count() == 2)
    first, second = OutgoingCommand.objects.order_by("created_at")
    assert second.message["headers"]["Idempotency-Key"] == first.message["headers"]["Idempotency-Key"]
    assert second.message["headers"]["Saga-Attempt"] == "2"
    assert StepRun.objects.get(run=run, step="reserve").error["code"] == "not_sent"


def test_nothing_is_said_of_a_command_that_may_have_arrived(told):
    run = told()
    row = OutgoingCommand.objects.get()
    row.tries = 1
    replies.not_sent(row)
    assert SagaRun.objects.get(id=run.id).inbox_last == 0
