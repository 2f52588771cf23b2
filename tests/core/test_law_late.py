"""Late reports: whatever an attempt that ended unknown says later, at any point of small sagas."""

from __future__ import annotations

import pytest

from tests.core.law import Allowance, explore, graph, linear
from tests.core.test_law_items import listed

LATE = Allowance(cancels=0, retries=0, losses=0, deadlines=0, reports=2)
LATE_AND_ORDERS = Allowance(cancels=1, retries=1, losses=0, deadlines=0, reports=1, decisions=1)


def hold(enumerated, definition, allowance):
    seen = explore(definition, allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("shape", ["C", "N", "P", "c", "p", "CC", "CP", "cC", "PN"])
def test_the_law_holds_for_late_reports_at_any_point(enumerated, shape, stops, asks):
    ends = hold(enumerated, linear(shape, attempts=1, stops=stops, asks=asks), LATE)
    assert {"completed", "compensated"} <= ends


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("shape", ["C", "P", "c"])
def test_the_law_holds_for_late_reports_between_two_attempts(enumerated, shape, asks):
    assert {"completed", "compensated"} <= hold(enumerated, linear(shape, attempts=2, asks=asks), LATE)


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("shape", ["C", "c", "P", "CC"])
def test_the_law_holds_for_late_reports_whatever_a_person_orders(enumerated, shape, asks):
    ends = hold(enumerated, linear(shape, attempts=1, asks=asks), LATE_AND_ORDERS)
    assert {"completed", "compensated", "terminated"} <= ends


@pytest.mark.parametrize("stops", [True, False])
def test_the_law_holds_for_late_reports_of_steps_beside_each_other(enumerated, stops):
    assert {"completed", "compensated"} <= hold(enumerated, graph("CC", {}, stops=stops), LATE)


@pytest.mark.parametrize("kind", ["C", "c"])
@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
def test_the_law_holds_for_late_reports_of_the_items_of_a_list(enumerated, kind, size):
    reports = Allowance(cancels=0, retries=0, losses=0, deadlines=0, reports=1)
    assert {"completed", "compensated"} <= hold(enumerated, listed(linear(kind), s0=size), reports)
