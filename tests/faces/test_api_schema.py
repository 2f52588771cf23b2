"""The OpenAPI document says what the API does, and the page shows it without anything from elsewhere."""

from __future__ import annotations

import copy
import re

import jsonschema_rs
import pytest
from django.urls import get_resolver
from django.utils import timezone

from sagas.api.docs import make_schema
from sagas.core import vocabulary
from sagas.core.vocabulary import Role
from tests import factories
from tests.faces.conftest import SOURCE, Api, sign_in


def schema_of(path: str, method: str, status: int, media: str = "application/json") -> dict:
    """Return the schema of one answer, with what it refers to."""
    document = make_schema()
    shape = document["paths"][path][method]["responses"][str(status)]["content"][media]["schema"]
    return {**copy.deepcopy(shape), "components": document["components"]}


def assert_fits(answer, path: str, method: str) -> None:
    """The answer is one that the document promises."""
    media = answer.headers["Content-Type"]
    schema = closed(schema_of(path, method, answer.status_code, media))
    errors = [f"{error.instance_path}: {error.message}" for error in jsonschema_rs.iter_errors(schema, answer.json())]
    assert errors == []


def closed(schema: dict) -> dict:
    """Refuse members that the document does not name (problems may have more)."""
    schema = copy.deepcopy(schema)
    for name, shape in schema["components"]["schemas"].items():
        if "properties" in shape and name != "Problem":
            shape["additionalProperties"] = False
    return schema


def test_the_document_is_made_without_a_warning(capsys):
    make_schema.cache_clear()
    make_schema()
    assert capsys.readouterr().err == ""


def test_the_document_is_openapi_3_1_with_named_enums(api):
    document = api.get("schema/").json()
    assert document["openapi"].startswith("3.1")
    for name in ("RunStatus", "StepStatus", "CompensationStatus", "Direction", "Phase", "OutcomeKind", "Verb"):
        words = [word.value for word in getattr(vocabulary, name)]
        assert document["components"]["schemas"][name]["enum"] == words


def test_every_address_is_in_the_document():
    named = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", "/" + route)
        for route in _routes(get_resolver())
        if route.startswith("api/v1/") and not route.startswith(("api/v1/schema", "api/v1/docs"))
    }
    assert set(make_schema()["paths"]) == named


def _routes(resolver, prefix: str = "") -> list[str]:
    found = []
    for one in resolver.url_patterns:
        route = prefix + str(one.pattern)
        found += _routes(one, route) if hasattr(one, "url_patterns") else [route]
    return [route for route in found if "^" not in route]


def test_every_operation_says_how_it_is_refused():
    for path, methods in make_schema()["paths"].items():
        for method, operation in methods.items():
            refusals = {
                code for code, one in operation["responses"].items() if "application/problem+json" in one["content"]
            }
            is_open = path == "/api/v1/callbacks/{token}/"  # the address is the right
            assert {"400", "503", *(() if is_open else ("401", "403"))} <= refusals, (path, method)
            if "requestBody" in operation:
                assert {"413", "415", "422"} <= refusals, (path, method)
            assert bool(operation.get("security")) != is_open


@pytest.mark.parametrize("teller", factories.EVERY_STATE)
def test_a_run_in_every_state_fits_the_document(api, teller):
    run = teller(timezone.now())
    assert_fits(api.get(f"runs/{run.id}/"), "/api/v1/runs/{run_id}/", "get")
    assert_fits(api.get("runs/"), "/api/v1/runs/", "get")
    assert_fits(api.get(f"runs/{run.id}/journal/"), "/api/v1/runs/{run_id}/journal/", "get")


def test_answers_fit_the_document(saga):
    api = Api(Role.AUTHOR)
    start = {"saga": "order", "input": {"order_id": "1"}, "key": "k"}
    assert_fits(api.post("runs/", start), "/api/v1/runs/", "post")
    assert_fits(api.post("runs/", start), "/api/v1/runs/", "post")
    assert_fits(api.post("runs/", {**start, "input": {"order_id": "2"}}), "/api/v1/runs/", "post")
    assert_fits(api.post("runs/", {"saga": 5}), "/api/v1/runs/", "post")
    run = api.get("runs/").json()["results"][0]["id"]
    assert_fits(api.post(f"runs/{run}/retry/"), "/api/v1/runs/{run_id}/retry/", "post")
    assert_fits(api.post(f"runs/{run}/cancel/"), "/api/v1/runs/{run_id}/cancel/", "post")
    assert_fits(api.get("sagas/"), "/api/v1/sagas/", "get")
    assert_fits(api.get("sagas/order/"), "/api/v1/sagas/{saga}/", "get")
    assert_fits(api.get("sagas/order/versions/"), "/api/v1/sagas/{saga}/versions/", "get")
    assert_fits(api.get("sagas/order/versions/1/"), "/api/v1/sagas/{saga}/versions/{number}/", "get")
    assert_fits(api.put("sagas/order/", SOURCE), "/api/v1/sagas/{saga}/", "put")
    assert_fits(api.put("sagas/order/", "saga: order"), "/api/v1/sagas/{saga}/", "put")
    for text in (SOURCE, "saga: order"):
        answer = api.post("sagas/validate/", text.encode(), "application/yaml")
        assert_fits(answer, "/api/v1/sagas/validate/", "post")


def test_the_page_shows_every_operation_and_needs_no_script(db):
    page = sign_in("bob").get("/api/v1/docs/")
    text = page.content.decode()
    for path, methods in make_schema()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in text
    assert not re.search(r"<script(?![^>]*\bsrc=\"/)", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    assert page.headers["Content-Security-Policy"]
