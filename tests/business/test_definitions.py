"""The example sagas are in order, and whatever goes wrong with a step ends as the law and their own words say."""

from __future__ import annotations

import pytest
from django.apps import apps

from sagas.core.definition import Timer
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.vocabulary import StepKey, StepStatus
from sagas.participants import registry
from tests.business.cases import EXAMPLES, steps_of
from tests.invariants import violations

each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.saga)
RESTS = {"completed", "compensated", "needs_attention", "still_retrying"}


def compiled(example):
    facts = registry.facts()
    return compile_document(check_source(example.path.read_text(), facts).document, facts)


def test_every_file_is_an_example_and_every_example_a_file():
    files = [path.stem for path in apps.get_app_config("business").definitions()]
    assert files == [one.saga for one in EXAMPLES]


@each
def test_it_has_neither_a_mistake_nor_a_warning_and_is_named_as_its_file(example):
    checked = check_source(example.path.read_text(), registry.facts())
    assert (checked.problems, checked.warnings) == ((), ())
    assert checked.document["saga"] == example.saga


@each
def test_it_begins_with_what_it_is_and_what_its_failures_teach(example):
    head = example.path.read_text().partition("saga:")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert 3 < len(head.splitlines()) < 10


@each
def test_what_it_says_stays_behind_is_what_has_no_compensation(example):
    definition = compiled(example)
    said = {
        step.name
        for step in definition.steps
        if step.writes
        and not step.is_sub_saga
        and step.compensation is None
        and not step.is_pivot
        and step.name not in definition.past_pivot
    }
    assert said == example.stays


@each
def test_every_row_of_its_failure_matrix_keeps_the_law_and_leaves_only_what_it_says(example):
    definition = compiled(example)
    for changes in ({}, *example.also):
        rows = failure_matrix(definition, example.input_for("case", **changes))
        can_fail = {step.name for step in definition.steps if not isinstance(step.wait, Timer)}
        assert {row.step for row in rows} == {"", *can_fail}
        for row in rows:
            assert faults_of(example, definition, row) == []


def faults_of(example, definition, row) -> list[str]:
    """Return what is wrong with how one line of the matrix ends."""
    run = row.simulation
    status, left = run.status.value, steps_of(one.step for one in run.leftovers)
    journal = [(place, event, at) for place, (event, at) in enumerate(run.journal, start=1)]
    found = violations(definition, journal, run.state)
    if status not in RESTS:
        found.append("it does not rest")
    if row.case in {Case.NOTHING, Case.WORKER_LOST} and status != "completed":
        found.append("it should complete")
    if run.state.is_past_pivot and run.undone:
        found.append("something was undone past the pivot")
    if status == "compensated" and not left <= example.stays:
        found.append("more stays behind than it says")
    if status == "needs_attention" and not only_a_person_can_go_on(definition, run):
        found.append("a person is asked for what the saga could decide")
    was_done = run.state.step(StepKey(row.step)).status is StepStatus.SUCCEEDED
    if row.case is Case.COMPENSATION_FAILS and was_done and row.step not in left:
        found.append("what could not be undone is not told")
    return [f"{row.step} {row.case}: {status}, undone {run.undone}, left {sorted(left)}: {one}" for one in found]


def only_a_person_can_go_on(definition, run) -> bool:
    """Whether what waits for a person is a compensation, the pivot or what follows it, or in doubt by request."""
    return bool(run.state.attention) and all(
        one.phase == "compensation"
        or one.step == definition.pivot
        or one.step in definition.past_pivot
        or (definition.asks_when_in_doubt and run.state.step(one.key).status is StepStatus.IN_DOUBT)
        for one in run.state.attention
    )
