"""A saga of very many steps: it completes, turns round from far on, and its page and answers stay bounded."""

from __future__ import annotations

import json

from sagas import Rejected
from sagas.core.document import check_source
from sagas.core.limits import STEPS_MAX
from sagas.engine.commands import start_run
from sagas.models import JournalEntry, SagaRun, StepRun
from sagas.presentation.fragments import render_run_regions
from sagas.presentation.steps import STEPS_SHOWN_MAX
from tests.engine import actions
from tests.engine.conftest import drive

STEPS = 1_200


def document(count: int, name: str = "long") -> str:
    rows = [
        {"name": f"s{number}", "action": "engine.plain", "compensation": {"action": "engine.plain"}}
        for number in range(count)
    ]
    return json.dumps({"saga": name, "steps": rows}, separators=(",", ":"))


def test_as_many_steps_as_are_allowed_are_accepted_and_one_more_is_not():
    assert check_source(document(STEPS_MAX), {}).problems == ()
    (problem,) = check_source(document(STEPS_MAX + 1), {}).problems
    assert problem.code == "too_many"


def test_a_long_saga_turns_round_at_its_end_and_all_of_it_is_undone(saga):
    def refuse(_call):
        raise Rejected("no")

    actions.BEHAVIOUR[f"s{STEPS - 1}:action"] = refuse
    run = start_run(saga(source=document(STEPS)), {}).run
    drive()
    run = SagaRun.objects.get(id=run.id)
    assert (run.status, run.undo_done, run.undo_total) == ("compensated", STEPS - 1, STEPS - 1)
    assert StepRun.objects.filter(run=run, compensation_status="succeeded").count() == STEPS - 1
    undone = JournalEntry.objects.filter(run=run, kind="attempt_started", data__phase="compensation")
    order = [data["step"] for data in undone.order_by("sequence").values_list("data", flat=True)]
    assert order == [f"s{number}" for number in reversed(range(STEPS - 1))]
    page = render_run_regions(run.id)["steps"]
    assert page.count('<tr id="step-') == STEPS_SHOWN_MAX
    assert f"{STEPS - STEPS_SHOWN_MAX} more steps are not shown" in page


def test_a_thousand_skipped_steps_in_a_row_make_way(saga):
    rows = [
        {"name": f"s{number}", "when": False, "action": "engine.plain", "compensation": "none"}
        for number in range(STEPS)
    ]
    rows.append({"name": "last", "action": "engine.plain", "compensation": "none"})
    run = start_run(saga(source=json.dumps({"saga": "skips", "steps": rows})), {}).run
    drive()
    run = SagaRun.objects.get(id=run.id)
    assert (run.status, run.steps_done) == ("completed", STEPS + 1)
