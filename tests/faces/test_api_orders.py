"""Skip, settle, give up, pause, resume, terminate over REST: what is stored, and what is refused."""

from __future__ import annotations

import pytest

from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role
from sagas.engine.commands import start_run
from sagas.models import Order, SagaRun
from tests.faces.conftest import SOURCE, Api

WHY = {"reason": "because"}


@pytest.fixture
def run(db):
    publish(SOURCE, by="dora")
    return start_run("order", {"order_id": "48213"}).run


@pytest.fixture
def api(run):
    return Api()


def test_a_pause_a_skip_and_a_resume_are_stored_with_all_that_was_said(api, run):
    assert api.post(f"runs/{run.id}/pause/").status_code == 202
    answer = api.post(f"runs/{run.id}/skip/", {"step": "ship", "output": {"parcel": None}, **WHY})
    assert answer.status_code == 202
    assert api.post(f"runs/{run.id}/resume/", WHY).status_code == 202
    stored = list(Order.objects.order_by("number").values_list("verb", "by", "reason", "details"))
    assert stored == [
        ("pause", "token:robot", "", {}),
        ("skip", "token:robot", "because", {"step": "ship", "output": {"parcel": None}}),
        ("resume", "token:robot", "because", {}),
    ]
    waiting = [order["verb"] for order in api.get(f"runs/{run.id}/").json()["orders_waiting"]]
    assert waiting == ["pause", "skip", "resume"]


def test_terminating_is_done_when_it_is_answered(api, run):
    answer = api.post(f"runs/{run.id}/terminate/", WHY)
    assert (answer.status_code, answer.json()["status"], answer.json()["allowed"]) == (202, "terminated", [])
    assert answer.json()["reason"] == {"cause": "terminate", "by": "token:robot", "message": "because"}
    assert answer.headers["ETag"] == f'"{SagaRun.objects.get().revision}"'
    assert api.post(f"runs/{run.id}/resume/").status_code == 409


@pytest.mark.parametrize(
    ("verb", "body", "pointers"),
    [
        ("skip", {}, {"/step", "/reason"}),
        ("skip", {"step": "ship", "reason": "x", "phase": "action"}, {"/phase"}),
        ("settle", {"step": "ship", "reason": "x"}, {"/phase", "/outcome"}),
        ("settle", {"step": "pay", "phase": "probe", "outcome": "failed", **WHY}, {"/phase", "/outcome"}),
        ("settle", {"step": "pay", "phase": "compensation", "outcome": "succeeded", **WHY}, {"/reference"}),
        ("give-up", {"reason": "   "}, {"/reason"}),
        ("terminate", None, {"/reason"}),
        ("terminate", {"reason": 5}, {"/reason"}),
        ("terminate", {"reason": "r" * 1001}, {"/reason"}),
    ],
)
def test_what_is_missing_or_wrong_is_said_with_its_place(api, run, verb, body, pointers):
    answer = api.post(f"runs/{run.id}/{verb}/", body)
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    assert SagaRun.objects.get().inbox_last == 0


@pytest.mark.parametrize(
    ("verb", "body", "why"),
    [
        ("skip", {"step": "ship", **WHY}, "only while the run is paused"),
        ("skip", {"step": "nope", **WHY}, "no step named 'nope'"),
        ("settle", {"step": "pay", "phase": "action", "outcome": "succeeded", **WHY}, "not in question"),
        ("give-up", WHY, "nothing to give up"),
        ("resume", None, "not paused"),
    ],
)
def test_what_the_state_does_not_allow_is_a_409_that_says_what_is(api, run, verb, body, why):
    answer = api.post(f"runs/{run.id}/{verb}/", body)
    assert answer.status_code == 409
    assert why in answer.json()["detail"]
    assert answer.json()["allowed"] == ["cancel", "pause", "terminate"]


@pytest.mark.parametrize("verb", ["skip", "settle", "give-up", "pause", "resume", "terminate"])
def test_a_viewer_orders_nothing_and_a_stale_reader_neither(api, run, verb):
    body = {"step": "ship", "phase": "action", "outcome": "succeeded", **WHY}
    wanted = {"skip": ("step", "reason"), "settle": tuple(body), "pause": ("reason",), "resume": ("reason",)}
    body = {name: body[name] for name in wanted.get(verb, ("reason",))}
    assert Api(Role.VIEWER, "reader").post(f"runs/{run.id}/{verb}/", body).status_code == 403
    assert api.post(f"runs/{run.id}/{verb}/", body, **{"If-Match": '"7"'}).status_code == 412
    assert SagaRun.objects.get().inbox_last == 0


def test_the_plan_foresees_a_cancel_and_changes_nothing(api, run):
    answer = api.get(f"runs/{run.id}/plan/")
    assert answer.status_code == 200
    assert answer.json() == {"refusal": "", "in_flight": [], "undo": [], "stays": []}
    api.post(f"runs/{run.id}/terminate/", WHY)
    assert api.get(f"runs/{run.id}/plan/").json()["refusal"] == "The run has ended: it is terminated."
    assert api.get("runs/0192aaaa-0000-7000-8000-000000000000/plan/").status_code == 404
