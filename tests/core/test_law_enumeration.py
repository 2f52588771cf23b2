"""Every small linear saga, every outcome at every attempt, a cancel at any point: the invariants hold.

With HYPOTHESIS_PROFILE=prove also everything at once: orders, losses and the
deadline at any point of every run (minutes).
"""

from __future__ import annotations

import os
from itertools import product

import pytest

from tests.core.law import Allowance, explore, linear, shapes

CANCEL = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
ALL = Allowance(cancels=1, retries=1, losses=1, deadlines=1)
SHAPES = [shape for length in (1, 2, 3) for shape in shapes(length)]
POLICIES = list(product((True, False), (False, True)))  # stops on a failed compensation, asks when in doubt

is_proving = os.environ.get("HYPOTHESIS_PROFILE") == "prove"


def hold(enumerated, allowance, shape, *, attempts, policies=POLICIES, deadline=False):
    """Explore one shape under each policy; return all the ways in which its runs end."""
    ends: set[str] = set()
    for stops, asks in policies:
        seen = explore(linear(shape, attempts=attempts, stops=stops, asks=asks, deadline=deadline), allowance)
        enumerated["definitions"] += 1
        enumerated["states"] += seen.states
        enumerated["runs"] += seen.runs
        ends |= seen.ends
    return ends


@pytest.mark.parametrize("shape", SHAPES)
def test_the_law_holds_for_every_outcome_of_a_single_attempt(enumerated, shape):
    ends = hold(enumerated, CANCEL, shape, attempts=1)
    assert "completed" in ends
    assert "compensated" in ends


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) < 3])
def test_the_law_holds_for_every_outcome_of_two_attempts(enumerated, shape):
    assert {"completed", "compensated"} <= hold(enumerated, CANCEL, shape, attempts=2)


@pytest.mark.parametrize("shape", ["CCN", "CPN", "NCP"])
def test_the_law_holds_for_two_attempts_of_the_sagas_people_write(enumerated, shape):
    hold(enumerated, CANCEL, shape, attempts=2, policies=POLICIES[:1])


@pytest.mark.parametrize("shape", ["C", "P", "CC", "CP", "PN"])
def test_the_law_holds_with_orders_losses_and_a_deadline_at_any_point(enumerated, shape):
    hold(enumerated, ALL, shape, attempts=1, deadline=True, policies=POLICIES if len(shape) == 1 else POLICIES[::2])


@pytest.mark.parametrize("shape", ["X", "Y", "CX", "YC", "YY", "CXC"])
def test_the_law_holds_when_an_input_has_no_value(enumerated, shape):
    ends = hold(enumerated, CANCEL, shape, attempts=1)
    assert ("completed" in ends) == ("X" not in shape), "a step without its input never succeeds"


@pytest.mark.parametrize("shape", ["C", "P"])
def test_a_step_that_ends_its_worker_five_times_in_a_row_is_not_tried_for_ever(enumerated, shape):
    losses = Allowance(cancels=0, retries=0, losses=7, deadlines=0)
    assert {"completed", "compensated"} <= hold(enumerated, losses, shape, attempts=2, policies=POLICIES[:1])


@pytest.mark.parametrize("shape", ["C", "P", "CC", "CP", "PN", "CN"])
def test_the_law_holds_whatever_a_person_decides(enumerated, shape):
    decisions = Allowance(cancels=0, retries=1, losses=0, deadlines=0, decisions=2)
    ends = hold(enumerated, decisions, shape, attempts=1)
    assert {"completed", "compensated", "terminated"} <= ends
    assert ("partially_compensated" in ends) == ("C" in shape)


@pytest.mark.parametrize("shape", ["C", "P", "CP"])
def test_the_law_holds_for_decisions_between_two_attempts_and_a_cancel(enumerated, shape):
    decisions = Allowance(cancels=1, retries=0, losses=0, deadlines=1, decisions=2)
    hold(enumerated, decisions, shape, attempts=2, deadline=True, policies=POLICIES[::3])


@pytest.mark.slow
@pytest.mark.skipif(not is_proving, reason="with HYPOTHESIS_PROFILE=prove only: minutes")
@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_law_holds_for_everything_at_once(enumerated, shape, attempts):
    hold(enumerated, ALL, shape, attempts=attempts, deadline=True)
