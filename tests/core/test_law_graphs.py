"""Small sagas with steps beside each other, and with conditions: every outcome in every order."""

from __future__ import annotations

from itertools import product

import pytest

from tests.core.law import Allowance, explore, graph

LINE, FORK, JOIN, DIAMOND, CROSS = (
    {"1": "0", "2": "1"},
    {"1": "0", "2": "0"},
    {"2": "01"},
    {"1": "0", "2": "0", "3": "12"},
    {"2": "0", "3": "01"},
)
CANCEL = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
QUIET = Allowance(cancels=0, retries=0, losses=0, deadlines=0)
POLICIES = list(product((True, False), (False, True)))  # stops on a failed compensation, asks when in doubt


def hold(enumerated, definition, allowance):
    seen = explore(definition, allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize(("stops", "asks"), POLICIES)
@pytest.mark.parametrize(("kinds", "after"), [
    ("CC", {}), ("CN", {}), ("CCC", FORK), ("NCC", FORK), ("PNN", FORK), ("CCC", JOIN), ("CCP", JOIN), ("CNN", JOIN),
])  # fmt: skip
def test_the_law_holds_for_steps_beside_each_other(enumerated, kinds, after, stops, asks):
    ends = hold(enumerated, graph(kinds, after, stops=stops, asks=asks), CANCEL)
    assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize(("kinds", "after"), [("CCCC", DIAMOND), ("CCCP", DIAMOND), ("CNCN", DIAMOND), ("CCCC", CROSS)])
@pytest.mark.parametrize("stops", [True, False])
def test_the_law_holds_for_a_diamond_and_for_crossing_ways(enumerated, kinds, after, stops):
    assert {"completed", "compensated"} <= hold(enumerated, graph(kinds, after, stops=stops), QUIET)


@pytest.mark.parametrize(("kinds", "after", "false"), [
    ("CCC", FORK, "1"), ("CCC", JOIN, "0"), ("CCC", JOIN, "01"), ("CCCC", DIAMOND, "12"), ("CCC", LINE, "1"),
])  # fmt: skip
def test_the_law_holds_when_a_condition_is_false(enumerated, kinds, after, false):
    ends = hold(enumerated, graph(kinds, after, false=false), CANCEL)
    assert {"completed", "compensated"} <= ends


def test_a_saga_of_skipped_steps_completes_without_a_call(enumerated):
    assert hold(enumerated, graph("CC", {"1": "0"}, false="01"), QUIET) == {"completed"}


@pytest.mark.parametrize("kinds", ["CC", "CN"])
def test_the_law_holds_for_decisions_of_a_person_about_steps_beside_each_other(enumerated, kinds):
    decisions = Allowance(cancels=0, retries=1, losses=0, deadlines=0, decisions=2)
    ends = hold(enumerated, graph(kinds, {}), decisions)
    assert {"completed", "compensated", "terminated"} <= ends
