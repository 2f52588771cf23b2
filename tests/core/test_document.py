"""Documents: what is accepted, and what is said of each that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import ActionFacts, RetryPolicy
from sagas.core.document import (
    DocumentBrokenError,
    canonical_json,
    check_input,
    check_source,
    compile_document,
    content_hash,
)
from sagas.core.limits import STEPS_MAX
from tests.documents import ACTIONS, one, said, steps, warned

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = """\
saga: create-order
input:
  type: object
  required: [id]
  properties:
    id: {type: string}
    amount: {type: integer, minimum: 1}
key: ${input.id}
labels: {order: "${input.id}"}
amount: ${input.amount}
output: ${steps.ship.output}
deadline: 15m
steps:
  - name: pay
    action: shop.pay
    with: {id: "${input.id}", amount: "${input.amount}"}
    compensation:
      action: shop.refund
      with: {id: "${step.input.id}", why: "${reason}"}
  - name: ship
    action: {python: shop.ship}
    with: {receipt: "${steps.pay.output.receipt}"}
    compensation: none
    timeout: 10s
    retry: {attempts: 5}
"""


def compiled(text: str, actions=ACTIONS):
    checked = check_source(text, actions)
    assert not checked.problems
    return compile_document(checked.document, actions)


def test_a_good_document_has_no_problems_and_no_warnings():
    checked = check_source(GOOD, ACTIONS)
    assert (checked.problems, checked.warnings) == ((), ())


def test_a_document_compiles_to_what_it_says():
    saga = compiled(GOOD)
    assert (saga.saga, saga.title, saga.deadline_s, saga.pivot) == ("create-order", "Create order", 900.0, None)
    pay, ship = saga.steps
    assert (pay.title, pay.after, ship.after) == ("Pay", (), ("pay",))
    assert (pay.action.is_atomic, ship.action.is_atomic, pay.compensation.is_atomic) == (True, False, False)
    assert (pay.action.timeout_s, ship.action.timeout_s) == (30.0, 10.0)
    assert pay.compensation.retry == RetryPolicy(10, 1.0, 2.0, 300.0, 0.2)
    assert ship.action.retry == RetryPolicy(5, 1.0, 2.0, 60.0, 0.2)
    assert ship.compensation is None
    assert saga.key.render({"input": {"id": "A"}}) == "A"
    scope = {"step.input": {"id": "A"}, "reason": {"step": "ship"}}
    assert pay.compensation.arguments.render(scope) == {"id": "A", "why": {"step": "ship"}}


def test_what_a_step_does_not_say_is_said_by_the_defaults():
    saga = compiled(
        GOOD + "defaults: {timeout: 5s, retry: {attempts: forever, jitter: 0}, compensation_retry: {attempts: 2}}"
    )
    pay, ship = saga.steps
    assert (pay.action.timeout_s, pay.compensation.timeout_s, ship.action.timeout_s) == (5.0, 5.0, 10.0)
    assert (pay.action.retry.attempts, ship.action.retry.attempts, pay.compensation.retry.attempts) == (None, 5, 2)
    assert (pay.action.retry.jitter, ship.action.retry.jitter) == (0.0, 0.0)


def test_yaml_and_json_of_the_same_content_have_the_same_hash():
    document = check_source(GOOD, ACTIONS).document
    for text in (json.dumps(document), json.dumps(document, indent="\t"), "\n # a comment\n" + GOOD):
        again = check_source(text, ACTIONS)
        assert not again.problems
        assert again.document == document
        assert content_hash(again.document) == content_hash(document) == compiled(text).content_hash
    assert content_hash({**document, "title": "Other"}) != content_hash(document)


def test_a_document_survives_being_written_and_read():
    document = check_source(GOOD, ACTIONS).document
    assert json.loads(canonical_json(document)) == document


def test_every_problem_has_a_pointer_and_a_code():
    found = check_source(one("    retry: {atempts: 3}\n"), ACTIONS).problems[0]
    assert (found.pointer, found.code, found.line, found.column) == ("/steps/0/retry/atempts", "unknown_key", 5, 13)


def test_places_are_found_in_json_too():
    text = '{\n\t"saga": "a",\n\t"steps": [{"name": "x", "action": "shop.look", "timeuot": "1s"}]\n}'
    assert said(text) == [
        "steps[0].timeuot (line 3, column 49): `timeuot` is not a key of a step. Did you mean `timeout`?"
    ]


def test_json_text_is_read_as_json():
    text = json.dumps({"saga": "a", "description": "😀\u2028\t\x7f", "steps": [{"name": "x", "action": "shop.look"}]})
    assert check_source(text, ACTIONS).document["description"] == "😀\u2028\t\x7f"


def test_yaml_words_are_those_of_yaml_1_2():
    saga = compiled(one("    with: {a: no, b: 012, c: 2026-01-01, d: 1e3, e: 0x10, f: ~, g: '7', h: on}\n"))
    assert saga.steps[0].action.arguments.render({}) == {
        "a": "no", "b": 12, "c": "2026-01-01", "d": 1000, "e": 16, "f": None, "g": "7", "h": "on",
    }  # fmt: skip


def test_an_atomic_action_is_never_in_doubt_so_its_output_may_be_read():
    text = steps(
        "  - name: s\n    action: shop.pay\n    compensation: {action: shop.refund, with: {id: '${step.output}'}}"
    )
    assert warned(text) == []


def test_a_probe_is_given_what_the_action_is_given_and_as_much_time():
    more = "compensation: none, timeout: 7s, with: {a: 1}, probe: {python: shop.look}"
    (step,) = compiled(steps(f"  - {{name: pay, action: shop.ship, {more}}}\n")).steps
    assert step.probe is not None
    assert (step.probe.action.name, step.probe.arguments.source, step.probe.timeout_s) == ("shop.look", {"a": 1}, 7.0)
    assert step.probe.retry.attempts == 3
    assert step.halves == (step.action, step.probe)


def test_a_probe_that_is_never_asked_is_warned_of():
    pay = "  - {name: pay, action: shop.pay, compensation: none, probe: {python: shop.look}}\n"
    assert warned(steps(pay)) == [
        (
            "steps[0].probe (line 3, column 62): This probe is never asked: the outcome of an atomic action such as "
            "`shop.pay` is always known."
        )
    ]


def test_a_step_that_only_reads_needs_no_compensation_and_one_after_the_pivot_neither():
    saga = compiled(
        steps("  - {name: a, action: shop.look}\n  - {name: b, action: shop.pay, pivot: true}\n"
              "  - {name: c, action: shop.ship}\n")
    )  # fmt: skip
    assert [(step.writes, step.is_pivot, step.compensation) for step in saga.steps] == [
        (False, False, None), (True, True, None), (True, False, None),
    ]  # fmt: skip


def test_an_action_nobody_registered_counts_as_writing():
    assert "has no `compensation`" in said(steps("  - {name: x, action: shop.unknown}\n"))[0]


def test_what_was_published_compiles_although_the_registry_changed():
    """A reading action that became a writing one must not stop the runs that are under way."""
    document = check_source(one(""), ACTIONS).document
    saga = compile_document(document, {"shop.look": ActionFacts()})
    assert saga.steps[0].writes


def test_a_document_that_breaks_the_format_does_not_compile():
    with pytest.raises(DocumentBrokenError, match="`steps` is missing"):
        compile_document({"saga": "a"}, {})


def test_input_is_checked_against_the_schema_with_every_fault():
    saga = compiled(GOOD)
    assert check_input(saga, {"id": "A", "amount": 5}) == ()
    assert [str(problem) for problem in check_input(saga, {"amount": 0})] == [
        "id: `id` is missing.",
        "amount: 0 is less than the minimum of 1.",
    ]
    listing = compiled(one("input: {properties: {mode: {enum: [reject, fail, time_out, crash]}}}\n"))
    assert [str(problem) for problem in check_input(listing, {"mode": "timeout"})] == [
        'mode: Must be one of "reject", "fail", "time_out", "crash"; found "timeout".'
    ]
    strict = compiled(one("input: {properties: {}, additionalProperties: false}\n"))
    assert [(fault.pointer, fault.code) for fault in check_input(strict, {"a/b": 1})] == [("/a~1b", "unknown_key")]


@given(st.text("a:-[]{}'\"\\&*!|>%@`#?,\n ${}01.\t\0", max_size=40))
def test_any_text_is_a_document_or_gets_sentences(text):
    checked = check_source(text, ACTIONS)
    assert all(problem.message.endswith(".") for problem in checked.problems)
    assert checked.problems


def test_the_examples_have_no_problems():
    found = sorted(EXAMPLES.glob("shop/*.yaml"))
    assert found
    for path in found:
        assert check_source(path.read_text(), {}).problems == (), path


def test_a_saga_has_at_most_so_many_steps_each_of_which_may_compute_from_the_one_before():
    def chain(count: int) -> str:
        rows = [{"name": "s0", "action": "shop.look"}]
        for number in range(1, count):
            reads = f"${{steps.s{number - 1}.output + 1}}"
            rows.append({"name": f"s{number}", "action": "shop.look", "with": {"x": reads}})
        return json.dumps({"saga": "a", "steps": rows}, separators=(",", ":"))

    assert said(chain(STEPS_MAX)) == []
    assert said(chain(STEPS_MAX + 1)) == ["steps: A saga has at most 10000 steps; found 10001."]
