"""The JSON Schema (2020-12) of a saga's input: checked when published, applied to every start.

Nothing is ever fetched: a `$ref` may only point into the schema itself. Patterns
run in an engine without backtracking, so that no text can make one run for ever.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationErrorKind

from sagas.core.limits import COMPILED_KEPT_MAX, PROBLEMS_MAX
from sagas.core.problem import Path, Problem, check_payload, found_text, path_text, pointer_text
from sagas.core.redaction import INPUT
from sagas.core.schema_cost import SchemaCostError, check_cost, check_references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagas.core.definition import Definition
    from sagas.core.problem import Report
    from sagas.core.redaction import Redaction
    from sagas.core.vocabulary import Json

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MESSAGE_LENGTH_MAX = 300
_REBASING = frozenset({"$id", "$dynamicRef", "$dynamicAnchor"})  # they change what a `$ref` means
_LISTED_MAX = 20  # values of an enum that a message lists
_TAIL = re.compile(r"\n\nFailed validating.*", re.DOTALL)

_validators: dict[str, Draft202012Validator] = {}
_validators_lock = Lock()


def check_schema(schema: Json, path: Path, report: Report) -> None:
    """Report what is wrong with the input schema itself."""
    if not isinstance(schema, dict):
        message = f"`input` must be a JSON Schema, a mapping with keys such as `type`; found {found_text(schema)}."
        report.error(path, "wrong_type", message)
        return
    is_good = True
    for where, key, value in _keywords(schema, path):
        if key == "$ref" and isinstance(value, str) and not value.startswith("#"):
            report.error(where, "remote_ref", f"`{key}` may only point into this schema (`#/…`); found `{value}`.")
            is_good = False
        if key in _REBASING and where != (*path, "$id"):
            report.error(where, "rebased", f"`{key}` is not read in an input; use `$defs` and `$ref: '#/$defs/…'`.")
            is_good = False
        if key == "$schema" and value != DIALECT:
            report.error(where, "dialect", f"only JSON Schema 2020-12 is spoken here (`{DIALECT}`); found `{value}`.")
            is_good = False
    if not is_good:
        return
    faults = list(islice(_compiled({"$ref": DIALECT}).iter_errors(schema), PROBLEMS_MAX))
    for fault in faults:
        report.error(
            (*path, *fault.instance_path), "bad_schema", f"this is not JSON Schema 2020-12: {_short(fault.message)}."
        )
    if faults:
        return
    try:
        check_references(schema)
        _compiled(schema)
    except SchemaCostError as error:
        report.error(path, "bad_schema", f"this schema cannot be used: {error}.")
    except (jsonschema_rs.ValidationError, ValueError) as error:
        where = (*path, *getattr(error, "instance_path", ()))
        report.error(where, "bad_schema", f"this schema cannot be used: {_short(str(error))}.")


def check_input(definition: Definition, value: Json) -> tuple[Problem, ...]:
    """Check the input of a start against our limits, then against the definition's schema."""
    if problems := check_payload(value):
        return problems
    if definition.input_schema is None:
        return ()
    try:
        check_cost(definition.input_schema, value)
    except SchemaCostError as error:
        return (Problem(f"The input cannot be checked: {error}.", code="too_costly"),)
    errors = _validator(definition).iter_errors(value)
    found = (problem for error in islice(errors, PROBLEMS_MAX) for problem in _problems(error, definition.redaction))
    return tuple(islice(found, PROBLEMS_MAX))


def _problems(error: jsonschema_rs.ValidationError, redaction: Redaction) -> Iterator[Problem]:
    path = tuple(error.instance_path)
    match error.kind:
        case ValidationErrorKind.Required(property=name):
            yield _problem((*path, str(name)), "required", f"`{name}` is missing.")
        case ValidationErrorKind.AdditionalProperties(unexpected=names):
            for name in names:
                yield _problem((*path, name), "unknown_key", f"`{name}` is not known here.")
        case kind if redaction.touches(INPUT, tuple(map(str, path))):
            yield _problem(path, kind.name, f"This does not fit the schema ({kind.name}). What was found is redacted.")
        case ValidationErrorKind.Enum(options=options) as kind if len(options) <= _LISTED_MAX:
            known = ", ".join(json.dumps(one, ensure_ascii=False) for one in options)
            yield _problem(path, kind.name, _short(f"Must be one of {known}; found {found_text(error.instance)}") + ".")
        case kind:
            yield _problem(path, kind.name, f"{_short(error.message)}.")


def _problem(path: Path, code: str, message: str) -> Problem:
    return Problem(message, path_text(path), pointer_text(path), code=code)


def _validator(definition: Definition) -> Draft202012Validator:
    key = definition.content_hash or json.dumps(definition.input_schema, sort_keys=True)
    with _validators_lock:
        found = _validators.get(key)
    if found is None:
        found = _compiled(definition.input_schema)
        with _validators_lock:
            if len(_validators) >= COMPILED_KEPT_MAX:
                _validators.clear()  # rare, and cheaper than keeping an order of use
            _validators[key] = found
    return found


def _compiled(schema: Json) -> Draft202012Validator:
    # RegexOptions selects the engine that runs in linear time
    return Draft202012Validator(schema, offline=True, validate_formats=True, pattern_options=RegexOptions())


def _keywords(schema: Json, path: Path) -> Iterator[tuple[Path, str, Json]]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield (*path, key), key, value
            yield from _keywords(value, (*path, key))
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from _keywords(value, (*path, number))


def _short(message: str) -> str:
    text = " ".join(_TAIL.sub("", message).split()).rstrip(".")
    return text if len(text) <= _MESSAGE_LENGTH_MAX else text[:_MESSAGE_LENGTH_MAX] + "…"
