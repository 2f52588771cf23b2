"""Each example saga driven by a real pump through its failure matrix: it ends as simulated, and the books agree.

Timers and the waits of the policies are cut short; the rest is the file as it is.
"""

from __future__ import annotations

import pytest
from business.models import Trouble
from django.apps import apps

from sagas.core.failure_matrix import failure_matrix
from sagas.models import SagaRun
from tests.business.cases import EXAMPLES
from tests.business.playing import TIMES, Stage, assert_the_books_agree, playable, standing
from tests.engine.stored_run import faults_of, fetch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("companies")]
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.saga)
REFUSALS = [pytest.param(one, *no, id=f"{one.saga}-{no[0]}") for one in EXAMPLES for no in one.refusals]


@pytest.fixture
def companies(transactional_db):
    apps.get_app_config("business").load_demo()


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
