"""Signals and approvals over REST: who may send what, what is refused with which words, what comes of it."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role
from sagas.engine.commands import start_run
from sagas.models import Order, SagaRun
from tests import factories as f
from tests.engine.actions import reset
from tests.engine.conftest import drive
from tests.faces.conftest import Api, sign_in
from tests.faces.test_api_schema import assert_fits

SOURCE = """
saga: lend
steps:
  - {name: book, action: engine.plain, compensation: {action: engine.plain}}
  - {name: deposit, wait_for: {signal: deposit_paid, timeout: 2d}}
  - {name: agree, approval: {group: GROUP, prompt: "Lend it to ${input.who}?"}}
  - {name: hand_over, action: engine.plain, compensation: none, with: {got: "${steps.deposit.output}"}}
"""


def lent(group: str = "operator") -> SagaRun:
    """Start a run; nobody drives it yet."""
    publish(SOURCE.replace("GROUP", group), by="dora")
    return start_run("lend", {"who": "Ann"}).run


@pytest.fixture
def run(db):
    return lent()


def answer_of(client, run, approve: bool = True, step: str = "agree", **headers: str):
    """Answer as a person does whose browser talks to the API."""
    body = json.dumps({"approve": approve})
    path = f"/api/v1/runs/{run.id}/approvals/{step}/"
    return client.post(path, body, content_type="application/json", headers=headers)


def test_a_signal_and_a_yes_bring_a_run_to_its_end(transactional_db):
    reset()
    run, api = lent(), Api()
    drive(lambda: api.get(f"runs/{run.id}/").json()["waiting_for"] == "signal")
    deposit = api.get(f"runs/{run.id}/").json()["steps"][1]
    assert (deposit["status"], deposit["next_attempt_at"]) == ("waiting", None)
    waits = deposit["waits_for"]
    assert waits | {"since": "", "until": ""} == {
        "for": "signal", "since": "", "until": "", "signal": "deposit_paid", "group": "", "prompt": "",
    }  # fmt: skip
    assert waits["since"] < waits["until"]

    sent = api.post(f"runs/{run.id}/signals/", {"name": "deposit_paid", "payload": {"cents": 20_000}})
    assert (sent.status_code, sent.json()["orders_waiting"][0]["verb"]) == (202, "signal")
    assert_fits(sent, "/api/v1/runs/{run_id}/signals/", "post")
    drive(lambda: api.get(f"runs/{run.id}/").json()["waiting_for"] == "approval")
    agree = api.get(f"runs/{run.id}/").json()["steps"][2]["waits_for"]
    assert (agree["for"], agree["until"], agree["group"], agree["prompt"]) == (
        "approval", None, "operator", "Lend it to Ann?",
    )  # fmt: skip

    yes = api.post(f"runs/{run.id}/approvals/agree/", {"approve": True, "comment": "a good driver"})
    assert yes.status_code == 202
    assert_fits(yes, "/api/v1/runs/{run_id}/approvals/{step}/", "post")
    drive()
    whole = api.get(f"runs/{run.id}/").json()
    assert (whole["status"], whole["signals"], whole["steps"][2]["waits_for"]) == ("completed", [], None)
    assert whole["steps"][2]["output"] == {"approved_by": "token:robot", "comment": "a good driver"}
    assert whole["steps"][3]["attempts"][0]["input"] == {"got": {"cents": 20_000}}


def test_a_no_undoes_what_was_done(transactional_db):
    reset()
    run, api = lent(), Api()
    api.post(f"runs/{run.id}/signals/", {"name": "deposit_paid"})
    drive(lambda: SagaRun.objects.get().waiting_for == "approval")
    assert api.post(f"runs/{run.id}/approvals/agree/", {"approve": False, "comment": "no licence"}).status_code == 202
    drive()
    whole = api.get(f"runs/{run.id}/").json()
    assert (whole["status"], whole["reason"]["code"]) == ("compensated", "declined")
    assert "no licence" in whole["why"]["text"]


def test_a_signal_that_comes_early_is_kept_and_shown_and_two_are_two(transactional_db):
    reset()
    run, api = lent(), Api()
    for cents in (1, 2):
        assert api.post(f"runs/{run.id}/signals/", {"name": "deposit_paid", "payload": cents}).status_code == 202
    drive(lambda: SagaRun.objects.get().waiting_for == "approval")
    whole = api.get(f"runs/{run.id}/").json()
    assert whole["steps"][1]["output"] == 1
    assert whole["signals"] == [{"name": "deposit_paid", "payload": 2, "by": "token:robot"}]


def test_if_match_keeps_a_signal_from_being_sent_twice(run):
    api, revision = Api(), str(run.revision)
    sent = [
        api.post(f"runs/{run.id}/signals/", {"name": "deposit_paid"}, **{"If-Match": revision}).status_code
        for _ in range(2)
    ]
    assert sent == [202, 412]
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "pointers", "words"),
    [
        ({"name": "deposit_payd"}, {"/name"}, 'waits for no signal named "deposit_payd". It waits for `deposit_paid`.'),
        ({"name": ""}, {"/name"}, ""),
        ({"name": 5}, {"/name"}, ""),
        ({"name": "x" * 81}, {"/name"}, ""),
        (None, {"/name"}, ""),
        ({"name": "deposit_paid", "data": 1}, {"/data"}, "no member 'data'"),
        ({"name": "deposit_paid", "payload": "x" * 300_000}, {"/payload"}, "at most 256 KiB"),
    ],
)  # fmt: skip
def test_a_signal_that_cannot_be_taken_is_refused_with_its_place(run, body, pointers, words):
    answer = Api().post(f"runs/{run.id}/signals/", body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sagaweb:problem:invalid")
    assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    assert words in answer.json()["detail"]
    assert not Order.objects.exists()


def test_a_saga_that_waits_for_no_signal_says_so(db):
    publish("saga: quick\nsteps: [{name: a, action: engine.plain, compensation: none}]", by="dora")
    answer = Api().post(f"runs/{start_run('quick', {}).run.id}/signals/", {"name": "go"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == 'The saga waits for no signal named "go". It waits for none at all.'


@pytest.mark.parametrize("body", [None, {}, {"approve": "true"}, {"approve": 1}, {"approve": None}])
def test_an_answer_is_true_or_false(run, body):
    answer = Api().post(f"runs/{run.id}/approvals/agree/", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/approve"]


def test_a_comment_has_its_bounds_and_its_place(run):
    answer = Api().post(f"runs/{run.id}/approvals/agree/", {"approve": True, "comment": "c" * 1001})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/comment")


def test_a_step_that_does_not_ask_yet_or_has_its_answer_is_a_conflict_that_says_what_is_allowed(run):
    answer = Api().post(f"runs/{run.id}/approvals/agree/", {"approve": True})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "Step agree waits for no answer of a person: it is pending."
    assert answer.json()["allowed"] == ["cancel", "pause", "terminate", "signal"]


@pytest.mark.parametrize("step", ["book", "deposit", "nope", "agree%00", "x" * 300])
def test_only_a_step_that_asks_is_an_address(run, step):
    api, nobody = Api(), "0192aaaa-0000-7000-8000-000000000000"
    for run_id in (run.id, nobody):
        assert api.post(f"runs/{run_id}/approvals/{step}/", {"approve": True}).status_code in {400, 404}


@pytest.mark.parametrize(
    ("path", "body"), [("signals", {"name": "deposit_paid"}), ("approvals/agree", {"approve": True})]
)
def test_a_run_that_has_ended_and_a_stale_reader_are_refused(run, path, body):
    api = Api()
    assert api.post(f"runs/{run.id}/{path}/", body, **{"If-Match": '"7"'}).status_code == 412
    api.post(f"runs/{run.id}/terminate/", {"reason": "x"})
    answer = api.post(f"runs/{run.id}/{path}/", body)
    assert (answer.status_code, answer.json()["allowed"]) == (409, [])


def test_a_viewer_sends_no_signal(run):
    assert Api(Role.VIEWER).post(f"runs/{run.id}/signals/", {"name": "deposit_paid"}).status_code == 403
    assert not Order.objects.exists()


# ---- who may answer ------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "may"),
    [
        ("viewer", {"viewer", "operator", "author", "admin"}),
        ("operator", {"operator", "author", "admin"}),
        ("operators", {"operator", "author", "admin"}),
        ("author", {"author", "admin"}),
        ("admins", {"admin"}),
        ("front desk", {"admin"}),
        ("Operators", {"admin"}),
    ],
)
def test_a_token_answers_what_asks_its_role_or_one_below_and_no_group(db, group, may):
    run = lent(f'"{group}"')
    allowed = set()
    for role in Role:
        answer = Api(role, role.value).post(f"runs/{run.id}/approvals/agree/", {"approve": True})
        assert answer.status_code in {403, 409}  # the run does not wait yet: who may is told so
        allowed |= {role.value} if answer.status_code == 409 else set()
    assert allowed == may


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "dora", "erin"])
def test_of_people_those_of_the_group_answer_and_an_admin(db, name):
    run = lent('"front desk"')
    client = sign_in(name)
    answer = answer_of(client, run)
    assert answer.status_code == (409 if name == "erin" else 403)
    if name == "alice":
        assert answer.json()["detail"] == (
            "You may not answer this. It takes somebody of the group “front desk”, or an admin."
        )
    Group.objects.create(name="front desk").user_set.add(*Group.objects.none(), _person(name))
    answer = answer_of(client, run)
    assert answer.status_code == (403 if name == "charlie" else 409)  # a stranger gets nowhere, whatever the group


def _person(name: str):
    from django.contrib.auth import get_user_model

    return get_user_model().objects.get(username=name)


def test_who_may_not_answer_is_told_so_whatever_the_state_and_leaves_nothing_behind(db):
    run = f.asking_a_group(timezone.now())
    for client in (sign_in("alice"), sign_in("bob")):
        assert answer_of(client, run, step="agree").status_code == 403
    assert not Order.objects.exclude(by="token:bank").exists()


# ---- finding what waits --------------------------------------------------------


def test_runs_are_found_by_what_they_wait_for(db):
    now = timezone.now()
    for tell in (f.sleeping, f.asking_for_approval, f.waiting_for_ever, f.completed):
        tell(now)
    api = Api(Role.VIEWER)
    found = {
        kind: [one["key"] for one in api.get(f"runs/?waiting_for={kind}").json()["results"]]
        for kind in ("timer", "approval", "signal", "retry")
    }
    assert found == {"timer": ["48240"], "approval": ["48243"], "signal": ["48242"], "retry": []}


@pytest.mark.parametrize("value", ["", "aproval", "x" * 100])
def test_a_wait_of_no_known_kind_is_refused(db, value):
    answer = Api(Role.VIEWER).get("runs/", {"waiting_for": value})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "waiting_for")
