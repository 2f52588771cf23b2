"""Lint: suspicious conditions, and the page that lists every code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from sagas.core.document import check_source
from tests.core.test_choreography_faults import ENDLESS, LOST, ORDER, TOLD, WRONG_CHOREOGRAPHIES, wide
from tests.core.test_choreography_ways import UNSOUND
from tests.core.test_document_faults import LINT, WRONG
from tests.documents import ACTIONS, call, one, steps, warned

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/lint.md").read_text()
ROWS = {(code, kind) for code, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.MULTILINE)}
CODE = re.compile(r"[a-z][a-z0-9_]*")
# Where a call says the code: name of what is called -> position of the argument (None: only by keyword).
PLACES = {"error": 1, "warning": 1, "_stop": 1, "Problem": None, "_fault": None, "_problem": 1}
NOT_CODES = {"backward.py", "decider.py", "forward.py", "orders.py", "settling.py"}  # codes of a run's events

MORE = [
    (call("path: /a, query: {a: {}}"), "wrong_value"),
    (one("  - {name: x, action: shop.look, with: {a: '${1 +}', b: '${}', c: '${input'}}\n"), "bad_expression"),
    (one(f"    with: {json.dumps({'a': ['${1 + 1}'] * 201})}\n"), "too_many_expressions"),
    (one("    max_parallel: 3\n"), "needs_list"),
    (steps("  - {name: x, action: shop.pay, compensation: none, probe: {python: shop.look}}\n"), "probe_unused"),
    (steps("  - {name: x, action: shop.look, pivot: true, for_each: '${input.a}'}\n"), "pivot_listed"),
    ("%YAML 1.2\n---\nsaga: a\n", "directive"),
    (one("input: {properties: {a: {$dynamicRef: '#x'}}}\n"), "rebased"),
    (one("input: {$schema: 'http://json-schema.org/draft-07/schema#'}\n"), "dialect"),
    (one(f"title: {'x' * 201}\n"), "too_long"),
    (one(f"labels: {json.dumps({f'l{number}': 1 for number in range(11)})}\n"), "too_many"),
    (one("key: ${input.b}\ninput: {properties: {a: {}}}\n"), "input_unknown"),
]  # fmt: skip
BRANCHES = """\
  - {{name: left, action: shop.look, after: [], when: "{0}"}}
  - {{name: right, action: shop.look, after: [], when: "{1}"}}
  - {{name: join, action: shop.look, after: [left, right]}}
"""


@pytest.mark.parametrize("when", ["false", "${false}", "${1 == 2}", "${'a' in ['b'] || false}"])
def test_a_step_that_is_never_done_is_told(when):
    assert warned(one(f'    when: "{when}"\n' if "$" in when else f"    when: {when}\n")) == [
        "steps[0].when (line 5, column 11): `when` is always false, so `look` is never done."
    ]


@pytest.mark.parametrize("when", ["true", "${true}", "${input.a == 1}", "${run.key == 'a'}", "${1 / 0 == 1}", "${'a'}"])
def test_a_step_that_may_be_done_is_not(when):
    assert warned(one(f'    when: "{when}"\n' if "$" in when else f"    when: {when}\n")) == []


@pytest.mark.parametrize(
    ("left", "right", "is_told"),
    [
        ("${input.a}", "${input.b}", True),
        ("${input.a}", "${!input.a}", False),
        ("${ !( input.a > 1 ) }", "${input.a > 1}", False),
        ("${input.a}", "${!input.b}", True),
        ("${!input.a}", "${!input.a}", True),
    ],
)
def test_a_join_may_be_empty_unless_one_branch_is_the_others_opposite(left, right, is_told):
    told = ["join_may_be_empty"] if is_told else []
    assert [one.code for one in check_source(steps(BRANCHES.format(left, right)), ACTIONS).warnings] == told


@pytest.mark.parametrize(("text", "code"), MORE)
def test_each_other_code_is_given(text, code):
    checked = check_source(text, ACTIONS)
    assert code in {problem.code for problem in (*checked.problems, *checked.warnings)}


SERVICES = {"inventory": "http", "mail": "command"}


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("{http: {service: inventory, path: /a}}", []),
        ("{command: {service: mail, name: send}}", []),
        ("{http: {service: invntory, path: /a}}", ["service_unknown"]),
        ("{http: {service: mail, path: /a}}", ["service_kind"]),
        ("{command: {service: inventory, name: take}}", ["service_kind"]),
    ],
)
def test_a_service_that_nobody_registered_or_of_another_kind_is_told(action, told):
    text = steps(f"  - {{name: a, action: {action}, compensation: {{action: {action}}}}}\n")
    assert [one.code for one in check_source(text, ACTIONS, SERVICES).warnings] == told * 2
    assert check_source(text, ACTIONS).warnings == (), "nobody knows which services there are"
    unknown = check_source(text, ACTIONS, SERVICES).warnings
    if told == ["service_unknown"]:
        assert str(unknown[0]).endswith("No service called `invntory` is registered. Did you mean `inventory`?")


def codes_in(path: Path) -> set[str]:
    """Return the codes of problems that a module gives, written as they are; one worked out is a fault of the test."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name in {"_fault", "_text_fault"}:  # they return (code, message)
            found |= {
                tuple_.elts[0].value
                for each in ast.walk(node)
                if isinstance(each, ast.Return)
                for tuple_ in [each.value]
                if isinstance(tuple_, ast.Tuple) and isinstance(tuple_.elts[0], ast.Constant)
            }
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):  # message, code = "…", "too_large"
            names = [name.id for name in getattr(node.targets[0], "elts", []) if isinstance(name, ast.Name)]
            if "code" in names:
                found.add(node.value.elts[names.index("code")].value)
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        place = PLACES.get(called)
        said = [each.value for each in node.keywords if each.arg == "code"]
        if called in PLACES:
            said += node.args[place : place + 1] if place is not None else []
            found |= {each.value for each in said if isinstance(each, ast.Constant)}
    return found


def test_every_code_has_a_row_and_every_row_a_code():
    modules = [*(ROOT / "sagas/core").glob("*.py"), *(ROOT / "sagas/catalog").glob("*.py")]
    given = {code for path in modules if path.name not in NOT_CODES for code in codes_in(path)}
    given |= {"bad_expression", "invalid"}  # what is meant where none is said (expressions.py, problem.py)
    assert all(CODE.fullmatch(code) for code in given)
    assert given == {code for code, _ in ROWS}


def test_the_kinds_are_as_told_and_nearly_every_code_has_a_document():
    seen = set()
    for text in [text for text, _ in (*WRONG, *LINT, *MORE)] + [
        steps("  - {name: a, action: {http: {service: mail, path: /a}}, compensation: none}\n"),
        steps(BRANCHES.format("${input.a}", "${false}")),
        *(ORDER.replace(old, new, 1) for old, new, _ in WRONG_CHOREOGRAPHIES),
        ORDER.replace("order.placed]}", "order.placed, order.told]}") + TOLD,
        ORDER + LOST,
        ENDLESS,
        wide(),
        *(text for text, _ in UNSOUND),
    ]:
        checked = check_source(text, ACTIONS, SERVICES)
        seen |= {(problem.code, "error") for problem in checked.problems}
        seen |= {(problem.code, "warning") for problem in checked.warnings}
    assert seen <= ROWS
    of_files_and_starts = {
        "style_changed",
        "unreadable",
        "not_utf8",
        "not_json",
        "too_costly",
        "invalid",
    }
    assert {code for code, _ in ROWS - seen} == of_files_and_starts
