"""A short schema that makes endless work is refused before the work is done; ordinary ones are not."""

from __future__ import annotations

import json

import pytest

from sagas.core.document import check_input
from tests.core.test_document import compiled
from tests.documents import one, said


def saga(schema):
    return one(f"input: {json.dumps(schema)}\n")


def doubling(kind, levels=40):
    """Each level looks twice at what the one below does."""
    parts = {"a0": {"type": "string"}}
    for level in range(1, levels):
        below = {"$ref": f"#/$defs/a{level - 1}"}
        parts[f"a{level}"] = {kind: [below, below]}
    return {"$defs": parts, "$ref": f"#/$defs/a{levels - 1}"}


TREE = {
    "$defs": {"node": {"type": "object", "properties": {side: {"$ref": "#/$defs/node"} for side in ("left", "right")}}},
    "$ref": "#/$defs/node",
}  # fmt: skip
DEEP = {"properties": {"x": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling("allOf"), "text"),
        (doubling("anyOf"), 1),
        (DEEP, nested(50)),
        ({"items": {"allOf": [{"minimum": 0}] * 3_000}}, [1] * 5_000),
    ],
)
def test_an_input_that_would_take_for_ever_to_check_is_refused_at_once(schema, value):
    (problem,) = check_input(compiled(saga(schema)), value)
    assert problem.code == "too_costly"
    assert "The input cannot be checked: the schema needs more than 1,000,000 checks" in problem.message


def test_recursion_into_the_value_is_ordinary():
    definition = compiled(saga(TREE))
    value = {}
    for _ in range(30):
        value = {"left": value, "right": {"left": {}}}
    assert check_input(definition, value) == ()
    assert [problem.path for problem in check_input(definition, {"left": {"right": 1}})] == ["left.right"]
    many = {"items": {"$ref": "#/$defs/one"}, "$defs": {"one": {"properties": {"n": {"type": "integer"}}}}}
    assert check_input(compiled(saga(many)), [{"n": number} for number in range(15_000)]) == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, True]}}},
        {"$defs": {"a": {"$anchor": "loop", "not": {"$ref": "#loop"}}}},
    ],
)
def test_references_without_end_are_a_mistake_of_the_document(schema):
    (problem,) = said(saga(schema))
    assert problem.endswith("This schema cannot be used: a `$ref` leads back to itself without looking into the value.")


def test_a_chain_of_references_that_exhausts_the_stack_is_a_mistake_of_the_document():
    parts = {f"a{level}": {"$ref": f"#/$defs/a{level + 1}"} for level in range(3_000)}
    (problem,) = said(saga({"$defs": {**parts, "a3000": True}, "$ref": "#/$defs/a0"}))
    assert "over more than 150 steps" in problem


@pytest.mark.parametrize("schema", [{"properties": {"a": {"$id": "http://x/"}}}, {"$dynamicRef": "#a"}])
def test_what_changes_the_meaning_of_references_is_not_read(schema):
    (problem,) = said(saga(schema))
    assert "is not read in an input" in problem
