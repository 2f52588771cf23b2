"""Starts over the REST API that meet: with the same Idempotency-Key, the same business key, or both."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from django.test import Client

from sagas.catalog.publish import publish
from sagas.models import IdempotencyKey, SagaRun
from tests.faces.conftest import SOURCE, Api
from tests.together import THREADS, at_once

KEY = {"Idempotency-Key": "order-48213"}


@pytest.fixture
def api(transactional_db):
    publish(SOURCE, by="dora")
    return Api()


def start(api, number, headers, **body):
    """Start from a client of its own, as another process of the same program does."""
    client = Client(headers={"Authorization": f"Bearer {api.token}"}, raise_request_exception=False)
    body = {"saga": "order", "input": {"order_id": str(number)}, **body}
    return client.post("/api/v1/runs/", json.dumps(body), content_type="application/json", headers=headers)


def statuses(answers):
    assert [one for one in answers if isinstance(one, Exception)] == []
    return Counter(answer.status_code for answer in answers)


@pytest.mark.parametrize("body", [{}, {"key": "48213"}], ids=["alone", "with a business key"])
def test_the_same_request_at_once_makes_one_run_and_each_is_shown_it(api, body):
    answers = at_once(lambda _: start(api, 1, KEY, **body))
    assert statuses(answers) == {201: 1, 200: THREADS - 1}
    assert {answer.json()["id"] for answer in answers} == {str(SagaRun.objects.get().id)}
    assert IdempotencyKey.objects.count() == 1


def test_of_other_requests_under_the_same_key_exactly_one_is_taken(api):
    answers = at_once(lambda number: start(api, number, KEY))
    assert statuses(answers) == {201: 1, 409: THREADS - 1}
    (taken,) = [answer for answer in answers if answer.status_code == 201]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {one["type"] for one in refused} == {"urn:sagaweb:problem:key-reused"}
    assert {one["run"] for one in refused} == {taken.json()["id"]} == {str(SagaRun.objects.get().id)}


def test_of_other_inputs_under_the_same_business_key_exactly_one_is_taken(api):
    answers = at_once(lambda number: start(api, number, {}, key="48213"))
    assert statuses(answers) == {201: 1, 409: THREADS - 1}
    run = SagaRun.objects.get()
    assert {answer.json()["run"] for answer in answers if answer.status_code == 409} == {str(run.id)}


def test_the_same_business_key_from_many_requests_with_keys_of_their_own_makes_one_run(api):
    answers = at_once(lambda number: start(api, 1, {"Idempotency-Key": f"request-{number}"}, key="48213"))
    assert statuses(answers) == {201: 1, 200: THREADS - 1}
    assert SagaRun.objects.count() == 1
    assert IdempotencyKey.objects.count() == THREADS
