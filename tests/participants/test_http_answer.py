"""The table of what an HTTP answer says, row by row."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sagas.core.outcome import Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import Phase
from sagas.participants.base import Accepted
from sagas.participants.http_answer import Answer, Asked, outcome_of, retry_after_s

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
A, C, P = Phase.ACTION, Phase.COMPENSATION, Phase.PROBE
JSON = {"content-type": "application/json"}


def read(status, body=b"", headers=None, *, phase=A, method="POST", fault="", **asked):
    answer = Answer(status, JSON | (headers or {}), body, fault)
    return outcome_of(answer, Asked("inventory", method, phase, **asked), NOW)


ROWS = [
    # status, how it was asked, kind, what more must hold
    (200, {}, Succeeded, {}),
    (201, {}, Succeeded, {}),
    (204, {}, Succeeded, {}),
    (202, {}, Succeeded, {}),
    (202, {"is_async": True}, Accepted, {}),
    (200, {"is_async": True}, Succeeded, {}),
    (401, {}, Failed, {"settles": False}),
    (407, {}, Failed, {}),
    (425, {}, Failed, {}),
    (429, {}, Failed, {}),
    (409, {}, Rejected, {"is_explicit": False}),
    (409, {"is_unsettled": True}, Unknown, {}),
    (408, {}, Unknown, {}),
    (500, {}, Unknown, {}),
    (501, {}, Unknown, {}),
    (502, {}, Unknown, {}),
    (503, {}, Unknown, {}),
    (504, {}, Unknown, {}),
    (599, {}, Unknown, {}),
    (400, {}, Rejected, {"is_explicit": False}),
    (403, {}, Rejected, {"is_explicit": False}),
    (404, {}, Rejected, {"is_explicit": False}),
    (410, {}, Rejected, {"is_explicit": False}),
    (422, {"is_unsettled": True}, Rejected, {"is_explicit": False}),
    (410, {"phase": C}, Succeeded, {}),
    (404, {"phase": C}, Rejected, {}),
    (404, {"phase": C, "method": "DELETE"}, Succeeded, {}),
    (404, {"method": "DELETE"}, Rejected, {}),
    (422, {"phase": C}, Rejected, {}),
    (301, {}, Rejected, {"is_explicit": False}),
    (308, {}, Rejected, {"is_explicit": False}),
    (404, {"phase": P}, Failed, {"settles": True}),
    (500, {"phase": P}, Unknown, {}),
    (401, {"phase": P}, Unknown, {}),
    (200, {"phase": P}, Unknown, {}),
]


@pytest.mark.parametrize(("status", "asked", "kind", "more"), ROWS)
def test_each_status_says_one_thing(status, asked, kind, more):
    outcome = read(status, **asked)
    assert isinstance(outcome, kind)
    assert {name: getattr(outcome, name) for name in more} == more


@pytest.mark.parametrize("status", [200, 202, 302, 409, 422, 500, 503])
def test_a_service_may_say_the_outcome_itself(status):
    said = [read(status, headers={"saga-outcome": word}) for word in ("succeeded", "Rejected ", "failed")]
    assert [type(one) for one in said] == [Succeeded, Rejected, Failed]
    assert said[1].is_explicit
    assert said[2].settles
    assert type(read(status, headers={"saga-outcome": "maybe"})) is type(read(status))
    assert isinstance(read(status, headers={"saga-outcome": "rejected, rejected"}), Rejected)
    assert isinstance(read(status, headers={"saga-outcome": "rejected, succeeded"}), Unknown)


def test_a_body_is_the_output_and_an_empty_one_is_null():
    assert read(200, b'{"a": [1, null, "\\u00fc"]}').output == {"a": [1, None, "ü"]}
    assert read(200, b"").output is None
    assert read(204, b" \n").output is None
    assert read(200, b"3").output == 3


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"<html>", {"content-type": "text/html"}, "bad_reply"),
        (b'{"a": ', {}, "bad_reply"),
        (b'{"a": NaN}', {}, "bad_reply"),
        (b"\xff\xfe", {}, "bad_reply"),
        (b'"\\u0000"', {}, "bad_reply"),
        (b"[" * 200_000, {}, "bad_reply"),
        (json.dumps("x" * 300_000).encode(), {}, "reply_too_large"),
    ],
)
def test_a_success_whose_output_cannot_be_read_is_unknown(body, headers, code):
    outcome = read(200, body, headers)
    assert isinstance(outcome, Unknown)
    assert outcome.error.code == code


def test_a_body_that_was_cut_is_unknown_for_a_success_and_no_matter_for_a_refusal():
    assert isinstance(read(200, fault="is too large"), Unknown)
    assert isinstance(read(422, fault="is too large"), Rejected)


def test_the_reason_is_what_the_service_says_in_a_problem_document():
    headers = {"content-type": "application/problem+json; charset=utf-8"}
    body = json.dumps({"title": "No", "detail": "Out of stock:\n sku\u0007 7"}).encode()
    assert read(422, body, headers).error.message == "Out of stock:  sku  7"
    assert read(422, b'{"title": "No"}', headers).error.message == "No"
    assert read(422, b"[]", headers).error.message == "inventory answered 422 Unprocessable Entity."
    assert read(422, b'{"detail": "shown"}').error.message == "inventory answered 422 Unprocessable Entity."
    assert len(read(422, json.dumps({"detail": "x" * 9_000}).encode(), headers).error.message) <= 1_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999", 3600.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_an_hour_at_most(text, seconds):
    assert retry_after_s(Answer(503, {"retry-after": text}), NOW) == seconds


@pytest.mark.parametrize("status", [429, 503, 408])
def test_retry_after_is_kept_for_the_next_attempt(status):
    assert read(status, headers={"retry-after": "12"}).retry_after_s == 12.0


@pytest.mark.parametrize(
    ("body", "kind", "more"),
    [
        ({"outcome": "succeeded", "output": {"id": 1}}, Succeeded, {"output": {"id": 1}}),
        ({"outcome": "succeeded"}, Succeeded, {"output": None}),
        ({"outcome": "rejected", "detail": "no"}, Rejected, {"is_explicit": True}),
        ({"outcome": "not_done"}, Failed, {"settles": True}),
        ({"outcome": "unknown"}, Unknown, {}),
        ({"outcome": True}, Unknown, {}),
        ([], Unknown, {}),
        (None, Unknown, {}),
    ],
)
def test_a_probe_answers_in_its_body(body, kind, more):
    outcome = read(200, json.dumps(body).encode(), phase=P, method="GET")
    assert isinstance(outcome, kind)
    assert {name: getattr(outcome, name) for name in more} == more
