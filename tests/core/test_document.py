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
from sagas.core.limits import DOCUMENT_BYTES_MAX
from sagas.core.problem import check_payload

EXAMPLES = Path(__file__).parents[2] / "examples"
ACTIONS = {
    "shop.pay": ActionFacts(is_atomic=True),
    "shop.refund": ActionFacts(),
    "shop.ship": ActionFacts(),
    "shop.look": ActionFacts(reads_only=True),
}
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


def steps(text: str) -> str:
    return f"saga: a\nsteps:\n{text}"


def one(text: str) -> str:
    """A saga of one good step and more lines in it."""
    return steps(f"  - name: look\n    action: shop.look\n{text}")


def said(text: str) -> list[str]:
    return [str(problem) for problem in check_source(text, ACTIONS).problems]


def warned(text: str) -> list[str]:
    checked = check_source(text, ACTIONS)
    assert not checked.problems
    return [str(problem) for problem in checked.warnings]


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


WRONG = [
    ("", ["document: A saga must be a mapping of keys to values; found nothing."]),
    ("- a", ["document (line 1, column 1): A saga must be a mapping of keys to values; found a list."]),
    ("a: [1", ["document (line 1, column 6): This is not YAML: expected ',' or ']', but got '<stream end>'."]),
    ("a: *x", ["document (line 1, column 4): Aliases are not accepted; found `*x`. Write the value out."]),
    ("a: &x 1", ["document (line 1, column 4): Anchors are not accepted; found `&x`. Write the value out."]),
    ("a: !!python/name:os.system 1",
     ["document (line 1, column 4): Tags are not accepted; found `tag:yaml.org,2002:python/name:os.system`."]),
    ("a: 1\n---\nb: 1", ["document (line 2, column 1): One document is expected; a second one begins here."]),
    ("saga: a\nsaga: b", ["saga (line 2, column 1): `saga` is given twice; the first is on line 1."]),
    ('{"saga": "a",\n "saga": "b"}', ["saga (line 2, column 2): `saga` is given twice; the first is on line 1."]),
    ("? [a]\n: 1", ["document (line 1, column 3): A key must be text, not a list or a mapping."]),
    ('saga: "a\\0"', ["saga (line 1, column 7): Text must not contain the character U+0000."]),
    ('{"saga": "\\ud800"}', ["saga (line 1, column 10): Text must not contain half of a surrogate pair."]),
    ("saga: \ud800", ["document: The text contains half of a surrogate pair."]),
    ("a: 9223372036854775808", ["a (line 1, column 4): Whole numbers must fit into 64 bits."]),
    ("a: .nan", ["document (line 1, column 4): Numbers must be finite; found `.nan`."]),
    ("[" * 70 + "]" * 70, ["document (line 1, column 65): The document is nested deeper than 64 levels."]),
    ("a: " + "x" * DOCUMENT_BYTES_MAX, ["document: The document has 257 KiB; at most 256 are allowed."]),
    ("title: A\n", [
        "saga (line 1, column 1): `saga` is missing: "
        "the name by which this saga is known for life, such as create-order.",
        "steps (line 1, column 1): `steps` is missing: a saga is a list of steps.",
    ]),
    ("saga: Create Order\nsteps: []", [
        "saga (line 1, column 7): `saga` must be small letters, digits and single dashes, at most 64, "
        'such as create-order; found "Create Order".',
        "steps (line 2, column 8): `steps` must be a list of at least one step; found an empty list.",
    ]),
    ("saga: a\nstyle: choreography",
     ["style (line 2, column 8): `style: choreography` is part of the format but not built yet in this version."]),
    (one("    timeout: 10\n    retry: {atempts: 3, factor: 99}\n"), [
        "steps[0].timeout (line 5, column 14): `timeout` must be a duration such as 250ms, 10s, 5m, 2h, 1d or PT1H30M; "
        "found the number 10.",
        "steps[0].retry.atempts (line 6, column 13): `atempts` is not a key of a retry policy. Did you mean `attempts`?",
        "steps[0].retry.factor (line 6, column 33): `factor` must be a number from 1 to 10; found the number 99.",
    ]),
    (one("    timeout: 2d\n"),
     ['steps[0].timeout (line 5, column 14): `timeout` must be between 10ms and 1d; found "2d".']),
    (one("    retry: {attempts: 0, initial: 2m, max: 1m}\n"), [
        "steps[0].retry.attempts (line 5, column 23): `attempts` must be a whole number from 1 to 1000, or `forever`; "
        "found the number 0.",
        "steps[0].retry.max (line 5, column 44): `initial` (2m) is longer than `max` (1m).",
    ]),
    (one("    for_each: ${input.items}\n    when: ${input.ok}\n"), [
        "steps[0].for_each (line 5, column 5): `for_each` is part of the format but not built yet in this version.",
        "steps[0].when (line 6, column 5): `when` is part of the format but not built yet in this version.",
    ]),
    (steps("  - name: wait\n    sleep: 5m\n"),
     ["steps[0].sleep (line 4, column 5): `sleep` is part of the format but not built yet in this version."]),
    (steps("  - name: call\n    action: {http: {service: x}}\n    compensation: none\n"),
     ["steps[0].action.http (line 4, column 14): `http` is part of the format but not built yet in this version."]),
    (steps("  - name: Pay now\n    action: shop.look\n"), [
        "steps[0].name (line 3, column 11): `name` must be small letters, digits and underscores, a letter first, "
        'at most 64; found "Pay now".'
    ]),
    (steps("  - name: in\n    action: shop.look\n"),
     ["steps[0].name (line 3, column 11): `in` is a word of the expression language."]),
    (steps("  - {name: x, action: shop.look}\n  - {name: x, action: shop.look}\n"),
     ["steps[1].name (line 4, column 12): Two steps are called `x`; the first is step 1."]),
    (steps("  - {name: x}\n  - 5\n"), [
        "steps[0].action (line 3, column 5): `action` is missing: a step says what to call, such as shop.process_payment.",
        "steps[1] (line 4, column 5): A step must be a mapping of keys to values; found the number 5.",
    ]),
    (steps("  - name: x\n    action: shop pay\n"), [
        "steps[0].action (line 4, column 13): `action` must be the dotted name of an action, such as "
        'shop.process_payment; found "shop pay".',
    ]),
    (steps("  - name: pay\n    action: shop.pay\n"), [
        "steps[0].compensation (line 3, column 5): Step `pay` changes something and has no `compensation`. "
        "Give it an action that undoes it, or say `compensation: none`."
    ]),
    (steps("  - name: pay\n    action: shop.pay\n    compensation: {action: shop.refund, when: x}\n"), [
        "steps[0].compensation.when (line 5, column 41): A compensation never has `when`: what was done is undone."
    ]),
    (steps("  - name: pay\n    action: shop.pay\n    compensation: nothing\n"), [
        "steps[0].compensation (line 5, column 19): `compensation` must be a mapping with an action, or `none`; "
        'found "nothing".'
    ]),
    (steps("  - {name: a, action: shop.pay, pivot: true}\n  - {name: b, action: shop.pay, pivot: true}\n"),
     ["steps[1].pivot (line 4, column 40): A saga has at most one pivot; `a` is one already."]),
    (steps("  - name: a\n    action: shop.pay\n    pivot: true\n    compensation: {action: shop.refund}\n"), [
        "steps[0].compensation (line 6, column 5): The pivot is the point of no return: it cannot have a compensation."
    ]),
    (one("    pivot: 1\n"), ["steps[0].pivot (line 5, column 12): `pivot` must be true or false; found the number 1."]),
    (one("    with: [1]\n"),
     ["steps[0].with (line 5, column 11): `with` must be a mapping of arguments to values; found a list."]),
    (one("    with: {a: {b: ['${steps.later.output}', '${inptu.x}']}}\n"), [
        "steps[0].with.a.b[0] (line 5, column 20): No step is called `later`. Steps that can be read here: none.",
        "steps[0].with.a.b[1] (line 5, column 45): `inptu.x` is not a name here. Did you mean `input`?",
    ]),
    (one("  - name: last\n    action: shop.look\n    with: {x: '${steps.last.output}', y: '${step.output}'}\n"), [
        "steps[1].with.x (line 7, column 15): Step `last` does not come before this place, "
        "so it has no output or status to read here.",
        "steps[1].with.y (line 7, column 42): `step.output` is not a name here. Did you mean `steps`?",
    ]),
    (one("key: 5\namount: 1.5\nlabels: {Who: x, b: [1]}\nin_doubt: maybe\n"), [
        "key (line 5, column 6): `key` must be text with an expression; found the number 5.",
        "amount (line 6, column 9): `amount` must be an expression such as ${input.amount}, or a whole number; "
        "found the number 1.5.",
        "labels.Who (line 7, column 10): A label's name must be small letters, digits and underscores; found \"Who\".",
        "labels.b (line 7, column 21): A label must be text, a number, true or false; found a list.",
        'in_doubt (line 8, column 11): `in_doubt` must be `compensate` or `ask`; found "maybe".',
    ]),
    (one("key: ${run.id}\n"), ["key (line 5, column 6): `run.id` is not a name here. Known here: `input`."]),
    (one("input: {type: objekt}\n"), [
        "input.type (line 5, column 15): This is not JSON Schema 2020-12: "
        "\"objekt\" is not valid under any of the schemas listed in the 'anyOf' keyword."
    ]),
    (one("input: {properties: {a: {$ref: 'http://127.0.0.1/x'}}}\n"), [
        "input.properties.a.$ref (line 5, column 32): `$ref` may only point into this schema (`#/…`); "
        "found `http://127.0.0.1/x`."
    ]),
    (one("input: {$ref: '#/$defs/x'}\n"),
     ["input (line 5, column 8): This schema cannot be used: Pointer '/$defs/x' does not exist."]),
    (one("input: {pattern: '(?=a)b'}\n"),
     ['input.pattern (line 5, column 18): This schema cannot be used: "(?=a)b" is not a "regex".']),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_document_is_refused_with(text, messages):
    assert said(text) == messages


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


LINT = [
    (one("key: fixed\n"), ["key (line 5, column 6): The key is the same for every start, so only one run can ever begin."]),
    (steps("  - name: x\n    action: shop.lok\n    compensation: none\n"), [
        "steps[0].action (line 4, column 13): No action called `shop.lok` is registered here. Did you mean `shop.look`?"
    ]),
    (steps("  - {name: a, action: shop.pay, pivot: true}\n"
           "  - name: b\n    action: shop.ship\n    compensation: {action: shop.refund}\n"), [
        "steps[1].compensation (line 6, column 19): This compensation never runs: `b` comes after the pivot `a`."
    ]),
    (one("    retry: {attempts: forever}\n"), [
        "steps[0].retry (line 5, column 12): Step `look` is tried for ever and the saga has no `deadline`, "
        "so it may never end."
    ]),
    (steps("  - name: s\n    action: shop.ship\n"
           "    compensation: {action: shop.refund, with: {id: '${step.output.id}'}}\n"), [
        "steps[0].compensation.with (line 5, column 47): `step.output` is missing when the outcome of the action is "
        "unknown. Read from `input` or `step.input` what the compensation needs."
    ]),
    (one("deadline: 1m\n"), [
        "deadline (line 5, column 11): Time-outs, attempts and waits of the steps add up to 93 s, "
        "which is more than the deadline of 60 s."
    ]),
    (one("input: {properties: {a: {}, b: {}}}\nkey: ${input.a}\n"),
     ["input.properties.b (line 5, column 32): No expression reads `input.b`."]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), LINT, ids=range(len(LINT)))
def test_a_suspicious_document_is_accepted_with_a_warning(text, messages):
    assert warned(text) == messages


def test_an_atomic_action_is_never_in_doubt_so_its_output_may_be_read():
    text = steps(
        "  - name: s\n    action: shop.pay\n    compensation: {action: shop.refund, with: {id: '${step.output}'}}"
    )
    assert warned(text) == []


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
    strict = compiled(one("input: {properties: {}, additionalProperties: false}\n"))
    assert [(fault.pointer, fault.code) for fault in check_input(strict, {"a/b": 1})] == [("/a~1b", "unknown_key")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": ["x\0"]}, "a[0]: Text must not contain the character U+0000."),
        ({"a\0": 1}, "a\0: Text must not contain the character U+0000."),
        (["\udfff"], "[0]: Text must not contain half of a surrogate pair."),
        ({"a": 2**63}, "a: Whole numbers must fit into 64 bits."),
        (-(2**63) - 1, "document: Whole numbers must fit into 64 bits."),
        (1e300, "document: Numbers must be smaller than 2^63."),
        (float("inf"), "document: Numbers must be finite."),
        ("x" * 256 * 1024, "document: This is 257 KiB; at most 256 KiB are allowed."),
        ("é" * 128 * 1024, "document: This is 257 KiB; at most 256 KiB are allowed."),
        ({1: 2}, "document: Keys must be text."),
        ((1, 2), "document: A tuple is not JSON."),
    ],
)
def test_a_payload_that_cannot_be_kept_unchanged_is_refused(value, message):
    assert str(check_payload(value)[0]) == message


