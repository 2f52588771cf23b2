"""Each example saga driven by a real pump through its failure matrix: it ends as simulated, and the books agree.

Timers and the waits of the policies are cut short; the rest is the file as it is.
"""

from __future__ import annotations

import json

import pytest
from asgiref.sync import SyncToAsync
from business.models import Account, Movement, Trouble
from django.apps import apps
from django.db import connections

from sagas.catalog.publish import publish
from sagas.core import action_form
from sagas.core.definition import RetryPolicy
from sagas.core.failure_matrix import failure_matrix
from sagas.core.vocabulary import Verb
from sagas.engine.commands import start_run
from sagas.engine.orders import Ask, give_order
from sagas.models import SagaRun
from sagas.testing import simulate
from tests.business.cases import EXAMPLES
from tests.business.playing import TIMES, Stage, assert_the_books_agree, hurried, playable, standing
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("companies")]
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.saga)
REFUSALS = [pytest.param(one, *no, id=f"{one.saga}-{no[0]}") for one in EXAMPLES for no in one.refusals]


@pytest.fixture
def companies(transactional_db):
    apps.get_app_config("business").load_demo()
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()  # the one that `records.send` used


def assert_the_law_was_kept() -> None:
    assert [fault for run in SagaRun.objects.values_list("id", flat=True) for fault in faults_of(run)] == []


@each
def test_it_ends_in_life_as_on_paper_and_the_books_agree(example):
    stage = Stage(example)
    wanted = {}
    for way, changes in enumerate(({}, *example.also)):
        rows = failure_matrix(stage.definition, example.input_for("case", **changes))
        for number, row in enumerate(playable(stage.definition, rows)):
            times = TIMES if row.simulation.status == "still_retrying" else 0
            run = stage.begin(f"case-{way}-{number}", dict(row.faults), times=times, **changes)
            wanted[run] = (f"{row.step} {row.case}", *stage.expected(row.simulation))
    stage.drive()
    assert {run: (told, fetch(run).status, standing(run)) for run, (told, *_) in wanted.items()} == wanted
    assert_the_law_was_kept()
    assert_the_books_agree()


@each
def test_an_answer_that_is_lost_once_repeats_no_effect(example):
    """Each step, and each compensation, of one run after the other: done, nobody told, asked again."""
    stage = Stage(example)
    lost = {"outcome": "unknown", "happened": True}
    steps = [step.name for step in stage.definition.steps if step.action is not None]
    forward = {step: stage.begin(f"lost-{step.replace('_', '-')}", {step: lost}, times=1) for step in steps}
    backward = stage.begin("lost-undoing", {f"{step}.compensation": lost for step in steps}, times=1)
    last = stage.definition.pivot or steps[-1]
    Trouble.objects.create(ref="lost-undoing", half=last, mode=Trouble.REJECTED)
    stage.drive()
    all_well = failure_matrix(stage.definition, example.input_for("case"))[0]
    _, stands = stage.expected(all_well.simulation)
    assert {step: standing(run) for step, run in forward.items()} == dict.fromkeys(forward, stands)
    assert {fetch(run).status for run in forward.values()} == {"completed"}
    assert (fetch(backward).status, set(standing(backward))) == ("compensated", set(example.stays) - {last})
    assert_the_law_was_kept()
    assert_the_books_agree()


@pytest.mark.parametrize(("example", "step", "changes"), REFUSALS)
def test_what_a_participant_refuses_by_itself_leaves_nothing_behind(example, step, changes):
    stage = Stage(example)
    run = stage.begin("refused", **changes)
    stage.drive()
    row = fetch(run)
    assert (row.status, row.reason["step"]) == ("compensated", step)
    assert row.reason["code"] in {"too_little", "sold_out", "no_such_account"}
    assert set(standing(run)) <= example.stays
    assert_the_law_was_kept()
    assert_the_books_agree()


