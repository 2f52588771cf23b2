"""Small sagas with lists: every outcome of every item in every order, orders and a deadline at any point."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.core.law import Allowance, Fixed, explore, graph, linear

CANCEL = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
QUIET = Allowance(cancels=0, retries=0, losses=0, deadlines=0)
DECISIONS = Allowance(cancels=0, retries=1, losses=0, deadlines=0, decisions=2)
POLICIES = list(product((True, False), (False, True)))  # stops on a failed compensation, asks when in doubt


def listed(definition, **lists):
    """Return the saga with lists for some of its steps: the number of items, and how many at once."""
    steps = tuple(
        replace(step, for_each=Fixed(list(range(lists[step.name][0]))), max_parallel=lists[step.name][1])
        if step.name in lists
        else step
        for step in definition.steps
    )
    return replace(definition, steps=steps)


def hold(enumerated, definition, allowance):
    seen = explore(definition, allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize(("stops", "asks"), POLICIES)
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("kind", "CN")
def test_the_law_holds_for_a_list(enumerated, kind, size, stops, asks):
    ends = hold(enumerated, listed(linear(kind, stops=stops, asks=asks), s0=size), CANCEL)
    assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("kinds", ["CC", "CN", "CP"])
def test_the_law_holds_for_a_list_between_steps(enumerated, kinds, stops):
    for name in ("s0", "s1"):
        if kinds[int(name[1])] != "P":
            hold(enumerated, listed(linear(kinds, stops=stops), **{name: (2, 2)}), CANCEL)
    assert {"completed", "compensated"} <= hold(enumerated, listed(linear("C" + kinds, stops=stops), s1=(2, 2)), QUIET)


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_law_holds_for_a_list_after_the_pivot(enumerated, parallel):
    definition = listed(linear("PN"), s1=(2, parallel))
    assert "needs_attention" in hold(enumerated, definition, CANCEL)
    hold(enumerated, definition, DECISIONS)


@pytest.mark.parametrize("stops", [True, False])
def test_the_law_holds_for_two_lists_after_each_other_and_beside_each_other(enumerated, stops):
    sizes = {"s0": (2, 2), "s1": (2, 1)}
    for after in ({"1": "0"}, {}):
        ends = hold(enumerated, listed(graph("CC", after, stops=stops), **sizes), QUIET)
        assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize("kinds", ["C", "N", "CC"])
def test_the_law_holds_for_an_empty_list(enumerated, kinds):
    definition = listed(linear(kinds), s0=(0, 1))
    assert "completed" in hold(enumerated, definition, CANCEL)


@pytest.mark.parametrize("shape", [{"kinds": "CC", "after": {"1": "0"}}, {"kinds": "CC", "after": {}}])
@pytest.mark.parametrize("asks", [True, False])
def test_the_law_holds_for_what_is_no_list(enumerated, shape, asks):
    definition = graph(**shape, asks=asks)
    for source, is_broken in (({}, False), (None, False), ([], True)):
        steps = (definition.steps[0], replace(definition.steps[1], for_each=Fixed(source, is_broken)))
        ends = hold(enumerated, replace(definition, steps=steps), CANCEL)
        assert "completed" not in ends
        assert "compensated" in ends


def test_the_law_holds_for_what_is_no_list_after_the_pivot(enumerated):
    definition = linear("PN")
    steps = (definition.steps[0], replace(definition.steps[1], for_each=Fixed("no list")))
    assert {"completed", "needs_attention"} <= hold(enumerated, replace(definition, steps=steps), DECISIONS)


@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
def test_the_law_holds_for_a_list_whose_condition_is_false(enumerated, size):
    definition = listed(graph("CCC", {"1": "0", "2": "1"}, false="1"), s1=size)
    assert {"completed", "compensated"} <= hold(enumerated, definition, CANCEL)


@pytest.mark.parametrize("kind", "XY")
@pytest.mark.parametrize("stops", [True, False])
def test_the_law_holds_when_the_input_of_an_item_has_no_value(enumerated, kind, stops):
    ends = hold(enumerated, listed(linear(kind, stops=stops), s0=(3, 2)), CANCEL)
    assert ("completed" in ends) == (kind == "Y")


@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
@pytest.mark.parametrize(("stops", "asks"), POLICIES)
def test_the_law_holds_for_two_attempts_of_each_item(enumerated, size, stops, asks):
    definition = listed(linear("C", attempts=2, stops=stops, asks=asks), s0=size)
    assert {"completed", "compensated"} <= hold(enumerated, definition, QUIET)


@pytest.mark.parametrize(("stops", "asks"), POLICIES)
@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
def test_the_law_holds_whatever_a_person_decides_about_items(enumerated, size, stops, asks):
    ends = hold(enumerated, listed(linear("C", stops=stops, asks=asks), s0=size), DECISIONS)
    assert {"completed", "compensated", "partially_compensated", "terminated"} <= ends


def test_the_law_holds_for_items_with_losses_a_deadline_and_a_cancel(enumerated):
    definition = listed(linear("C", deadline=True), s0=(2, 2))
    hold(enumerated, definition, Allowance(cancels=1, retries=0, losses=1, deadlines=1))


@pytest.mark.parametrize("kind", "TSWGAB")
@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
def test_the_law_holds_for_a_list_of_waits(enumerated, kind, size):
    allowance = Allowance(cancels=1, retries=0, losses=0, deadlines=1, signals=2, answers=2)
    ends = hold(enumerated, listed(linear(kind + "C", deadline=True), s0=size), allowance)
    assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("stops", [True, False])
def test_the_law_holds_for_a_list_of_sub_sagas(enumerated, size, stops):
    ends = hold(enumerated, listed(linear("R", stops=stops), s0=size), CANCEL)
    assert {"completed", "compensated", "needs_attention"} <= ends


@pytest.mark.parametrize("after", [{}, {"2": "01"}])
def test_the_law_holds_for_a_list_beside_a_sub_saga_that_may_pass_its_pivot(enumerated, after):
    kinds = "RCN" if after else "RC"
    ends = hold(enumerated, listed(graph(kinds, after), s1=(2, 1)), QUIET)
    assert {"completed", "compensated", "needs_attention"} <= ends


def test_the_law_holds_for_a_list_that_is_undone_with_its_parent(enumerated):
    ends = hold(enumerated, listed(linear("CN"), s0=(2, 1)), replace(QUIET, undos=1))
    assert {"completed", "compensated"} <= ends
