"""Events over HTTP: from the official SDK in all three modes, from hostile hands, and what people decide about them."""

from __future__ import annotations

import json

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from sagas.catalog.publish import publish
from sagas.core.limits import EVENT_NAME_LENGTH_MAX, EVENTS_PER_BATCH_MAX
from sagas.core.vocabulary import Role
from sagas.engine.commands import start_run
from sagas.models import EventRoute, Order, SagaEvent, SagaRun
from tests.choreography.documents import WATCHED
from tests.faces.conftest import SOURCE, Api

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


@pytest.fixture
def watched(db):
    """Publish the order choreography of services that act by themselves."""
    return publish(WATCHED, by="tests").version.saga


def attributes(kind="order.placed", event_id="e1", **more):
    return {"id": event_id, "source": "/shop", "type": kind, **more}


def event(kind="order.placed", event_id="e1", order="7", **more):
    return {"specversion": "1.0", **attributes(kind, event_id), "data": {"order_id": order}, **more}


def send(api, message):
    headers = {name: value for name, value in message.headers.items() if name.lower() != "content-type"}
    kind = next(value for name, value in message.headers.items() if name.lower() == "content-type")
    return api.post("events/", message.body, kind, **headers)


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
def test_the_official_sdk_sends_in_structured_and_in_binary_mode(api, watched, write):
    made = CloudEvent(
        {**attributes(), "datacontenttype": "application/json", "subject": "Zürich, 50 %"}, {"order_id": "7"}
    )
    answer = send(api, write(made))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "duplicates": 0})
    stored = SagaEvent.objects.get()
    assert (stored.source, stored.event_id, stored.subject, stored.data) == (
        "/shop", "e1", "Zürich, 50 %", {"order_id": "7"},
    )  # fmt: skip
    assert stored.time is not None
    assert SagaRun.objects.get().key == "7"
    assert send(api, write(made)).json() == {"accepted": 0, "duplicates": 1}


def test_a_batch_is_taken_as_a_whole_or_not_at_all(api, watched):
    made = [
        json.loads(JSONFormat().write(CloudEvent({**attributes(event_id=f"e{number}")}, {"order_id": str(number)})))
        for number in range(3)
    ]
    assert api.post("events/", made, BATCH).json() == {"accepted": 3, "duplicates": 0}
    answer = api.post("events/", [event(event_id="e9"), {**event(event_id="e10"), "type": ""}], BATCH)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/1/type")
    assert SagaEvent.objects.count() == 3


def test_data_in_base64_is_read_by_its_type(api, watched):
    body = {**event(), "datacontenttype": "application/json", "data_base64": "eyJvcmRlcl9pZCI6ICI4In0="}
    del body["data"]
    assert api.post("events/", body, STRUCTURED).status_code == 202
    assert SagaRun.objects.get().key == "8"


BINARY = {"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "/shop", "ce-type": "order.placed"}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("50%25", "50%"), ('"a b"', "a b"), (r'"say \"50%25\""', 'say "50%"'), ('"a', '"a'),
        ("Euro%20%E2%82%AC", "Euro €"), ("%zz", "%zz"),
    ],
)  # fmt: skip
def test_an_attribute_in_a_header_is_read_out_of_its_quotes_and_its_encoding(api, watched, sent, read):
    assert api.post("events/", {"order_id": "7"}, **BINARY, **{"ce-subject": sent}).status_code == 202
    assert SagaEvent.objects.get().subject == read


@pytest.mark.parametrize("sent", ["%ff", "%ED%A0%80", "caf\u00e9"])
def test_a_header_that_is_no_text_is_refused_rather_than_guessed(api, watched, sent):
    answer = api.post("events/", {"order_id": "7"}, **{**BINARY, "ce-id": sent})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:sagaweb:problem:malformed")
    assert "ce-id" in answer.json()["detail"]
    assert not SagaEvent.objects.exists()


