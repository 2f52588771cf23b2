"""Small sagas whose steps wait: every order of signals, answers, time, turns and outcomes."""

from __future__ import annotations

import pytest

from tests.core.law import Allowance, explore, graph, linear

FORK, JOIN = {"1": "0", "2": "0"}, {"2": "01"}


def allowing(**more: int) -> Allowance:
    return Allowance(**{"cancels": 1, "retries": 0, "losses": 0, "deadlines": 0, "signals": 1, "answers": 1, **more})


def hold(enumerated, definition, allowance):
    seen = explore(definition, allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize("kinds", ["CT", "TC", "CTC", "CTPTN", "CSC", "CWC", "CGC", "CAC", "CBC", "CAPAN", "CQN", "CQ"])
def test_the_law_holds_for_steps_that_wait(enumerated, kinds):
    ends = hold(enumerated, linear(kinds, deadline=True), allowing(deadlines=1, answers=2))
    assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize(("kinds", "after"), [
    ("CSA", {}), ("CTC", {}), ("CSC", FORK), ("CAT", FORK), ("SWC", JOIN), ("GBC", JOIN), ("SSC", {}), ("SAP", JOIN),
])  # fmt: skip
def test_the_law_holds_for_waits_beside_each_other(enumerated, kinds, after):
    ends = hold(enumerated, graph(kinds, after), allowing(signals=2, cancels=0))
    assert "completed" in ends


@pytest.mark.parametrize("kinds", ["SC", "CA", "CW", "BC", "CG", "PWN", "PBN", "TA"])
def test_the_law_holds_for_decisions_of_a_person_about_waits(enumerated, kinds):
    ends = hold(enumerated, linear(kinds), allowing(cancels=0, retries=1, decisions=2))
    assert {"completed", "terminated"} <= ends


@pytest.mark.parametrize("asks", [False, True])
def test_the_law_holds_when_workers_are_lost_beside_waits(enumerated, asks):
    ends = hold(enumerated, graph("CSC", JOIN, asks=asks), allowing(losses=1, cancels=0))
    assert {"completed", "compensated"} <= ends


def test_a_signal_nobody_sends_leaves_the_run_waiting_and_nothing_else(enumerated):
    assert hold(enumerated, linear("S"), allowing(signals=0, cancels=0)) == {"running"}
    assert hold(enumerated, linear("SS"), allowing(signals=1, cancels=0)) == {"running"}
    assert hold(enumerated, linear("SS"), allowing(signals=2, cancels=0)) == {"running", "completed"}
