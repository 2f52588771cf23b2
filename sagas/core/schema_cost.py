"""How much work a JSON Schema makes of a value, told before anybody does the work.

References let a short schema look at the same part again and again: thirty lines
that double each other are a billion checks. Here each pair of a schema's part and
a value's part is looked at once, and the rest is arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.limits import SCHEMA_CHAIN_MAX, SCHEMA_CHECKS_MAX, SCHEMA_PAIRS_MAX
from sagas.core.references import References

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagas.core.vocabulary import Json

_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_PLACE = ("not", "if", "then", "else")
_EACH_VALUE = ("additionalProperties", "unevaluatedProperties", "propertyNames")
_EACH_ITEM = ("items", "contains", "unevaluatedItems")


class SchemaCostError(Exception):
    """The schema refers to itself without end, or makes too much work of the value. The text says which."""


def check_cost(schema: Json, value: Json) -> None:
    """Refuse a value that the schema would take too long over.

    Raises:
        SchemaCostError: more than `SCHEMA_CHECKS_MAX` checks, or references without end.
    """
    if not _may_cost(schema, value):
        return
    if _Cost(schema).of(schema, value, 0) > SCHEMA_CHECKS_MAX:
        message = f"the schema needs more than {SCHEMA_CHECKS_MAX:,} checks for this value"
        raise SchemaCostError(message)


def check_references(schema: Json) -> None:
    """Refuse a schema in which some part leads back to itself, or on and on, without looking into the value.

    Raises:
        SchemaCostError: it does.
    """
    cost = _Cost(schema)
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            cost.of(part, None, 0)
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)


def _may_cost(schema: Json, value: Json) -> bool:
    """Whether counting is worth while: with references, or when both are large."""
    size, has_reference = _count(schema)
    return has_reference or size * _count(value)[0] > SCHEMA_CHECKS_MAX


def _count(value: Json) -> tuple[int, bool]:
    count, has_reference, todo = 0, False, [value]
    while todo:
        part = todo.pop()
        count += 1
        if isinstance(part, dict):
            has_reference |= "$ref" in part
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return count, has_reference


class _Cost:
    def __init__(self, root: Json) -> None:
        self.known: dict[tuple[int, int], int] = {}
        self.active: set[tuple[int, int]] = set()
        self.references = References(root)

    def of(self, schema: Json, value: Json, depth: int) -> int:
        """Return how many checks `schema` makes of `value`."""
        if not isinstance(schema, dict):
            return 1
        pair = (id(schema), id(value))
        if pair in self.known:
            return self.known[pair]
        if pair in self.active:
            message = "a `$ref` leads back to itself without looking into the value"
            raise SchemaCostError(message)
        if depth > SCHEMA_CHAIN_MAX:
            message = f"its parts refer to each other over more than {SCHEMA_CHAIN_MAX} steps"
            raise SchemaCostError(message)
        if len(self.known) >= SCHEMA_PAIRS_MAX:
            message = f"the schema looks at more than {SCHEMA_PAIRS_MAX:,} different parts of this value"
            raise SchemaCostError(message)
        self.active.add(pair)
        total = len(schema) + len(schema.get("enum") or ())
        total += sum(self.of(part, value, depth + 1) for part in self._at_the_same_place(schema))
        total += sum(self.of(part, below, depth + 1) for part, below in _below(schema, value))
        self.active.discard(pair)
        self.known[pair] = total
        return total

    def _at_the_same_place(self, schema: dict[str, Json]) -> Iterator[Json]:
        for keyword in _LISTS:
            parts = schema.get(keyword)
            if isinstance(parts, list):
                yield from parts
        for keyword in _SAME_PLACE:
            if keyword in schema:
                yield schema[keyword]
        dependent = schema.get("dependentSchemas")
        if isinstance(dependent, dict):
            yield from dependent.values()
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield self.references.find(reference)


def _below(schema: dict[str, Json], value: Json) -> Iterator[tuple[Json, Json]]:
    """Yield which parts of the schema look at which parts of the value."""
    if isinstance(value, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from ((part, value[name]) for name, part in properties.items() if name in value)
        patterns = schema.get("patternProperties")
        every = list(patterns.values()) if isinstance(patterns, dict) else []
        every += [schema[keyword] for keyword in _EACH_VALUE if keyword in schema]
        for part in every:
            yield from ((part, below) for below in value.values())
    elif isinstance(value, list):
        first = schema.get("prefixItems")
        if isinstance(first, list):
            yield from zip(first, value, strict=False)
        for keyword in _EACH_ITEM:
            if keyword in schema:
                yield from ((schema[keyword], below) for below in value)
