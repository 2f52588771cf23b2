"""Runs on paper whose steps wait."""

from __future__ import annotations

import pytest

from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import failure_matrix
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from tests.invariants import violations

SOURCE = """\
saga: loan
{more}
steps:
  - {{name: reserve, action: shop.reserve, compensation: {{action: shop.release}}}}
  - {{name: cool_off, sleep: 1d}}
  - {{name: paid, wait_for: {{signal: paid, timeout: 2h{on_timeout}}}}}
  - {{name: agree, approval: {{prompt: "Lend ${{input.sum}}?"}}}}
  - {{name: send, action: shop.send, compensation: none, with: {{who: "${{steps.agree.output.approved_by}}"}}}}
"""
DAY, HOUR = 86_400, 3_600


def loan(more: str = "deadline: 9d", on_timeout: str = ""):
    checked = check_source(SOURCE.format(more=more, on_timeout=on_timeout), {})
    assert checked.problems == ()
    return compile_document(checked.document, {})


def run(faults=None, orders=(), **said):
    found = simulate(loan(**said), {"sum": 7}, faults, orders=orders)
    journal = [(place, *entry) for place, entry in enumerate(found.journal, start=1)]
    assert violations(found.definition, journal, found.state) == []
    return found


def test_time_jumps_over_a_timer_and_everybody_answers_at_once():
    found = run()
    assert (found.status, found.took_s, found.waited_s) == ("completed", DAY, DAY)
    assert found.state.steps[("agree", -1)].action.input["prompt"] == "Lend 7?"
    assert found.state.steps[("send", -1)].action.input == {"who": "simulation"}


def test_a_signal_that_never_comes_ends_with_its_time_out():
    found = run({"paid": "never"})
    assert (found.status, found.took_s) == ("compensated", DAY + 2 * HOUR)
    assert found.reason["code"] == "timed_out"
    assert found.undone == ["reserve"]
    assert run({"paid": "never"}, on_timeout=", on_timeout: continue").status == "completed"


def test_an_answer_that_never_comes_leaves_the_run_to_its_deadline_or_waiting():
    assert run({"agree": "never"}).reason["cause"] == "deadline"
    found = run({"agree": "never"}, more="title: Loan")
    assert (found.status, found.took_s) == ("waiting", DAY)


def test_a_no_undoes_what_was_done():
    found = run({"agree": "rejected"})
    assert (found.status, found.reason["code"], found.undone) == ("compensated", "declined", ["reserve"])


def test_a_signal_brings_what_the_script_says():
    found = run({"paid": {"outcome": "succeeded", "output": {"sum": 9}}})
    assert found.state.steps[("paid", -1)].output == {"sum": 9}


def test_a_cancel_while_a_step_waits_leaves_it_out():
    found = run(orders=[{"verb": "cancel", "during": "cool_off"}])
    assert (found.status, found.took_s) == ("compensated", 0)
    assert found.state.steps[("cool_off", -1)].status == "skipped"


@pytest.mark.parametrize(("faults", "sentence"), [
    ({"cool_off": "rejected"}, "`cool_off` cannot end as `rejected`; it can as `succeeded`."),
    ({"paid": "rejected"}, "`paid` cannot end as `rejected`; it can as `succeeded`, `never`."),
    ({"agree": ["unknown"]}, "`agree` cannot end as `unknown`; it can as `succeeded`, `rejected`, `never`."),
    ({"send": "never"}, (
        "`send` cannot end as `never`; it can as `succeeded`, `rejected`, `failed`, `unknown`, `worker_lost`."
    )),
])  # fmt: skip
def test_an_ending_that_a_step_cannot_have_is_refused(faults, sentence):
    with pytest.raises(SimulationInvalidError) as caught:
        run(faults)
    assert [one.message for one in caught.value.problems] == [sentence]


def test_the_matrix_holds_what_can_go_wrong_with_a_wait():
    rows = failure_matrix(loan(), {"sum": 7})
    found = {(row.step, row.case.value): row.simulation.status.value for row in rows}
    assert {case for step, case in found if step == "cool_off"} == set()
    assert found["paid", "never_comes"] == found["agree", "rejected"] == found["agree", "never_comes"] == "compensated"
    assert ("send", "never_comes") not in found
    nothing = next(row for row in rows if not row.step)
    assert nothing.worst_s >= DAY + 2 * HOUR
