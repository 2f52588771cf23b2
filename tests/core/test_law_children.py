"""Small sagas that run another saga, and runs that are undone with their parent: every end in every order."""

from __future__ import annotations

import pytest

from tests.core.law import Allowance, explore, graph, linear

NOTHING = {"cancels": 0, "retries": 0, "losses": 0, "deadlines": 0}
JOIN = {"2": "01"}


def hold(enumerated, definition, **allowed: int):
    seen = explore(definition, Allowance(**{**NOTHING, **allowed}))
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("kinds", ["R", "CR", "RC", "CRC", "RR", "CRP", "CPR", "NRN"])
def test_the_law_holds_for_sub_sagas(enumerated, kinds, asks):
    ends = hold(enumerated, linear(kinds, asks=asks, deadline=True), cancels=1, losses=1, deadlines=1)
    assert "completed" in ends


@pytest.mark.parametrize(("kinds", "after"), [("RC", {}), ("RR", {}), ("RCC", JOIN), ("RAC", JOIN)])
@pytest.mark.parametrize("stops", [False, True])
def test_the_law_holds_for_sub_sagas_beside_other_steps(enumerated, kinds, after, stops):
    assert {"completed", "compensated"} <= hold(enumerated, graph(kinds, after, stops=stops), answers=1)


@pytest.mark.parametrize("kinds", ["R", "CR"])
def test_the_law_holds_for_decisions_of_a_person_about_sub_sagas(enumerated, kinds):
    ends = hold(enumerated, linear(kinds), retries=1, decisions=2)
    assert {"completed", "compensated", "terminated", "partially_compensated"} <= ends


@pytest.mark.parametrize("kinds", ["C", "CC", "NC", "CR", "CSC", "CTC"])
def test_the_law_holds_for_a_completed_run_that_is_undone(enumerated, kinds):
    ends = hold(enumerated, linear(kinds), undos=1, signals=1, decisions=1)
    assert {"compensated", "partially_compensated"} <= ends or kinds == "NC"


def test_a_run_past_its_pivot_is_not_undone(enumerated):
    assert hold(enumerated, linear("CP"), undos=1) == {"completed", "compensated", "needs_attention"}
