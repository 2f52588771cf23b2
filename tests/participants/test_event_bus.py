"""What becomes of a message on the exchange of events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

from sagas.participants.event_bus import read

ATTRIBUTES = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "picture.taken"}


IN_HEADERS = {f"cloudEvents_{name}": value for name, value in ATTRIBUTES.items()}


def heard(body, kind, headers):
    return read(SimpleNamespace(body=body, content_type=kind, headers=headers, ack=lambda: None))


def test_data_that_is_no_text_comes_in_base64():
    one = heard(b"\x89PNG\r\n\xff", "image/png", IN_HEADERS)
    assert (one.problems, one.event.data) == ((), "iVBORw0K/w==")


def test_a_time_that_cannot_be_stored_stops_no_event_behind_it():
    body = json.dumps({**ATTRIBUTES, "time": "0001-01-01T00:00:00+14:00"}).encode()
    one = heard(body, "application/cloudevents+json", {})
    assert (one.event, [problem.pointer for problem in one.problems]) == (None, ["/time"])


def test_a_timestamp_of_amqp_is_a_time_and_a_header_that_says_nothing_is_none():
    at = datetime(2026, 7, 1, 9, 0)  # noqa: DTZ001 - as the client library gives it
    one = heard(b"{}", "application/json", IN_HEADERS | {"cloudEvents_time": at, "cloudEvents_subject": None})
    assert (one.problems, one.event.time, one.event.subject) == ((), datetime(2026, 7, 1, 9, 0, tzinfo=UTC), "")
    nameless = heard(b"{}", "application/json", IN_HEADERS | {"cloudEvents_id": None})
    assert [problem.code for problem in nameless.problems] == ["required"]