def test_a_payload_of_any_depth_is_answered():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert check_payload(deep)[0].message == "This is nested deeper than 64 levels."


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e15, 1e15) | st.text('aé😀"\\\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('aé"'), inner), max_leaves=20,
))  # fmt: skip
def test_ordinary_payloads_pass_and_their_size_is_not_overrated(value):
    assert check_payload(value) == ()
    bytes_real = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    assert check_payload(value, bytes_max=bytes_real + 1) == ()


@given(st.text("a:-[]{}'\"\\&*!|>%@`#?,\n ${}01.\t\0", max_size=40))
def test_any_text_is_a_document_or_gets_sentences(text):
    checked = check_source(text, ACTIONS)
    assert all(problem.message.endswith(".") for problem in checked.problems)
    assert checked.problems


def test_the_examples_have_no_problems():
    found = sorted(EXAMPLES.glob("**/*.yaml"))
    assert found
    for path in found:
        assert check_source(path.read_text(), {}).problems == (), path


def test_a_saga_has_at_most_200_steps():
    def chain(count: int) -> str:
        reads = (
            "  - {name: s%d, action: shop.look, with: {x: '${steps.s%d.output + 1}'}}\n" % (n, n - 1)
            for n in range(1, count)
        )
        return steps("  - {name: s0, action: shop.look}\n" + "".join(reads))

    assert said(chain(200)) == []
    assert said(chain(201)) == ["steps (line 3, column 3): A saga has at most 200 steps; found 201."]
