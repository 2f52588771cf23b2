from __future__ import annotations

import pytest

from sagas.queries.plan import Undo, step_plans
from tests import factories as f


def test_a_plan_knows_what_undoes_each_step_and_where_the_pivot_is():
    plans = step_plans(f.BOOK_ORDER)
    assert [plan.undo for plan in plans] == [
        Undo.DECLARED,
        Undo.DECLARED,
        Undo.NOT_NEEDED,
        Undo.AFTER_PIVOT,
        Undo.AFTER_PIVOT,
    ]
    assert [plan.name for plan in plans if plan.is_pivot] == ["create_shipment"]
    assert (plans[1].compensation, plans[1].compensation_title) == ("shop.refund_payment", "Refund payment")


def test_a_step_that_runs_another_saga_is_undone_with_it_unless_it_says_otherwise():
    said = ({}, {"compensation": "none"}, {"pivot": True})
    steps = [{"name": f"ship_{number}", "run": "ship-parcel", **more} for number, more in enumerate(said)]
    plans = step_plans({"steps": steps})
    assert [plan.undo for plan in plans] == [Undo.DECLARED, Undo.NOT_NEEDED, Undo.AFTER_PIVOT]
    assert (plans[0].action, plans[0].compensation_title) == ("ship-parcel", "Undo ship parcel")


def test_policies_come_from_the_step_then_the_defaults():
    pay, *_, receipt = step_plans(f.BOOK_ORDER)
    assert (pay.attempts_max, pay.compensation_attempts_max, pay.timeout_s) == (3, 8, 30.0)
    assert receipt.attempts_max is None


@pytest.mark.parametrize("document", [None, 7, {}, {"steps": "no"}, {"steps": [3, {"name": None}]}])
def test_a_document_of_another_form_never_breaks_a_page(document):
    assert all(plan.title for plan in step_plans(document))
