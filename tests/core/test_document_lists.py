"""Lists in documents: what is read, what is refused, and in which words."""

from __future__ import annotations

import pytest

from sagas.core.document import compile_document
from sagas.core.expressions import compile_template
from sagas.core.limits import ITEMS_MAX
from sagas.core.list_form import item_names
from sagas.core.names import Names
from sagas.core.source import read_source
from tests.documents import ACTIONS, one, said, steps, warned

NOT_HERE = "is known only in a step with `for_each`, and there not in `for_each` and `when`."

WRONG = [
    (one("    for_each: 5\n"),
     [("steps[0].for_each (line 5, column 15): `for_each` must be an expression that gives a list, such as "
       "${input.items}, or a list; found the number 5.")]),
    (one("    for_each: items\n"),
     [("steps[0].for_each (line 5, column 15): `for_each` must be an expression that gives a list, such as "
       '${input.items}, or a list; found "items".')]),
    (one("    for_each:\n"),
     [("steps[0].for_each (line 6, column 1): `for_each` must be an expression that gives a list, such as "
       "${input.items}, or a list; found nothing.")]),
    (one(f"    for_each: [{'1,' * (ITEMS_MAX + 1)}]\n"),
     ["steps[0].for_each (line 5, column 15): A list has at most 10000 items; found 10001."]),
    (one("    for_each: ${input.orders}\n    max_parallel: 0\n"),
     [("steps[0].max_parallel (line 6, column 19): `max_parallel` must be a whole number from 1 to 100; "
      "found the number 0.")]),
    (one("    for_each: ${input.orders}\n    max_parallel: 101\n"),
     [("steps[0].max_parallel (line 6, column 19): `max_parallel` must be a whole number from 1 to 100; "
      "found the number 101.")]),
    (one("    for_each: ${input.orders}\n    max_parallel: true\n"),
     ["steps[0].max_parallel (line 6, column 19): `max_parallel` must be a whole number from 1 to 100; found true."]),
    (one("    max_parallel: 2\n"),
     ["steps[0].max_parallel (line 5, column 5): `max_parallel` has no meaning without `for_each`."]),
    (one("    for_eech: ${input.orders}\n"),
     ["steps[0].for_eech (line 5, column 5): `for_eech` is not a key of a step. Did you mean `for_each`?"]),
    (one("    for_each: ${input.orders}\n    when: ${item.is_due}\n"),
     [f"steps[0].when (line 6, column 11): `item` {NOT_HERE}"]),
    (one("    for_each: ${item.parts}\n"), [f"steps[0].for_each (line 5, column 15): `item` {NOT_HERE}"]),
    (one("    with: {place: '${index + 1}'}\n"), [f"steps[0].with.place (line 5, column 19): `index` {NOT_HERE}"]),
    (one("    for_each: ${input.orders}\noutput: ${item}\n"), [f"output (line 6, column 9): `item` {NOT_HERE}"]),
    (one("    for_each: ${steps.look.output}\n"),
     [("steps[0].for_each (line 5, column 15): Step `look` does not come before this place, so it has no output or "
      "status to read here.")]),
    (steps("  - name: pay\n    action: shop.pay\n    for_each: ${input.orders}\n    pivot: true\n"),
     [("steps[0].for_each (line 5, column 5): The pivot is the point of no return: it happens once, not for each item "
      "of a list.")]),
    (steps("  - name: pay\n    action: shop.pay\n    for_each: ${input.orders}\n"),
     [("steps[0].compensation (line 3, column 5): Step `pay` changes something and has no `compensation`. "
      "Give it an action that undoes it, or say `compensation: none`.")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), WRONG, ids=range(len(WRONG)))
def test_a_document_with_a_wrong_list_is_refused_with(text, messages):
    assert said(text) == messages


RIGHT = steps("""\
  - name: pay
    action: shop.pay
    for_each: ${input.orders}
    max_parallel: 3
    when: ${input.orders.size() > 0}
    with: {id: "${item.id}", place: "${index + 1}", whole: "${item}"}
    compensation: {action: shop.refund, with: {id: "${item.id}", n: "${index}", was: "${step.input}"}}
  - name: nap
    sleep_until: ${item}
    for_each: ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]
    with_nothing: 1
""").replace("    with_nothing: 1\n", "")


def test_a_list_is_read_and_its_names_are_known_where_an_item_is_carried_out_or_undone():
    assert said(RIGHT) == []
    document, _report = read_source(RIGHT)
    pay, nap = compile_document(document, ACTIONS).steps
    assert pay.for_each.source == "${input.orders}"
    assert pay.max_parallel == 3
    assert nap.for_each.render({}) == ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]
    assert nap.max_parallel == 10


def test_an_item_may_be_any_json():
    names = item_names({"for_each": 1}, Names())
    template = compile_template({"a": "${item.a}", "n": "${index}", "t": "${item.a.b} #${index + 1}"}, names)
    assert template.render({"item": {"a": {"b": "x"}}, "index": 4}) == {"a": {"b": "x"}, "n": 4, "t": "x #5"}
    assert compile_template("${item}", names).render({"item": None, "index": 0}) is None


def test_the_time_budget_counts_the_rounds_of_a_list_that_is_written_out():
    wrong = one("    for_each: [1, 2, 3]\n    max_parallel: 2\n    retry: {attempts: 1}\ndeadline: 59s\n")
    assert warned(wrong) == [
        (
            "deadline (line 8, column 11): Time-outs, attempts and waits of the steps add up to 60 s on the longest "
            "way, which is more than the deadline of 59 s."
        )
    ]
    assert warned(wrong.replace("[1, 2, 3]", "${input.orders}")) == []


def test_an_input_that_only_a_list_reads_is_read():
    assert warned(one("    for_each: ${input.orders}\ninput: {properties: {orders: {type: array}}}\n")) == []
