"""Orders over the REST API that meet: of those that saw the same revision one is taken, and each loser is told why."""

from __future__ import annotations

from collections import Counter

import pytest
from django.test import Client

from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.models import Order, SagaRun
from tests.faces.conftest import SOURCE, Api
from tests.together import at_once

COUNT = 100


@pytest.fixture
def run(transactional_db):
    publish(SOURCE, by="dora")
    return start_run("order", {"order_id": "48213"}).run


def give_all(run, verbs, headers):
    """Give `verbs` by turns, a hundred at once, each from a client of its own."""
    token = Api().token

    def give(number):
        client = Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)
        address = f"/api/v1/runs/{run.id}/{verbs[number % len(verbs)]}/"
        return client.post(address, b"{}", content_type="application/json", headers=headers)

    answers = at_once(give, COUNT)
    assert [one for one in answers if isinstance(one, Exception)] == []
    return answers


def test_of_a_hundred_orders_on_the_same_revision_one_is_taken(run):
    answers = give_all(run, ["pause", "cancel", "resume", "retry"], {"If-Match": f'"{run.revision}"'})
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[202] == 1
    assert statuses[202] + statuses[412] + statuses[409] == COUNT
    assert {answer.json()["revision"] for answer in answers if answer.status_code == 412} == {run.revision + 1}
    assert Order.objects.count() == 1
    assert SagaRun.objects.get().revision == run.revision + 1


def test_of_a_hundred_orders_that_saw_nothing_each_is_taken_or_told_what_the_run_allows(run):
    answers = give_all(run, ["pause", "resume"], {})
    taken = [answer.json() for answer in answers if answer.status_code == 202]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert len(taken) + len(refused) == COUNT
    orders = list(Order.objects.order_by("number").values_list("number", "verb"))
    assert orders == [(number, ("pause", "resume")[(number - 1) % 2]) for number in range(1, len(taken) + 1)]
    assert SagaRun.objects.get().revision == run.revision + len(taken)
    assert all(one["state"] == "pending" and "terminate" in one["allowed"] for one in refused)
