"""An input that fits a JSON Schema, as small as can be: to try a saga with nothing at hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core.expressions import CompiledTemplate
from sagas.core.http_request import RequestTemplate
from sagas.core.limits import EXAMPLE_PARTS_MAX, JSON_DEPTH_MAX
from sagas.core.references import References

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_TEXT = "example"
_EVENT_DATA = re.compile(r"(?<![\w.])event\s*\.\s*data((?:\s*\.\s*\w+\b(?!\s*\())+)", re.ASCII)  # no call of a method
_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")


def example_of(schema: Json) -> Json:
    """Return a value made from what `schema` says: defaults, examples, choices, bounds, required properties.

    It fits most schemas that people write, and not all: patterns and rules between
    properties are not looked at. Whoever needs one that fits checks it.

    >>> example_of({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}})
    {'n': 1}
    """
    return _Maker(schema).make(schema, 0)


def example_input(definition: Definition) -> Json:
    """Return an input to try a saga with; of a choreography, the data of the event that begins a run.

    Nothing says what that looks like but the expressions that read it: each place is given a number.
    """
    if definition.choreography is None:
        return example_of(definition.input_schema or {"type": "object"})
    halves = (half.arguments for step in definition.steps for half in step.halves)
    data: dict[str, Json] = {}
    for template in (definition.choreography.correlate, definition.amount, *definition.labels.values(), *halves):
        for text in template.expressions if isinstance(template, CompiledTemplate | RequestTemplate) else ():
            for path in _EVENT_DATA.findall(text):
                _fill(data, [name.strip() for name in path.split(".")[1:]])
    return data


def _fill(data: dict[str, Json], path: list[str]) -> None:
    for name in path[:-1]:
        if not isinstance(data.get(name), dict):
            data[name] = {}
        data = data[name]
    data.setdefault(path[-1], 1)


class _Maker:
    """Makes one value; counts its parts, so that a small schema cannot ask for a huge one."""

    def __init__(self, root: Json) -> None:
        self._references = References(root)
        self._left = EXAMPLE_PARTS_MAX

    def make(self, schema: Json, depth: int) -> Json:
        """Return a value for one schema within the whole."""
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0 or depth > JSON_DEPTH_MAX:
            return None
        if said := _said(schema):
            return said[0]
        if isinstance(schema.get("$ref"), str):
            return self.make(self._references.find(schema["$ref"]), depth + 1)
        for key in ("oneOf", "anyOf", "allOf"):
            if "type" not in schema and isinstance(schema.get(key), list) and schema[key]:
                return self.make(schema[key][0], depth + 1)
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                count = min(_number(schema.get("minItems"), 0), EXAMPLE_PARTS_MAX)
                return [self.make(schema.get("items"), depth + 1) for _ in range(count) if self._left > 0]
            case "string":
                return _text(schema)
            case "integer" | "number" as kind:
                return _figure(schema, is_whole=kind == "integer")
            case "boolean":
                return False
        return None

    def _object(self, schema: dict[str, Json], depth: int) -> Json:
        parts = schema.get("properties")
        parts = parts if isinstance(parts, dict) else {}
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return {name: self.make(parts.get(name, {"type": "string"}), depth + 1) for name in names if self._left > 0}


def _said(schema: dict[str, Json]) -> list[Json]:
    """Return the values that the schema itself names, the best one first."""
    found = [schema[key] for key in ("const", "default") if key in schema]
    lists = [schema[key] for key in ("examples", "enum") if isinstance(schema.get(key), list)]
    return found + [value for values in lists for value in values[:1]]


def _type_of(schema: dict[str, Json]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one in _TYPES), None)
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema or "required" in schema else "string"


def _text(schema: dict[str, Json]) -> str:
    text = _FORMATS.get(str(schema.get("format")), _TEXT)
    shortest = min(_number(schema.get("minLength"), 0), EXAMPLE_PARTS_MAX)
    longest = _number(schema.get("maxLength"), EXAMPLE_PARTS_MAX)
    return text.ljust(shortest, "x")[: max(longest, shortest)]


def _figure(schema: dict[str, Json], *, is_whole: bool) -> int | float:
    step = schema.get("multipleOf")
    step = step if isinstance(step, int | float) and step > 0 else 1
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    figure: int | float = 0
    if isinstance(low, int | float) and low > figure:
        figure = low
    if isinstance(above, int | float) and above >= figure:
        figure = above + step
    if isinstance(high, int | float) and high < figure:
        figure = high
    if isinstance(below, int | float) and below <= figure:
        figure = below - step
    if "multipleOf" in schema and figure % step:
        figure += step - figure % step
    return round(figure) if is_whole else figure


def _number(value: Json, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
