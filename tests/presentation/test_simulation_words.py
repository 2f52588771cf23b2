"""Whatever a simulation can come to has words."""

from __future__ import annotations

import pytest

from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.simulation import Why
from sagas.presentation import simulation

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


@pytest.mark.parametrize(("vocabulary", "words"), [(Case, simulation._CASES), (Why, simulation._WHYS)])
def test_every_word_of_the_law_has_words_for_people(vocabulary, words):
    assert set(words) == set(vocabulary)


def test_the_matrix_of_a_saga_with_everything_in_it_is_a_table_stories_and_a_file_of_tests():
    checked = check_source(EVERYTHING, {})
    rows = failure_matrix(compile_document(checked.document, {}), {})
    assert {row.case for row in rows} == set(Case)
    assert any("nobody answers" in line for line in simulation.table(rows))
    for row in rows:
        assert list(simulation.story(row.simulation))
    compile(simulation.pytest_file(rows, "everything.yaml"), "test_everything.py", "exec")
