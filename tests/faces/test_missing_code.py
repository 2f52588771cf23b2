"""A run whose version nobody here can read: every face shows it, and lets it be terminated."""

from __future__ import annotations

import pytest
from django.urls import reverse

from sagas.catalog import load
from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.models import SagaRun, SagaVersion
from tests.faces.conftest import SOURCE, Api, sign_in

DOCUMENTS = {
    "of a later release": {
        "saga": "order", "title": "Order",
        "steps": [
            {"name": "pay", "action": "test.pay", "hedge": {"after": "2s"}, "compensation": {"action": "test.refund"}},
            {"name": "ship", "teleport": {"to": "${input.planet}"}, "after": ["pay"]},
        ],
    },
    "of nothing": {},
    "of a list": ["pay", "ship"],
    "of text": "pay, then ship",
    "of odd steps": {"saga": "order", "steps": [1, {"after": "pay"}, {"name": ["x"], "action": [], "retry": "often"}]},
    "of no steps": {"saga": "order", "steps": None, "input": "an order"},
}  # fmt: skip


@pytest.fixture(params=DOCUMENTS)
def run(request, db):
    """A run that was asked about by a worker without the code of its version."""
    publish(SOURCE, by="dora")
    made = start_run("order", {"order_id": "48213"}).run
    SagaVersion.objects.update(document=DOCUMENTS[request.param])
    load._hashes.clear()
    load._compiled.clear()
    yield made
    load._hashes.clear()


def test_a_page_shows_a_run_whose_version_cannot_be_read(run):
    alice = sign_in("alice")
    for address in (
        reverse("sagas:run-detail", args=[run.id]),
        reverse("sagas:run-list"),
        reverse("sagas:saga-detail", args=["order"]),
        reverse("sagas:run-action", args=[run.id, "terminate"]),
        reverse("sagas:run-action", args=[run.id, "retry"]),
        reverse("sagas:run-action", args=[run.id, "cancel"]),
        reverse("sagas:run-action", args=[run.id, "skip"]),
        reverse("sagas:run-action", args=[run.id, "settle"]),
        reverse("sagas:run-action", args=[run.id, "signal"]),
        reverse("sagas:run-action", args=[run.id, "approve"]),
    ):
        assert alice.get(address).status_code == 200, address
    html = alice.get(reverse("sagas:run-detail", args=[run.id])).text
    assert 'data-terminate="yes"' in html
    assert 'data-retry="no" data-settle="no" data-skip="no"' in html


def test_a_page_terminates_such_a_run_and_refuses_all_else(run):
    alice = sign_in("alice")
    form = {"revision": run.revision, "reason": "INC-1"}
    refused = alice.post(reverse("sagas:run-action", args=[run.id, "cancel"]), form)
    assert refused.status_code == 409
    assert "cannot read the version" in refused.text
    assert alice.post(reverse("sagas:run-action", args=[run.id, "terminate"]), form).status_code == 302
    assert SagaRun.objects.get().status == "terminated"


def test_the_api_shows_such_a_run_and_says_what_can_be_done(run):
    api = Api()
    whole = api.get(f"runs/{run.id}/")
    assert (whole.status_code, whole.json()["allowed"]) == (200, ["terminate"])
    plan = api.get(f"runs/{run.id}/plan/")
    assert plan.status_code == 200
    assert "Put that code back" in plan.json()["refusal"]
    refused = api.post(f"runs/{run.id}/retry/")
    assert (refused.status_code, refused.json()["allowed"]) == (409, ["terminate"])
    assert "cannot read the version" in refused.json()["detail"]
    ended = api.post(f"runs/{run.id}/terminate/", {"reason": "INC-1"})
    assert (ended.status_code, ended.json()["status"]) == (202, "terminated")


def test_no_run_of_such_a_version_can_be_started_or_simulated(run):
    api = Api()
    for path, body in (
        ("runs/", {"saga": "order", "input": {"order_id": "1"}}),
        ("sagas/simulate/", {"saga": "order", "input": {"order_id": "1"}}),
    ):
        answer = api.post(path, body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sagaweb:problem:saga-unreadable"), path
        assert "cannot read the version" in answer.json()["detail"]
    page = sign_in("alice").post(reverse("sagas:saga-start", args=["order"]), {"field-order_id": "1"})
    assert page.status_code == 422
    assert SagaRun.objects.count() == 1
    assert api.get("sagas/order/").status_code == 200
    assert api.get("sagas/order/versions/1/").status_code == 200


def test_such_a_run_is_not_run_again(run):
    api, alice = Api(), sign_in("alice")
    api.post(f"runs/{run.id}/terminate/", {"reason": "INC-1"})
    answer = api.post(f"runs/{run.id}/rerun/")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sagaweb:problem:saga-unreadable")
    address = reverse("sagas:run-again", args=[run.id])
    assert alice.get(address).status_code == 200
    assert alice.post(address, {"field-": "{}", "field-order_id": "1"}).status_code in {409, 422}
    assert SagaRun.objects.count() == 1


def test_the_admin_shows_such_a_run(run, admin_client):
    assert admin_client.get(reverse("admin:sagas_sagarun_change", args=[run.id])).status_code == 200
    assert admin_client.get(reverse("admin:sagas_sagarun_changelist")).status_code == 200
    chosen = {"action": "cancel", "_selected_action": [str(run.id)]}
    answer = admin_client.post(reverse("admin:sagas_sagarun_changelist"), chosen)
    assert answer.status_code == 200
    assert "cannot read the version" in answer.text


def test_where_nobody_can_read_whom_a_run_asks_no_answer_and_no_signal_is_taken(run):
    api, alice = Api(), sign_in("alice")
    assert api.post(f"runs/{run.id}/approvals/agree/", {"approve": True}).status_code == 409
    assert api.post(f"runs/{run.id}/signals/", {"name": "paid"}).status_code == 409
    for verb, form in (("approve", {"step": "agree", "outcome": "succeeded"}), ("signal", {"signal": "paid"})):
        answer = alice.post(reverse("sagas:run-action", args=[run.id, verb]), {"revision": run.revision, **form})
        assert answer.status_code == 409
    assert not SagaRun.objects.filter(inbox_last__gt=0).exists()
