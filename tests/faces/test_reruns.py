"""Running a run again: over REST and from its page."""

from __future__ import annotations

import json

import pytest

from sagas.access import make_token
from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, Verb, give_order
from sagas.models import JournalEntry, Saga, SagaRun
from tests.factories import make_user

pytestmark = pytest.mark.django_db

SOURCE = """
saga: lend
key: ${input.order}
input: {type: object, required: [order], properties: {order: {type: string}, days: {type: integer, maximum: 9}}}
steps: [{name: look, action: shop.look, compensation: none}]
"""


@pytest.fixture
def ended():
    """A run that was terminated."""
    publish(SOURCE, by="tests")
    run = start_run("lend", {"order": "7", "days": 3}).run
    return give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="try"))


@pytest.fixture
def headers():
    return {"Authorization": f"Bearer {make_token('tests', Role.OPERATOR, None)}"}


@pytest.fixture
def post(client, headers):
    def send(run, body=None, **more):
        address = f"/api/v1/runs/{getattr(run, 'id', run)}/rerun/"
        return client.post(address, json.dumps(body or {}), "application/json", headers={**headers, **more})

    return send


def test_a_rerun_is_a_new_run_with_the_same_input_and_key(client, headers, ended, post):
    answer = post(ended)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["rerun_of"], body["input"], body["key"]) == (str(ended.id), {"order": "7", "days": 3}, "7")
    assert body["status"] == "pending"
    assert answer["Location"].endswith(f"/runs/{body['id']}/")
    new = SagaRun.objects.get(id=body["id"])
    assert new.start_key == "7~2"
    assert JournalEntry.objects.get(run=new, sequence=1).data["rerun_of"] == str(ended.id)
    origin = client.get(f"/api/v1/runs/{ended.id}/", headers=headers).json()
    assert [one["id"] for one in origin["reruns"]] == [body["id"]]


def test_each_rerun_takes_the_next_start_key_also_beside_keys_that_look_like_one(ended, post):
    start_run("lend", {"order": "7~2"})
    for number in (3, 4):
        assert SagaRun.objects.get(id=post(ended).json()["id"]).start_key == f"7~{number}"


def test_a_rerun_takes_another_input_and_the_latest_version(ended, post):
    publish(SOURCE.replace("maximum: 9", "maximum: 5"), by="tests")
    body = post(ended, {"input": {"order": "8", "days": 5}}).json()
    assert (body["version"], body["input"]["days"], body["key"]) == (2, 5, "7")
    refused = post(ended, {"input": {"order": "8", "days": 6}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/input/days")


def test_the_same_request_key_gives_the_same_new_run(ended, post):
    first = post(ended, **{"Idempotency-Key": "k1"})
    again = post(ended, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert post(ended, {"input": {"order": "9"}}, **{"Idempotency-Key": "k1"}).status_code == 409


def test_only_a_run_that_has_ended_and_stands_alone_is_run_again(ended, post):
    moving = start_run("lend", {"order": "8"}).run
    answer = post(moving)
    assert (answer.status_code, answer.json()["state"]) == (409, "pending")
    assert "has not ended" in answer.json()["detail"]
    SagaRun.objects.filter(id=ended.id).update(parent=moving)
    assert "belongs to another" in post(ended).json()["detail"]
    assert SagaRun.objects.count() == 2


def test_what_cannot_be_run_again_is_said(ended, post):
    assert post("0192b6f0-0000-7000-8000-000000000000").status_code == 404
    assert post(ended, **{"If-Match": '"99"'}).status_code == 412
    assert post(ended, {"inptu": 1}).status_code == 422
    Saga.objects.update(archived_at="2026-01-01T00:00:00Z")
    assert post(ended).status_code == 409
    assert SagaRun.objects.count() == 1


def test_a_run_without_a_key_is_run_again_without_one(post):
    publish(SOURCE.replace("key: ${input.order}\n", ""), by="tests")
    run = start_run("lend", {"order": "7"}).run
    give_order(run.id, Verb.TERMINATE, by="alice", ask=Ask(reason="try"))
    body = post(run).json()
    assert (body["key"], SagaRun.objects.get(id=body["id"]).start_key) == ("", None)


def test_the_page_of_a_run_that_has_ended_offers_to_run_it_again_with_its_input(client, ended):
    client.force_login(make_user("oleg", Role.OPERATOR))
    page = client.get(f"/runs/{ended.id}/").content.decode()
    assert f"/runs/{ended.id}/actions/rerun/" in page
    assert 'data-rerun="yes"' in page
    form = client.get(f"/runs/{ended.id}/actions/rerun/").content.decode()
    assert 'value="7"' in form
    assert 'value="3"' in form
    wrong = client.post(f"/runs/{ended.id}/actions/rerun/", {"field-order": "7", "field-days": "many"})
    assert wrong.status_code == 422
    assert "whole number" in wrong.content.decode()
    done = client.post(f"/runs/{ended.id}/actions/rerun/", {"field-order": "7", "field-days": "4"})
    new = SagaRun.objects.exclude(id=ended.id).get()
    assert (done.status_code, done["Location"]) == (302, f"/runs/{new.id}/")
    assert (new.created_by, new.input) == ("oleg", {"order": "7", "days": 4})
    assert str(new.id)[:8] in client.get(f"/runs/{ended.id}/").content.decode()


def test_a_run_that_moves_is_not_offered_and_a_viewer_may_not(client, ended):
    moving = start_run("lend", {"order": "8"}).run
    client.force_login(make_user("oleg", Role.OPERATOR))
    assert 'data-rerun="no"' in client.get(f"/runs/{moving.id}/").content.decode()
    assert "has not ended" in client.get(f"/runs/{moving.id}/actions/rerun/").content.decode()
    assert client.post(f"/runs/{moving.id}/actions/rerun/", {"field-order": "8"}).status_code == 409
    client.force_login(make_user("vera", Role.VIEWER))
    assert client.post(f"/runs/{ended.id}/actions/rerun/", {"field-order": "7"}).status_code == 403
    assert SagaRun.objects.count() == 2
