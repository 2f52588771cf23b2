"""Replies that carry a right correlation and whatever else: each is taken or put aside, and none breaks the line."""

from __future__ import annotations

import json

import pytest

from sagas.engine import replies
from sagas.models import DeadReply, OutgoingCommand, SagaRun
from tests.engine.conftest import drive
from tests.engine.test_commands import told as told  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.django_db(transaction=True)

BROKER = "amqp://mq.example/"
ASIDE = {
    "nothing": b"",
    "no JSON": b"\x00\xff",
    "a number that is none": b'{"outcome": "succeeded", "output": NaN}',
    "an endless number": b'{"outcome": "succeeded", "output": 1e999}',
    "half a pair": b'{"outcome": "succeeded", "output": "\\ud800"}',
    "half a pair in a key": b'{"outcome": "succeeded", "output": {"\\udfff": 1}}',
    "a NUL": b'{"outcome": "succeeded", "output": {"a": "\\u0000"}}',
    "a NUL in details": b'{"outcome": "failed", "error": {"details": ["\\u0000"]}}',
    "a huge integer": b'{"outcome": "succeeded", "output": ' + b"9" * 4000 + b"}",
    "a number too long to read": b'{"outcome": "succeeded", "output": ' + b"9" * 5000 + b"}",
    "too deep": b'{"outcome": "succeeded", "output": ' + b"[" * 500 + b"]" * 500 + b"}",
    "far too deep": b"[" * 100_000,
    "an outcome that is a list": b'{"outcome": ["succeeded"]}',
    "more than is known": b'{"outcome": "succeeded", "why": 1}',
    "an error that is a list": b'{"outcome": "failed", "error": []}',
    "a code that is a number": b'{"outcome": "failed", "error": {"code": 1}}',
    "an unknown outcome": b'{"outcome": "unknown"}',
}
TAKEN = {
    "what cannot be printed": {
        "outcome": "rejected",
        "error": {"code": "\x00\ud800", "message": "a\x00\n\ud800\u202e"},
    },
    "long words": {"outcome": "rejected", "error": {"code": "c" * 9000, "message": "m" * 90_000}},
}


def take(raw):
    (row,) = OutgoingCommand.objects.all()
    return replies.take(row.message["correlation"], raw, size_bytes=len(raw), broker=BROKER)


def test_replies_that_are_no_outcome_are_put_aside_and_the_attempt_still_waits(told):
    run = told()
    assert {kind: take(raw) for kind, raw in ASIDE.items()} == dict.fromkeys(ASIDE, False)
    assert sorted(DeadReply.objects.values_list("size_bytes", flat=True)) == sorted(map(len, ASIDE.values()))
    assert take(b'{"outcome": "succeeded"}')
    drive()
    assert SagaRun.objects.get(id=run.id).status == "completed"


@pytest.mark.parametrize("kind", TAKEN)
def test_words_that_cannot_be_stored_as_they_are_do_not_stop_an_outcome(told, kind):
    run = told()
    assert take(json.dumps(TAKEN[kind]).encode())
    drive(lambda: SagaRun.objects.get(id=run.id).status == "compensated")


@pytest.mark.parametrize("correlation", ["", "\x00", "\ud800", "x" * 100_000, "AAAA", "é", "a b"])
def test_a_correlation_of_nothing_is_put_aside(db, correlation):
    assert not replies.take(correlation, b'{"outcome": "succeeded"}', size_bytes=24, broker=BROKER)
    assert DeadReply.objects.count() == 1
