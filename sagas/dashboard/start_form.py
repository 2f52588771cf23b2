"""The form that starts a run, made from the JSON Schema of a saga's input.

A property that a plain field can hold gets one (text, number, yes or no, a
choice); anything else gets a box for JSON. What was typed is kept as typed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from sagas.core.sealed import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.problem import Problem
    from sagas.core.vocabulary import Json
    from sagas.models import SagaVersion

WHOLE = "whole"  # kind of the one box of a schema that is not an object with properties
PREFIX = "field-"  # so that no property is mistaken for a field of ours
INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
SKELETON_DEPTH_MAX = 4
MISSING = object()


class UnreadableError(Exception):
    """What was typed is not of the form asked for; the text says what is."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form. `kind` is text, integer, number, boolean, choice, json or whole."""

    name: str
    label: str
    kind: str
    schema: Mapping[str, Json]
    is_required: bool
    typed: str
    help: str = ""
    errors: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name and id in HTML."""
        return PREFIX + self.name

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Values and words of a choice; a value is written as JSON, so that 1 and "1" differ."""
        return tuple(
            (json.dumps(value), value if isinstance(value, str) else json.dumps(value)) for value in _enum(self.schema)
        )

    @property
    def lines(self) -> int:
        """Height of a box, in lines."""
        return min(12, max(3, self.typed.count("\n") + 1))


def schema_of(version: SagaVersion) -> Json:
    """Return what a start must fit; None when the version says nothing, or is of a form that is not ours."""
    document = version.document
    return document.get("input") if isinstance(document, dict) else None


def make_fields(schema: Json, typed: Mapping[str, str] | None = None) -> tuple[Field, ...]:
    """Return the fields for a schema: with its defaults, or with what was typed."""
    if not isinstance(schema, dict) or not _properties(schema):
        box = Field("", _("Input"), WHOLE, {}, is_required=True, typed="{}")
        return (_with_typed(box, typed),)
    required = schema.get("required") or []
    return tuple(
        _with_typed(_make_field(name, part, is_required=name in required), typed)
        for name, part in _properties(schema).items()
    )


def filled_fields(schema: Json, value: Json) -> tuple[Field, ...]:
    """Return the fields for a schema with an input in them, as a person would have typed it."""
    fields = make_fields(schema)
    if any(field.kind == WHOLE for field in fields):
        return tuple(replace(field, typed=_written(value, "json")) for field in fields)
    value = value if isinstance(value, dict) else {}
    typed = {field.key: _written(value[field.name], field.kind) for field in fields if field.name in value}
    return tuple(_with_typed(field, typed) for field in fields)


def read_fields(fields: Iterable[Field]) -> tuple[Json, tuple[Field, ...]]:
    """Return the input that was typed, and the fields with what could not be read written beside them.

    The schema is not asked here: the engine checks the input it is given.
    """
    value: dict[str, Json] = {}
    checked: list[Field] = []
    for field in fields:
        try:
            found = _read(field)
        except UnreadableError as error:
            checked.append(replace(field, errors=(str(error),)))
            continue
        checked.append(field)
        if found is not MISSING:
            value[field.name] = found
    is_whole = any(field.kind == WHOLE for field in checked)
    return value.get("") if is_whole else value, tuple(checked)


def with_problems(
    fields: Iterable[Field], problems: Iterable[Problem]
) -> tuple[tuple[Field, ...], tuple[Problem, ...]]:
    """Put each problem beside its field; return those that belong to no field, too."""
    fields = tuple(fields)
    by_name: dict[str, list[str]] = {field.name: [] for field in fields}
    left: list[Problem] = []
    for problem in problems:
        name = "" if "" in by_name else _first_part(problem)
        if name in by_name:
            by_name[name].append(problem.message)
        else:
            left.append(problem)
    return tuple(replace(field, errors=field.errors + tuple(by_name[field.name])) for field in fields), tuple(left)


def _first_part(problem: Problem) -> str | None:
    parts = problem.pointer.split("/")[1:]
    return parts[0].replace("~1", "/").replace("~0", "~") if parts else None


def _properties(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    found = schema.get("properties")
    return found if schema.get("type", "object") == "object" and isinstance(found, dict) else {}


def _enum(schema: Mapping[str, Json]) -> list[Json]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum") or [])


def _make_field(name: str, part: Json, *, is_required: bool) -> Field:
    schema = part if isinstance(part, dict) else {}
    kind = _kind(schema)
    start = schema.get("default", next(iter(schema.get("examples") or []), MISSING))
    if start is MISSING and kind == "json" and is_required:
        start = _skeleton(schema)
    typed = "" if start is MISSING else _written(start, kind)
    label = str(schema.get("title") or name.replace("_", " ").capitalize())
    return Field(name, label, kind, schema, is_required, typed, help=str(schema.get("description") or ""))


def _kind(schema: Mapping[str, Json]) -> str:
    if _enum(schema):
        return "choice"
    plain = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
    kind = schema.get("type")
    return plain.get(kind, "json") if isinstance(kind, str) else "json"


def _skeleton(schema: Json, depth: int = 0) -> Json:
    """Return the smallest value of about the right shape, for a person to fill in."""
    schema = schema if isinstance(schema, dict) else {}
    if "default" in schema or _enum(schema):
        return schema.get("default", next(iter(_enum(schema)), None))
    kind = schema.get("type")
    if depth < SKELETON_DEPTH_MAX and kind == "object":
        parts = schema.get("properties") or {}
        return {name: _skeleton(parts.get(name), depth + 1) for name in schema.get("required") or parts}
    if depth < SKELETON_DEPTH_MAX and kind == "array":
        return [_skeleton(schema.get("items"), depth + 1)]
    kinds = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    empty = {"object": {}, "array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return empty.get(next(iter(kinds), "string"), "")  # a schema that says nothing most often means a text


def _written(value: Json, kind: str) -> str:
    if value == MASK:
        return MASK
    if kind == "text" and isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if kind == "json" else None)


def _with_typed(field: Field, typed: Mapping[str, str] | None) -> Field:
    if typed is None:
        return field
    text = typed.get(field.key, "")
    if text == MASK and field.kind != WHOLE:  # a redacted value of any kind that is to stay what it is
        return replace(field, typed=text, kind="text")
    return replace(field, typed=text)


def _read(field: Field) -> Any:
    text = field.typed if field.kind == "text" else field.typed.strip()
    if not text:
        if field.is_required:
            raise UnreadableError(_("This is needed."))
        return MISSING
    if field.kind == "text":
        return text.replace("\r\n", "\n")
    if field.kind == "integer":
        if not INTEGER.fullmatch(text):
            raise UnreadableError(_("This must be a whole number; you wrote “%(text)s”.") % {"text": text[:80]})
        return int(text)
    if field.kind == "number":
        if not NUMBER.fullmatch(text):
            raise UnreadableError(_("This must be a number such as 12.50; you wrote “%(text)s”.") % {"text": text[:80]})
        return int(text) if INTEGER.fullmatch(text) else float(text)
    return read_json(text)


def read_json(text: str) -> Json:
    """Read JSON that a person typed.

    Raises:
        UnreadableError: it is none; the text says where.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "what": error.msg}
        raise UnreadableError(_("This is not JSON: line %(line)d, column %(column)d: %(what)s.") % place) from None
    except (RecursionError, ValueError):  # digits beyond Python's limit, NaN, Infinity
        raise UnreadableError(_("This JSON is nested too deeply, or holds a number that JSON does not have.")) from None


def _refuse_constant(name: str) -> Json:
    raise ValueError(name)
