"""Runs on paper whose steps have lists."""

from __future__ import annotations

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import failure_matrix
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.presentation.simulation import pytest_file, story, table
from tests.invariants import violations

SOURCE = """\
saga: boxes
defaults: {retry: {attempts: 2, initial: 1s, jitter: 0}, timeout: 10s}
steps:
  - {name: find, action: shop.find}
  - name: pack
    action: shop.pack
    for_each: LIST
    max_parallel: 2
    with: {what: "${item.what}", number: "${index + 1}"}
    compensation: {action: shop.unpack, with: {what: "${item.what}"}}
  - {name: send, action: shop.send, compensation: none, with: {first: "${steps.pack.output[0].id}"}}
"""
BOXES = {"boxes": [{"what": name} for name in "abcd"]}


def boxes(listed: str = "${input.boxes}"):
    checked = check_source(SOURCE.replace("LIST", listed), {"shop.find": ActionFacts(reads_only=True)})
    assert checked.problems == ()
    return compile_document(checked.document, {"shop.find": ActionFacts(reads_only=True)})


def run(faults=None, orders=(), *, definition=None, value=None):
    found = simulate(definition or boxes(), BOXES if value is None else value, faults, orders=orders)
    journal = [(place, *entry) for place, entry in enumerate(found.journal, start=1)]
    assert violations(found.definition, journal, found.state) == []
    return found


def codes(found) -> list[str]:
    return [note.code for note in found.notes]


def test_every_item_succeeds_when_nothing_goes_wrong():
    found = run()
    assert found.status == "completed"
    (pack,) = [step for step in found.steps if step["step"] == "pack"]
    assert (pack["items_total"], pack["items_done"], pack["attempts_made"]) == (4, 4, 4)


def test_a_fault_of_a_step_is_one_of_each_of_its_items():
    found = run({"pack": ["failed"]})
    assert (found.status, found.took_s) == ("completed", 2.0), "two at once, each tried again after a second"
    assert next(step for step in found.steps if step["step"] == "pack")["attempts_made"] == 8


def test_one_item_is_named_by_its_number():
    found = run({"pack[2]": "rejected", "pack": {"outcome": "succeeded", "output": {"id": 7}}})
    assert found.status == "compensated"
    assert found.reason["item"] == 2
    assert found.undone == ["pack[3]", "pack[1]", "pack[0]"], "the last one was under way when that was refused"
    assert found.leftovers == []


def test_what_a_compensation_of_one_item_leaves_behind():
    found = run({"send": "rejected", "pack[1].compensation": "rejected"}, [{"verb": "give_up", "step": "pack[1]"}])
    assert found.status == "partially_compensated"
    assert [(one.step, one.why) for one in found.leftovers] == [("pack[1]", "given_up")]
    assert found.undone == ["pack[3]", "pack[2]", "pack[0]"]
    held = run({"send": "rejected", "pack[1].compensation": "rejected"})
    assert held.attention == ["pack[1].compensation"]


def test_an_unknown_item_may_have_happened():
    found = run({"pack[0]": {"outcome": "unknown", "happened": True}, "pack[0].compensation": "rejected"})
    assert [(one.step, one.is_certain) for one in found.leftovers] == [("pack[0]", True)]


def test_a_list_that_the_script_does_not_give_is_supposed_to_have_one_item():
    for listed in ("${steps.find.output}", "${steps.find.output.boxes}", "${steps.find.output.boxes.filter(b, true)}"):
        found = run({"send": "rejected"}, definition=boxes(listed))
        assert (found.status, found.undone) == ("compensated", ["pack[0]"])
        assert "output_missing" in codes(found)
    found = run(
        {"find": {"outcome": "succeeded", "output": [{"what": "x"}] * 3}}, definition=boxes("${steps.find.output}")
    )
    assert next(step for step in found.steps if step["step"] == "pack")["items_total"] == 3


def test_an_input_that_is_no_list_fails_the_step_as_in_life():
    assert run(value={"boxes": 5}).status == "compensated"


def test_an_order_comes_while_items_are_under_way_and_may_name_one():
    found = run(orders=[{"verb": "cancel", "during": "pack[3]"}])
    assert (found.status, len(found.undone)) == ("compensated", 4)
    assert run(orders=[{"verb": "cancel", "during": "pack"}]).undone == ["pack[1]", "pack[0]"]


def test_what_is_said_of_items_that_are_none():
    for name, message in (
        ("find[0]", "Step `find` has no `for_each`, so it has no item 0."),
        ("pakc[0]", "The saga has no step `pakc[0]`. Did you mean `pack`?"),
        ("pack[-1]", "The saga has no step `pack[-1]`. Did you mean `pack`?"),
    ):
        with pytest.raises(SimulationInvalidError) as caught:
            run({name: "rejected"})
        assert [problem.message for problem in caught.value.problems] == [message]
    message = "`pack[9]` was never tried, so its script changed nothing."
    assert message in [note.message for note in run({"pack[9]": "rejected"}).notes]


def test_the_matrix_of_a_saga_with_a_list(tmp_path):
    rows = failure_matrix(boxes(), BOXES)
    ends = {(row.step, str(row.case)): str(row.simulation.status) for row in rows}
    assert ends["pack", "rejected"] == ends["pack", "worker_lost_always"] == "compensated"
    assert ends["pack", "worker_lost"] == "completed"
    assert ends["pack", "compensation_fails"] == "needs_attention"
    assert any("pack[1]" in line for line in table(rows))
    assert "pack[1]" in pytest_file(rows, "boxes.yaml")


def test_a_story_of_a_long_list_stays_short():
    many = {"boxes": [{"what": number} for number in range(1000)]}
    found = run({"send": "rejected"}, value=many)
    lines = list(story(found))
    assert any("pack: 1000 of 1000 items done" in line for line in lines) or len(lines) > 100
    assert any(line.endswith("pack[980] and 980 more") for line in lines)
    assert max(map(len, lines)) < 400