def test_data_that_is_no_text_is_kept_in_base64_however_it_is_sent(api, watched):
    kind = {"type": "picture.taken", "datacontenttype": "image/png"}
    body = {**event(event_id="e0"), **kind, "data_base64": "iVBORw0K/w=="}
    del body["data"]
    assert api.post("events/", body, STRUCTURED).status_code == 202
    headers = {**BINARY, "ce-type": "picture.taken"}
    assert api.post("events/", b"\x89PNG\r\n\xff", "image/png", **headers).status_code == 202
    assert list(SagaEvent.objects.values_list("data", flat=True)) == ["iVBORw0K/w==", "iVBORw0K/w=="]


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"specversion": "0.3"}, "/specversion", '`specversion` must be "1.0"; found "0.3".'),
        ({"id": None}, "/id", "`id` is missing."),
        ({"source": 7}, "/source", "`source` must be text that is not empty."),
        ({"type": "a b"}, "/type",
         '`type` must be letters, digits, dashes and dots, such as order.placed; found "a b".'),
        ({"id": "x" * (EVENT_NAME_LENGTH_MAX + 1)}, "/id",
         f"`id` has {EVENT_NAME_LENGTH_MAX + 1} characters; at most {EVENT_NAME_LENGTH_MAX} are allowed."),
        ({"id": "a\nb"}, "/id", "`id` holds characters that cannot be shown."),
        ({"time": "yesterday"}, "/time",
         '`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found "yesterday".'),
        ({"time": "0001-01-01T00:00:00+14:00"}, "/time",
         '`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found "0001-01-01T00:00:00+14:00".'),
        ({"time": "9999-12-31T23:59:59-14:00"}, "/time",
         '`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found "9999-12-31T23:59:59-14:00".'),
        ({"time": "2026-W27-3T09:00:00Z"}, "/time",
         '`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found "2026-W27-3T09:00:00Z".'),
        ({"time": "2026-07-01"}, "/time",
         '`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found "2026-07-01".'),
        ({"Bad-Name": "x"}, "/Bad-Name", "`Bad-Name` is no attribute of CloudEvents: small letters and digits only."),
        ({"data_base64": "!"}, "/data_base64", "An event has `data` or `data_base64`, not both."),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_with_its_place(api, watched, change, pointer, detail):
    answer = api.post("events/", {**event(), **change}, STRUCTURED)
    assert answer.status_code == 422
    assert (pointer, detail) in [(one["pointer"], one["detail"]) for one in answer.json()["errors"]]
    assert not SagaEvent.objects.exists()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415), (b"", "text/plain", 415), (b"{", STRUCTURED, 400), (b"[]", STRUCTURED, 422),
        (b"{}", BATCH, 422), (b'"\xff"', STRUCTURED, 400), (b'"\\u0000"', STRUCTURED, 400), (b"[1]", BATCH, 422),
        (b"[" * 100 + b"]" * 100, BATCH, 400),
    ],
)  # fmt: skip
def test_any_other_body_is_refused(api, watched, body, kind, status):
    assert api.post("events/", body, kind).status_code == status


def test_a_batch_and_its_data_are_bounded(api, watched):
    many = [event(event_id=f"e{number}") for number in range(EVENTS_PER_BATCH_MAX + 1)]
    assert api.post("events/", many, BATCH).status_code == 422
    large = {**event(), "data": {"order_id": "7", "text": "x" * 300_000}}
    answer = api.post("events/", large, STRUCTURED)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/data")
    assert api.post("events/", b"x" * 1_100_000, STRUCTURED).status_code == 413


def test_only_who_may_start_runs_sends_events(db):
    viewer = Api(Role.VIEWER, "reader")
    assert viewer.post("events/", event(), STRUCTURED).status_code == 403
    assert viewer.get("events/").status_code == 200


def test_events_are_listed_by_what_became_of_them(api, watched):
    api.post("events/", [event(), event("payment.taken", "e2", "9"), event("weather.changed", "e3")], BATCH)
    run = SagaRun.objects.get()
    for query, expected in (
        ({}, {"e1", "e2", "e3"}), ({"state": "delivered"}, {"e1"}), ({"state": "buffered"}, {"e2"}),
        ({"state": "orphan"}, {"e3"}), ({"run": str(run.id)}, {"e1"}), ({"type": "payment.taken"}, {"e2"}),
        ({"saga": "order", "key": "9"}, {"e2"}),
    ):  # fmt: skip
        found = api.get("events/", query).json()["results"]
        assert {one["event_id"] for one in found} == expected, query
    assert api.get("events/", {"state": "lost"}).status_code == 400
    assert api.get("events/", {"run": "x"}).status_code == 400


