"""Sagas over REST: publish, check, read."""

from __future__ import annotations

import json

import pytest

from sagas.core.vocabulary import Role
from sagas.models import Saga, SagaVersion
from tests.faces.conftest import SOURCE, Api

CHANGED = SOURCE.replace("title: Order", "title: Orders")
AS_JSON = {
    "saga": "tiny",
    "title": "Tiny",
    "steps": [{"name": "pay", "action": "test.pay", "compensation": "none"}],
}


@pytest.fixture
def author(db) -> Api:
    """A program that may publish."""
    return Api(Role.AUTHOR, "author")


def test_new_content_is_a_new_version_and_the_same_content_is_not(author):
    first, again, changed = (author.put("sagas/order/", text) for text in (SOURCE, SOURCE + "# a comment\n", CHANGED))
    assert [answer.status_code for answer in (first, again, changed)] == [201, 200, 201]
    assert [answer.headers["ETag"] for answer in (first, again, changed)] == ['"1"', '"1"', '"2"']
    assert [answer.json()["is_new"] for answer in (first, again, changed)] == [True, False, True]
    assert changed.json()["latest"]["published_by"] == "token:author"
    assert changed.json()["title"] == "Orders"


def test_json_is_the_same_document_as_yaml(author):
    as_json = author.put("sagas/tiny/", json.dumps(AS_JSON), "application/json")
    yaml = "saga: tiny\ntitle: Tiny\nsteps: [{name: pay, action: test.pay, compensation: none}]\n"
    as_yaml = author.put("sagas/tiny/", yaml)
    assert (as_json.status_code, as_yaml.status_code) == (201, 200)
    assert as_json.json()["latest"]["content_hash"] == as_yaml.json()["latest"]["content_hash"]


def test_every_problem_of_a_document_is_named_with_its_place(author):
    bad = SOURCE.replace("title:", "titel:").replace("ship, action:", "pay, action:")
    answer = author.put("sagas/order/", bad)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:sagaweb:problem:invalid")
    assert len(problem["errors"]) >= 2
    assert {"pointer", "detail", "line", "column"} <= set(problem["errors"][0])
    assert not Saga.objects.exists()


def test_a_document_of_another_saga_is_refused(author):
    answer = author.put("sagas/other/", SOURCE)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/saga")
    assert not Saga.objects.exists()


def test_a_publication_from_an_old_base_is_a_conflict(author, saga):
    author.put("sagas/order/", CHANGED)
    newest = CHANGED.replace("Orders", "Orderings")
    by_query = author.put("sagas/order/?base=1", newest)
    by_header = author.put("sagas/order/", newest, **{"If-Match": '"1"'})
    assert (by_query.status_code, by_query.json()["latest"]) == (409, 2)
    assert (by_header.status_code, by_header.json()["latest"]) == (412, 2)
    assert SagaVersion.objects.count() == 2
    assert author.put("sagas/order/?base=2", newest).status_code == 201


def test_a_publication_whose_answer_was_lost_can_be_sent_again(author, saga):
    for condition in ({"If-Match": '"1"'}, {}):
        _, again = (author.put("sagas/order/?base=1", CHANGED, **condition) for _ in range(2))
        assert (again.status_code, again.headers["ETag"]) == (200, '"2"')
    assert SagaVersion.objects.count() == 2


@pytest.mark.parametrize("kind", ["application/json", "application/yaml", "text/plain"])
def test_a_definition_that_is_not_there_is_said_to_be_empty(author, saga, kind):
    for answer in (author.put("sagas/order/", "", kind), author.post("sagas/validate/", b"", kind)):
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:sagaweb:problem:malformed")
        assert answer.json()["detail"].startswith("The body is empty: ")


@pytest.mark.parametrize("base", ["x", "-1", "9" * 40, "", "1.0"])
def test_a_base_is_the_number_of_a_version(author, saga, base):
    assert author.put(f"sagas/order/?base={base}", CHANGED).status_code == 400
    assert SagaVersion.objects.count() == 1


def test_a_document_is_checked_without_being_stored(author):
    good = author.post("sagas/validate/", SOURCE.encode(), "application/yaml").json()
    bad = author.post("sagas/validate/", b"saga: order\n", "application/yaml").json()
    assert (good["is_valid"], good["errors"], good["document"]["saga"]) == (True, [], "order")
    assert (bad["is_valid"], bad["document"]) == (False, None)
    assert bad["errors"][0]["detail"]
    assert not Saga.objects.exists()


def test_a_saga_is_shown_with_its_document_and_its_runs_by_status(author, saga):
    author.post("runs/", {"saga": "order", "input": {"order_id": "1"}})
    found = author.get("sagas/order/").json()
    assert (found["name"], found["version"], found["latest"]["source"]) == ("order", 1, SOURCE)
    assert found["runs_by_status"]["pending"] == 1
    assert sum(found["runs_by_status"].values()) == 1
    assert len(found["runs_by_status"]) == 8


def test_versions_are_listed_newest_first_in_pages(author, saga):
    author.put("sagas/order/", CHANGED)
    first = author.get("sagas/order/versions/", {"page_size": 1}).json()
    second = author.client.get(first["next"]).json()
    assert [row["number"] for row in first["results"] + second["results"]] == [2, 1]
    assert author.get("sagas/order/versions/1/").json()["source"] == SOURCE


def test_sagas_are_listed_by_name_in_pages(author, saga):
    author.put("sagas/tiny/", json.dumps(AS_JSON), "application/json")
    first = author.get("sagas/", {"page_size": 1}).json()
    second = author.client.get(first["next"]).json()
    assert [row["name"] for row in first["results"] + second["results"]] == ["order", "tiny"]
    assert author.client.get(second["previous"]).json()["results"] == first["results"]
    assert "document" not in first["results"][0]


def test_an_unknown_saga_is_told_the_nearest(author, saga):
    answer = author.get("sagas/oder/")
    assert answer.status_code == 404
    assert "Did you mean 'order'?" in answer.json()["detail"]
