"""Simulations over REST: what they answer, what they refuse, and that they stay small."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.core.vocabulary import Role
from sagas.models import Saga, SagaRun
from tests.choreography.documents import WATCHED
from tests.faces.conftest import SOURCE, Api
from tests.faces.test_api_guard import ANY_JSON, assert_problem
from tests.faces.test_api_schema import assert_fits

PATH = "/api/v1/sagas/simulate/"
DOCUMENT = {
    "saga": "tiny",
    "steps": [
        {"name": "pay", "action": "a.pay", "compensation": {"action": "a.refund"}},
        {"name": "ship", "action": "a.ship", "compensation": "none"},
    ],
}


@pytest.fixture
def viewer(db) -> Api:
    """A program that may only read."""
    return Api(Role.VIEWER, "viewer")


def test_a_posted_document_is_simulated_and_nothing_is_stored(viewer):
    for document in (DOCUMENT, json.dumps(DOCUMENT, indent=1)):
        answer = viewer.post("sagas/simulate/", {"document": document, "input": {}, "faults": {"ship": "rejected"}})
        assert_fits(answer, PATH, "post")
        found = answer.json()
        assert (found["status"], found["undone"], found["leftovers"]) == ("compensated", ["pay"], [])
        assert found["trace"][-1]["kind"] == "run_compensated"
    assert not Saga.objects.exists()
    assert not SagaRun.objects.exists()


def test_a_published_saga_is_simulated_by_name_and_version(viewer, saga):
    for more in ({}, {"version": 1}, {"input": {"order_id": "7"}}):
        found = viewer.post("sagas/simulate/", {"saga": "order", "faults": {"ship": "unknown"}, **more}).json()
        assert (found["status"], found["leftovers"][0]["step"]) == ("compensated", "ship")
    assert found["input"] == {"order_id": "7"}
    assert not SagaRun.objects.exists()


def test_a_choreography_is_simulated_with_what_services_tell_and_events_from_outside(viewer):
    body = {"document": WATCHED, "faults": {"ship": "rejected", "restore_stock": "never"}}
    answer = viewer.post("sagas/simulate/", body)
    assert_fits(answer, PATH, "post")
    found = answer.json()
    assert (found["status"], found["undone"], found["undone_by"]) == ("needs_attention", [], [])
    assert found["missing"] == [{"reaction": "restore_stock", "events": ["stock.restored"], "services": ["inventory"]}]
    told = [{"type": "stock.restored", "at_s": 5}, {"type": "order.placed", "early": True, "data": {"order_id": "9"}}]
    found = viewer.post("sagas/simulate/", {**body, "events": told}).json()
    assert (found["status"], found["input"]) == ("compensated", {"order_id": "9"})
    assert found["undone_by"] == ["restore_stock", "refund_payment"]
    assert not SagaRun.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"saga": "order", "document": DOCUMENT}, "/document"),
        ({"document": DOCUMENT, "version": 1}, "/version"),
        ({"saga": "oder"}, "/saga"),
        ({"saga": "order", "version": 7}, "/version"),
        ({"saga": "order", "version": "1"}, "/version"),
        ({"saga": "order", "input": {}}, "/input/order_id"),
        ({"saga": "order", "input": {"order_id": "x" * 300_000}}, "/input"),
        ({"saga": "order", "faults": {"shp": "failed"}}, "/faults/shp"),
        ({"saga": "order", "faults": "failed"}, "/faults"),
        ({"saga": "order", "fault": {}}, "/fault"),
        ({"saga": "order", "orders": []}, "/orders"),
        ({"document": {**DOCUMENT, "steps": []}}, "/document/steps"),
        ({"document": 5}, "/document"),
        ({"document": DOCUMENT, "events": [{"type": "paid"}]}, "/events/0"),
        ({"document": WATCHED, "events": {"type": "order.shipped"}}, "/events"),
        ({"document": WATCHED, "events": ["order.shipped"]}, "/events"),
        ({"document": WATCHED, "events": [{"type": "order.shiped"}]}, "/events/0/type"),
        (
            {"document": WATCHED, "events": [{"type": "order.shipped", "verb": "cancel", "step": "ship"}]},
            "/events/0/step",
        ),
        ({"document": WATCHED, "events": [{"type": "order.shipped"}] * 101}, "/events"),
        ({"document": WATCHED, "faults": {"ship": "failed"}}, "/faults/ship"),
        ({"document": WATCHED, "input": {}}, "/input"),
        ({"document": "a: ["}, "/document"),
        ({"document": {**DOCUMENT, "input": {"type": "string", "pattern": "^[0-9]$"}}}, "/input"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_its_place(viewer, saga, body, pointer):
    problem = assert_problem(viewer.post("sagas/simulate/", body), 422, "invalid")
    assert problem["errors"][0]["pointer"] == pointer


def test_only_json_is_read(viewer):
    assert_problem(viewer.post("sagas/simulate/", SOURCE.encode(), "application/yaml"), 415, "unsupported-media-type")


def worst(steps: int, **more) -> dict:
    """Return a document that keeps the decider busy."""
    one = {"action": "a.b", "compensation": {"action": "a.c"}, **more}
    return {
        "saga": "worst",
        "deadline": "400d",
        "defaults": {"retry": {"attempts": "forever", "initial": "0s", "max": "0s"}},
        "steps": [{"name": f"s{place}", **one} for place in range(steps)],
    }


@pytest.mark.parametrize(
    ("document", "faults", "value"),
    [
        (worst(200), {"s199": "failed"}, {}),
        (worst(200), {f"s{place}": ["failed"] * 999 for place in range(50)}, {}),
        (worst(200, **{"with": {"all": "${input}", "n": "${size(input.x)}"}}), {}, {"x": "x" * 200_000}),
        (
            worst(1, **{"with": {f"a{n}": "${input.x" + ".map(y, y)" * 8 + ".size()}" for n in range(400)}}),
            {},
            {"x": [1] * 1000},
        ),
        (worst(1, **{"with": {"a": "${input.x}" * 20_000}}), {}, {"x": "x" * 200_000}),
        ({**worst(1), "key": "${input.x.map(y, y).size()}" * 400}, {}, {"x": [1] * 1000}),
        (worst(20, **{"with": {f"a{n}": "${input.x.map(y, y).size()}" for n in range(40)}}), {}, {"x": [1] * 1000}),
    ],
    ids=["for ever at the end", "999 refusals each", "large inputs", "loops", "texts", "a key", "few loops"],
)
def test_the_worst_simulation_is_cut_short_or_refused(viewer, document, faults, value):
    answer = viewer.post("sagas/simulate/", {"document": document, "input": value, "faults": faults})
    assert answer.status_code in {200, 422}  # cut short, or refused for what it would cost
    assert len(answer.content) < 4_000_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.fixed_dictionaries({"document": st.just(DOCUMENT)}, optional={"input": ANY_JSON, "faults": ANY_JSON})
    | st.fixed_dictionaries({"document": ANY_JSON})
    | st.fixed_dictionaries({"document": st.just(DOCUMENT), "faults": st.dictionaries(st.just("pay"), ANY_JSON)})
    | st.fixed_dictionaries({"document": st.just(WATCHED)}, optional={"input": ANY_JSON, "events": ANY_JSON})
    | st.fixed_dictionaries(
        {
            "document": st.just(WATCHED),
            "events": st.lists(
                st.fixed_dictionaries(
                    {"type": st.just("payment.taken")},
                    optional=dict.fromkeys(("data", "id", "at_s", "early", "during"), ANY_JSON),
                )
            ),
        }
    )
)
def test_no_body_whatever_is_a_fault_of_the_server(viewer, body):
    assert viewer.post("sagas/simulate/", body).status_code in {200, 400, 422}