def test_a_parked_event_is_looked_at_again_given_to_a_run_or_dropped(api, watched):
    api.post("events/", [event(event_id=name, order=None) for name in ("a", "b")], BATCH)
    first, second = (SagaEvent.objects.get(event_id=name).id for name in ("a", "b"))
    api.post("events/", event("order.placed", "start", "1"), STRUCTURED)
    run = SagaRun.objects.get()
    assert api.post(f"events/{first}/replay/").json()["routes"][0]["state"] == "uncorrelated"
    answer = api.post(f"events/{first}/assign/", {"run": str(run.id), "reason": "its number is missing"})
    route = answer.json()["routes"][0]
    assert (answer.status_code, route["state"], route["run"], route["by"]) == (
        200, "delivered", str(run.id), "token:robot",
    )  # fmt: skip
    assert Order.objects.filter(run=run).count() == 2
    assert api.post(f"events/{first}/assign/", {"run": str(run.id), "reason": "again"}).status_code == 409
    dropped = api.post(f"events/{second}/drop/", {"reason": "a test"}).json()["routes"][0]
    assert (dropped["state"], dropped["why"], dropped["by"]) == ("dropped", "a test", "token:robot")
    assert api.post(f"events/{second}/drop/", {"reason": "again"}).status_code == 409
    assert api.post(f"events/{second}/drop/", {}).status_code == 422
    assert api.post(f"events/{second}/drop/", {"reason": "  "}).status_code == 422
    assert api.post(f"events/{run.id}/replay/").status_code == 404


def test_an_orphan_finds_its_saga_once_that_is_published_or_is_dropped(api, db):
    api.post("events/", [event(), event(event_id="e2", order="8")], BATCH)
    first, second = SagaEvent.objects.order_by("event_id")
    publish(WATCHED, by="tests")
    assert api.post(f"events/{first.id}/replay/").json()["state"] == "routed"
    assert SagaRun.objects.get().key == "7"
    assert EventRoute.objects.get(event=first).by == "token:robot"
    assert api.post(f"events/{second.id}/drop/", {"reason": "old"}).json()["state"] == "dropped"
    found = api.get("events/", {"state": "dropped"}).json()["results"]
    assert [one["dropped_why"] for one in found] == ["token:robot: old"]


def test_an_event_is_given_only_to_a_run_that_takes_events(api, watched):
    api.post("events/", event("weather.changed"), STRUCTURED)
    row = SagaEvent.objects.get()
    publish(SOURCE.replace("saga: order", "saga: other"), by="tests")
    run = start_run("other", {"order_id": "1"}).run
    for wanted in (run.id, row.id):
        answer = api.post(f"events/{row.id}/assign/", {"run": str(wanted), "reason": "x"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/run")
    assert not EventRoute.objects.exists()


def test_a_run_of_a_choreography_is_not_started_by_a_call(api, watched):
    answer = api.post("runs/", {"saga": "order", "input": {}})
    assert (answer.status_code, "begins with an event" in answer.json()["errors"][0]["detail"]) == (422, True)


def test_a_choreography_is_drafted_from_what_was_seen_and_can_be_published(db):
    author = Api(Role.AUTHOR, "author")
    assert author.get("events/draft/").status_code == 409
    assert author.get("events/draft/", {"name": "Seen order"}).status_code == 400
    for order in ("1", "2"):
        author.post("events/", [
            event("order.placed", f"p{order}", order),
            {**event("order.shipped", f"s{order}", order), "source": "/shipping", "causationid": f"p{order}"},
        ], BATCH)  # fmt: skip
    answer = author.get("events/draft/", {"name": "seen-order"})
    assert answer.status_code == 200
    assert answer.json()["document"]["correlate"] == "${event.data.order_id}"
    assert author.put("sagas/seen-order/", answer.json()["source"]).status_code == 201
    assert Api(Role.OPERATOR, "operator").get("events/draft/").status_code == 403