def test_a_credit_that_was_spent_cannot_be_taken_back_and_a_person_gives_it_up():
    """The cardholder sends all she has to bob while the dispute waits for its next try."""
    dispute, transfer = (Stage(one) for one in EXAMPLES if one.saga in {"dispute-card-payment", "transfer-money"})
    patient = json.loads(hurried(dispute.example))
    patient["steps"][-1]["retry"] = {"attempts": 5, "initial": "1h", "max": "1h"}
    publish(json.dumps(patient), by="tests")
    Trouble.objects.create(ref="spent", half="file_with_scheme", mode=Trouble.FAILED, times=1)
    run = start_run("dispute-card-payment", dispute.example.input_for("spent")).run.id
    drive(lambda: fetch(run).waiting_for == "retry" and fetch(run).lease_until is None)
    spent = transfer.begin("all of it", payer="carol", amount=50_00 + dispute.example.input["amount"])
    drive(lambda: fetch(spent).status == "completed")
    Trouble.objects.update(mode=Trouble.REJECTED, times=0)
    give_order(run, Verb.RETRY, by="alice", ask=Ask(step="file_with_scheme"))
    drive(lambda: fetch(run).status == "needs_attention" and fetch(run).lease_until is None)
    credit = fetch(run).steps.get(step="credit_cardholder")
    assert (credit.compensation_status, credit.error["code"]) == ("failed", "too_little")
    assert standing(run) == ["credit_cardholder"]
    give_order(run, Verb.GIVE_UP, by="alice", ask=Ask(reason="a payment plan was agreed"))
    drive(lambda: fetch(run).status == "partially_compensated")
    assert fetch(run).status == "partially_compensated"
    assert_the_law_was_kept()
    assert_the_books_agree()


def test_a_clear_verdict_asks_no_person():
    example = next(one for one in EXAMPLES if one.saga == "verify-customer")
    publish(hurried(example), by="tests")
    run = start_run(example.saga, example.input_for("clear")).run.id
    Stage.send(run, "verdict", {"verdict": "clear"})
    drive(lambda: fetch(run).status == "completed")
    assert fetch(run).output == {"reviewed": False}
    assert standing(run) == ["ask_provider", "mark_verified", "unlock"]
    assert_the_law_was_kept()


def test_one_employee_who_cannot_be_paid_lets_nobody_be_paid():
    stage = Stage(next(one for one in EXAMPLES if one.saga == "run-payroll"))
    employees = [{"account": "bob", "net": 9}] * 9 + [{"account": "nobody", "net": 9}]
    run = stage.begin("2026-01", employees=employees)
    stage.drive()
    assert (fetch(run).status, standing(run)) == ("compensated", [])
    assert Movement.objects.filter(run=run).count() == 9
    assert Account.objects.get(name="bob").balance == Account.objects.get(name="bob").opening
    assert_the_books_agree()


def test_the_one_salary_that_was_spent_is_the_only_one_that_stays():
    stage = Stage(next(one for one in EXAMPLES if one.saga == "run-payroll"))
    faults = {"close_month": "rejected", "pay_salaries[2].compensation": "rejected"}
    on_paper = simulate(stage.definition, stage.example.input_for("2026-02"), faults)
    run = stage.begin("2026-02", faults)
    stage.drive()
    assert (fetch(run).status, standing(run)) == stage.expected(on_paper) == ("needs_attention", ["pay_salaries[2]"])
    assert_the_law_was_kept()
    assert_the_books_agree()


def test_a_bank_that_answers_neither_question_needs_a_person(monkeypatch):
    monkeypatch.setattr(action_form, "PROBE_RETRY", RetryPolicy(attempts=3, initial_s=0.01, factor=1, jitter=0))
    stage = Stage(next(one for one in EXAMPLES if one.saga == "pay-supplier"))
    lost = {"outcome": "unknown", "happened": True}
    silent = stage.begin("silent", {"pay": lost, "pay.probe": {**lost, "happened": False}})
    stage.drive()
    assert (fetch(silent).status, fetch(silent).attention[0]["step"]) == ("needs_attention", "pay")
    assert standing(silent) == ["match_invoice", "pay", "set_aside"]
    assert_the_law_was_kept()
    assert_the_books_agree()
