"""What becomes of a message on the exchange of events."""

from __future__ import annotations

import json
from types import SimpleNamespace

from sagas.participants.event_bus import read

ATTRIBUTES = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "picture.taken"}


def heard(body, kind, headers):
    return read(SimpleNamespace(body=body, content_type=kind, headers=headers, ack=lambda: None))


def test_data_that_is_no_text_comes_in_base64():
    headers = {f"cloudEvents_{name}": value for name, value in ATTRIBUTES.items()}
    one = heard(b"\x89PNG\r\n\xff", "image/png", headers)
    assert (one.problems, one.event.data) == ((), "iVBORw0K/w==")


def test_a_time_that_cannot_be_stored_stops_no_event_behind_it():
    body = json.dumps({**ATTRIBUTES, "time": "0001-01-01T00:00:00+14:00"}).encode()
    one = heard(body, "application/cloudevents+json", {})
    assert (one.event, [problem.pointer for problem in one.problems]) == (None, ["/time"])
