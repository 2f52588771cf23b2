"""A probe on paper: it answers as the script says, and else what truly happened."""

from __future__ import annotations

import re

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.presentation.simulation import story

SOURCE = """
saga: pay
title: Pay
steps:
  - {name: pay, action: bank.pay, pivot: true, timeout: 10s, probe: {python: bank.look}}
"""
UNDONE = """
saga: pay
title: Pay
steps:
  - name: pay
    action: bank.pay
    timeout: 10s
    retry: {attempts: 2}
    probe: {python: bank.look}
    compensation: {action: bank.refund}
  - {name: ship, action: bank.ship, compensation: none, with: {paid: "${steps.pay.output.id}"}}
"""
FACTS = {"bank.look": ActionFacts(reads_only=True)}


def lost(happened):
    return {"outcome": "unknown", "happened": happened}


def told(faults, source=UNDONE):
    return simulate(compile_document(check_source(source, FACTS).document, FACTS), {}, faults)


def sent(run):
    return [f"{line['step']}:{line['phase']}" for line in run.trace if line["kind"] == "attempt_started"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (lost(True), "completed"),
        (lost(False), "compensated"),
        ([lost(False)], "completed"),
        ("unknown", "needs_attention"),
    ],
)
def test_a_probe_says_what_truly_became_of_the_action_where_the_script_says_it(fault, status):
    assert told({"pay": fault}, SOURCE).status == status


def test_a_scripted_probe_gives_its_output_to_what_follows():
    run = told({"pay": "unknown", "pay.probe": {"outcome": "succeeded", "output": {"id": 7}}})
    assert run.status == "completed"
    assert sent(run) == ["pay:action", "pay:probe", "ship:action"]
    assert [line["input"] for line in run.trace if line.get("step") == "ship" and "input" in line] == [{"paid": 7}]
    assert run.notes == ()


def test_a_scripted_probe_says_one_thing_after_the_other():
    run = told({"pay": ["unknown"], "pay.probe": ["unknown", "worker_lost", "not_done"]})
    assert run.status == "completed"
    assert sent(run) == ["pay:action", *["pay:probe"] * 3, "pay:action", "ship:action"]
    lines = [line.strip() for line in story(run)]
    assert any(line.endswith("probe of pay: attempt 3 says it never happened") for line in lines)
    assert any(line.endswith("probe of pay: attempt 2 worker lost") for line in lines)


def test_what_a_probe_refuses_stays_nowhere_and_what_it_cannot_say_may_stay():
    assert told({"pay": "unknown", "pay.probe": "rejected"}).leftovers == []
    run = told({"pay": lost(True), "pay.probe": "unknown", "pay.compensation": "failed"})
    assert [(one.step, one.is_certain) for one in run.leftovers] == [("pay", True)]
    run = told({"pay": "unknown", "pay.probe": ["unknown", "unknown", "not_done", "not_done"]})
    assert (run.status, run.leftovers) == ("compensated", [])


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"ship.probe": "unknown"}, "Step `ship` has no probe, so none can be asked."),
        ({"pay.probe": "failed"}, "`pay.probe` cannot end as `failed`; it can as `succeeded`, `rejected`, `not_done`"),
        ({"pay": "not_done"}, "`pay` cannot end as `not_done`"),
    ],
)
def test_what_a_probe_cannot_say_is_refused(faults, message):
    with pytest.raises(SimulationInvalidError, match=re.escape(message)):
        told(faults)


def test_a_script_for_a_probe_that_is_never_asked_is_noted():
    (note,) = told({"pay.probe": "not_done"}).notes
    assert note.message == "The probe of `pay` was never asked, so its script changed nothing."


def test_the_matrix_has_a_row_for_a_probe_that_cannot_say_where_a_step_has_one():
    rows = failure_matrix(compile_document(check_source(UNDONE, FACTS).document, FACTS), {})
    silent = [row for row in rows if row.case is Case.PROBE_SILENT]
    assert [(row.step, row.simulation.status.value, row.simulation.undone) for row in silent] == [
        ("pay", "compensated", ["pay"])
    ]
    ends = {row.case: row.simulation.status.value for row in rows if row.step == "pay"}
    assert (ends[Case.UNKNOWN_AFTER], ends[Case.UNKNOWN_BEFORE]) == ("completed", "compensated")
