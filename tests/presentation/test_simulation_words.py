"""Whatever a simulation can come to has words."""

from __future__ import annotations

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.simulation import Why
from sagas.presentation import simulation
from sagas.testing import simulate
from tests.choreography.documents import ORDER, WATCHED

OF_EVENTS = {Case.SAYS_NOTHING, Case.COMES}
EVERYTHING = """
saga: everything
deadline: 30d
steps:
  - {name: pay, action: a.pay, compensation: {action: a.refund}}
  - {name: rest, sleep: 1h}
  - {name: paid, wait_for: {signal: paid, timeout: 1d}}
  - {name: agree, approval: {timeout: 1d}}
  - {name: ship, run: ship-it}
  - {name: each, for_each: "${[1, 2]}", action: a.each, compensation: {action: a.unmake}}
  - {name: tell, action: a.tell, compensation: none, probe: {python: a.told}}
"""


@pytest.mark.parametrize(("vocabulary", "words"), [(Case, simulation.CASES), (Why, simulation._WHYS)])
def test_every_word_of_the_law_has_words_for_people(vocabulary, words):
    assert set(words) == set(vocabulary)


def test_the_matrix_of_a_saga_with_everything_in_it_is_a_table_stories_and_a_file_of_tests():
    checked = check_source(EVERYTHING, {})
    rows = failure_matrix(compile_document(checked.document, {}), {})
    assert {row.case for row in rows} == set(Case) - OF_EVENTS
    assert any("nobody answers" in line for line in simulation.table(rows))
    for row in rows:
        assert list(simulation.story(row.simulation))
    compile(simulation.pytest_file(rows, "everything.yaml"), "test_everything.py", "exec")


def test_the_matrix_of_a_choreography_says_who_undoes_and_who_is_missed():
    told = {}
    for source in (ORDER, WATCHED):
        facts = {"engine.plain": ActionFacts()}
        rows = failure_matrix(compile_document(check_source(source, facts).document, facts), {"order_id": "7"})
        lines = list(simulation.table(rows))
        told |= {row.step: line for row, line in zip(rows, lines[2:], strict=False)}
        assert ("missing" in lines[0]) is (source is WATCHED), "only events are missed"
        for row in rows:
            assert list(simulation.story(row.simulation))
        compile(simulation.pytest_file(rows, "order.yaml"), "test_order.py", "exec")
    assert "stock.restored from inventory (restore_stock)" in told["restore_stock"]


def test_the_story_of_a_choreographed_run_names_events_and_reactions():
    lines = list(simulation.story(simulate(WATCHED, {"order_id": "7"}, {"ship": "rejected"})))
    assert lines[:2] == ["order: compensated after 0 s on the simulated clock", "because of the event shipment.failed"]
    told = [line.partition("0 s")[2].strip() for line in lines]
    for said in (
        "order.placed from /storefront, to which take_payment reacts",
        "ship: left to its service, which is to publish order.shipped or shipment.failed",
        "to be undone: reserve_stock, take_payment",
        "reserve_stock: undone by restore_stock",
    ):
        assert said in told
    assert "Undone, in this order:  reserve_stock by restore_stock, take_payment by refund_payment" in lines
    silent = list(
        simulation.story(simulate(WATCHED, {"order_id": "7"}, {"refund_payment": "never", "ship": "rejected"}))
    )
    assert "Missing:                payment.refunded from payments (refund_payment)" in silent


def test_every_kind_of_entry_that_events_leave_has_words():
    late = {"verb": "event", "type": "order.shipped", "at_s": 7, "id": "late"}
    early = {"verb": "event", "type": "order.shipped", "early": True}
    again = {"verb": "event", "type": "payment.refunded", "at_s": 9}
    slow = {"take_payment": "never"}
    told = "\n".join(
        line
        for script in (({}, [early, late, again]), ({}, [late, again]), (slow, []))
        for line in simulation.story(simulate(WATCHED, {"order_id": "7"}, script[0], orders=script[1]))
    )
    for said in ("its event had come before", "the run is opened again", "later than usual", "after the end"):
        assert said in told
