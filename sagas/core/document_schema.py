"""The format of definitions as a JSON Schema (2020-12), for editors that complete, explain and check.

Made from what the reader itself goes by: its tables of keys, its patterns, choices
and limits. What only the reader can say (whether a name exists, what an expression
means, whether a duration is within bounds) is not in it: a document that fits the
schema may still be refused, one that the reader accepts always fits.

There is no `$id`, since editors look for a schema under it, and no `$ref` with
anything beside it, since those made for draft 7 do not read that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sagas.core import action_form, choreography_form, document, fields, http_form, steps, wait_form
from sagas.core import document_words as words
from sagas.core.choreography import STYLES
from sagas.core.choreography_redaction import EVENT_PLACE
from sagas.core.cloud_event import EVENT_TYPE
from sagas.core.definition import MAX_PARALLEL
from sagas.core.duration import ISO, SHORT, duration_text
from sagas.core.http_request import HEADER_NAME
from sagas.core.input_schema import INPUT_SCHEMA
from sagas.core.limits import (
    DESCRIPTION_LENGTH_MAX,
    EVENT_TYPES_MAX,
    ITEMS_MAX,
    LABELS_MAX,
    PARALLEL_MAX,
    PROMPT_LENGTH_MAX,
    REACTIONS_MAX,
    REDACTED_MAX,
    REQUEST_NAMES_MAX,
    RETRY_ATTEMPTS_MAX,
    RETRY_FACTOR_MAX,
    STEPS_MAX,
    TITLE_LENGTH_MAX,
    UNIT_LENGTH_MAX,
)
from sagas.core.redact_form import PLACE
from sagas.core.schema import DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.definition import RetryPolicy
    from sagas.core.document_words import Words
    from sagas.core.vocabulary import Json

Schema = dict[str, "Json"]


def document_schema() -> Schema:
    """Return the schema, as new values that the caller may change."""
    return {
        "$schema": DIALECT,
        **words.FORMAT._asdict(),
        "if": {"type": "object", "properties": {"style": {"const": STYLES[1]}}, "required": ["style"]},
        "then": _mapping(
            _choreography_shapes(),
            words.SAGA,
            choreography_form.CHOREOGRAPHY_KEYS,
            required=("saga", "style", "starts_on", "correlate", "completes_on", "reactions"),
        ),
        "else": _mapping(_saga_shapes(), words.SAGA, document.SAGA_KEYS, required=("saga", "steps")),
        "$defs": {"step": _step(), "reaction": _reaction(), "jsonSchema": INPUT_SCHEMA},
    }


def _mapping(
    shapes: Mapping[str, Schema],
    named: Mapping[str, Words],
    keys: Iterable[str],
    required: tuple[str, ...] = (),
) -> Schema:
    """Return the schema of a mapping."""
    found: Schema = {"type": "object", "additionalProperties": False}
    if required:
        found["required"] = list(required)
    found["properties"] = {key: {**named[key]._asdict(), **shapes[key]} for key in keys}
    return found


def _saga_shapes() -> dict[str, Schema]:
    label = {"type": ["string", "number", "boolean"]}
    return {
        "saga": {**_pattern(steps.SAGA_NAME), "not": {"enum": sorted(document.SAGA_RESERVED)}},
        "title": _text(TITLE_LENGTH_MAX),
        "style": _choice(STYLES),
        "description": _text(DESCRIPTION_LENGTH_MAX),
        "input": {"allOf": [{"$ref": "#/$defs/jsonSchema"}, {"type": "object"}]},
        "key": {"type": "string"},
        "labels": {
            "type": "object",
            "maxProperties": LABELS_MAX,
            "propertyNames": _pattern(action_form.STEP_NAME),
            "additionalProperties": label,
        },
        "amount": {"anyOf": [{"type": "integer"}, _expression()]},
        "unit": _text(UNIT_LENGTH_MAX),
        "output": {},
        "deadline": _duration(),
        "on_compensation_failure": _choice(document.ON_COMPENSATION_FAILURE),
        "in_doubt": _choice(document.IN_DOUBT),
        "defaults": _mapping(
            {
                "timeout": _duration(steps.TIMEOUT_S),
                "retry": _retry(steps.RETRY),
                "compensation_retry": _retry(steps.COMPENSATION_RETRY),
            },
            words.DEFAULTS,
            steps.DEFAULTS_KEYS,
        ),
        "steps": {"type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": {"$ref": "#/$defs/step"}},
    }


def _choreography_shapes() -> dict[str, Schema]:
    shapes = _saga_shapes()
    shared = ("saga", "title", "style", "description", "labels", "amount", "unit", "deadline")
    early = {"type": "string", "pattern": r"^(start|park|drop|buffer\s+\S+)$"}
    kind = _pattern(EVENT_TYPE)
    return {
        **{key: shapes[key] for key in shared},
        "starts_on": _event_types(),
        "correlate": _expression(),
        "completes_on": _event_types(),
        "compensated_on": _event_types(),
        "publishes": {
            "type": "object",
            "propertyNames": _pattern(steps.SAGA_NAME),
            "additionalProperties": _event_types(),
        },
        "early": {
            "type": "object",
            "propertyNames": {"anyOf": [{"const": "default"}, kind]},
            "additionalProperties": early,
        },
        "defaults": _mapping(
            {"timeout": _duration(steps.TIMEOUT_S), "retry": _retry(steps.RETRY)},
            words.DEFAULTS,
            choreography_form.DEFAULTS_KEYS,
        ),
        "redact": _places(EVENT_PLACE),
        "reactions": {
            "type": "array", "minItems": 1, "maxItems": REACTIONS_MAX, "items": {"$ref": "#/$defs/reaction"},
        },
    }  # fmt: skip


def _places(place: re.Pattern[str]) -> Schema:
    return {"type": "array", "items": _pattern(place), "minItems": 1, "maxItems": REDACTED_MAX}


def _event_types() -> Schema:
    kind = _pattern(EVENT_TYPE)
    return {"type": "array", "minItems": 1, "maxItems": EVENT_TYPES_MAX, "items": kind, "uniqueItems": True}


def _reaction() -> Schema:
    kind = _pattern(EVENT_TYPE)
    shapes = {
        "name": {**_pattern(action_form.STEP_NAME), "not": {"enum": sorted(action_form.STEP_RESERVED)}},
        "title": _text(TITLE_LENGTH_MAX),
        "service": _pattern(steps.SAGA_NAME),
        "on": _event_types(),
        "action": _action(),
        "external": {"type": "boolean", "default": False},
        "with": {"type": "object"},
        "emits": _mapping(dict.fromkeys(choreography_form.EMITS_KEYS, kind), words.EMITS, choreography_form.EMITS_KEYS),
        "within": _duration(),
        "undoes": {"type": "string"},
        "compensation": {"const": "none"},
        "timeout": _duration(),
        "retry": _retry(),
        "probe": _probe(),
        "redact": _places(PLACE),
    }
    return _mapping(shapes, words.REACTION, choreography_form.REACTION_KEYS, required=("name", "on"))


def _step() -> Schema:
    shapes = {
        "name": {**_pattern(action_form.STEP_NAME), "not": {"enum": sorted(action_form.STEP_RESERVED)}},
        "title": _text(TITLE_LENGTH_MAX),
        "action": _action(),
        "with": {"type": "object"},
        "after": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "when": {"anyOf": [{"type": "boolean"}, _expression()]},
        "compensation": {"anyOf": [{"const": "none"}, _compensation()]},
        "pivot": {"type": "boolean"},
        "timeout": _duration(),
        "retry": _retry(),
        "for_each": {"anyOf": [_expression(), {"type": "array", "maxItems": ITEMS_MAX}]},
        "max_parallel": {"type": "integer", "minimum": 1, "maximum": PARALLEL_MAX, "default": MAX_PARALLEL},
        "sleep": _duration(),
        "sleep_until": {"type": "string"},
        "wait_for": _wait(
            {"signal": _pattern(wait_form.SIGNAL_NAME)}, words.WAIT_FOR, wait_form.SIGNAL_KEYS, ("signal",)
        ),
        "approval": _wait(
            {
                "group": {**_text(wait_form.GROUP_LENGTH_MAX), "default": wait_form.GROUP},
                "prompt": _text(PROMPT_LENGTH_MAX),
            },
            words.APPROVAL,
            wait_form.APPROVAL_KEYS,
        ),
        "run": _pattern(steps.SAGA_NAME),
        "probe": _probe(),
        "redact": _places(PLACE),
    }
    return {
        "title": "Step",
        **_mapping(shapes, words.STEP, steps.STEP_KEYS, ("name",)),
        "oneOf": [{"required": [key]} for key in steps.KINDS],
        "dependentRequired": {"max_parallel": ["for_each"]},
        "allOf": [_kind_without(wait_form.WAITS, wait_form.NOT_OF_WAITS), _kind_without(("run",), steps.NOT_OF_RUN)],
    }


def _kind_without(kinds: Iterable[str], keys: Iterable[str]) -> Schema:
    """Return what refuses `keys` on steps of these kinds."""
    message = "A step of this kind calls no action itself, so it has no such key."
    return {
        "if": {"anyOf": [{"required": [kind]} for kind in kinds]},
        "then": {"properties": {key: {"not": {}, "errorMessage": message} for key in keys}},
    }


def _wait(
    shapes: dict[str, Schema], named: Mapping[str, Words], keys: Iterable[str], required: tuple[str, ...] = ()
) -> Schema:
    both = {"timeout": _duration(), "on_timeout": _choice(wait_form.ON_TIMEOUT)}
    return {
        **_mapping({**shapes, **both}, named, keys, required=required),
        "dependentRequired": {"on_timeout": ["timeout"]},
    }


def _compensation() -> Schema:
    shapes = {"action": _action(), "with": {"type": "object"}, "timeout": _duration(), "retry": _retry()}
    return _mapping(shapes, words.COMPENSATION, steps.COMPENSATION_KEYS, required=("action",))


def _action() -> Schema:
    name = _pattern(action_form.ACTION_NAME)
    command = _mapping(
        {"service": _pattern(http_form.SERVICE_NAME), "name": _pattern(http_form.COMMAND_NAME)},
        words.COMMAND,
        http_form.COMMAND_KEYS,
        required=("service", "name"),
    )
    shapes = {"python": name, "http": _http(http_form.HTTP_KEYS, http_form.METHODS), "command": command}
    form = _mapping(shapes, words.ACTION, action_form.ACTION_KEYS)
    return {"anyOf": [name, {**form, "minProperties": 1, "maxProperties": 1}]}


def _probe() -> Schema:
    asked = _http(http_form.PROBE_HTTP_KEYS, http_form.PROBE_METHODS)
    shapes = {"python": _pattern(action_form.ACTION_NAME), "http": asked}
    said = {key: words.ACTION[key] for key in shapes}
    return {**_mapping(shapes, said, action_form.PROBE_KEYS), "minProperties": 1, "maxProperties": 1}


def _http(keys: tuple[str, ...], methods: tuple[str, ...]) -> Schema:
    value = {"type": ["string", "number", "boolean", "null"]}
    names = {"type": "object", "maxProperties": REQUEST_NAMES_MAX}
    shapes: dict[str, Schema] = {
        "service": _pattern(http_form.SERVICE_NAME),
        "method": _choice(methods),
        "path": {"type": "string", "pattern": "^/"},
        "headers": {**names, "propertyNames": _pattern(HEADER_NAME), "additionalProperties": value},
        "query": {**names, "additionalProperties": {"anyOf": [value, {"type": "array"}]}},
        "body": {},
        "async": {"type": "boolean"},
    }
    return _mapping({key: shapes[key] for key in keys}, words.HTTP, keys, required=("service", "path"))


def _retry(base: RetryPolicy | None = None) -> Schema:
    """Return the schema of a retry policy; with `base`, what is meant where it does not say otherwise."""
    shapes: dict[str, Schema] = {
        "attempts": {
            "anyOf": [{"type": "integer", "minimum": 1, "maximum": RETRY_ATTEMPTS_MAX}, {"const": "forever"}],
        },
        "initial": _duration(),
        "factor": {"type": "number", "minimum": 1, "maximum": RETRY_FACTOR_MAX},
        "max": _duration(),
        "jitter": {"type": "number", "minimum": 0, "maximum": 1},
    }
    if base is not None:
        said = base.attempts, duration_text(base.initial_s), base.factor, duration_text(base.wait_s_max), base.jitter
        for key, value in zip(fields.RETRY_KEYS, said, strict=True):
            shapes[key]["default"] = value
    return _mapping(shapes, words.RETRY, fields.RETRY_KEYS)


def _text(length_max: int) -> Schema:
    return {"type": "string", "maxLength": length_max}


def _choice(choices: tuple[str, ...]) -> Schema:
    return {"enum": list(choices), "default": choices[0]}


def _expression() -> Schema:
    return {"type": "string", "pattern": r"\$\{"}


def _duration(default_s: float | None = None) -> Schema:
    found: Schema = {
        "type": "string",
        "pattern": f"^(?:{_ecma(SHORT)}|{_ecma(ISO)})$",
        "patternErrorMessage": f"This must be {fields.DURATION}.",
    }
    return found if default_s is None else {**found, "default": duration_text(default_s)}


def _pattern(pattern: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^(?:{_ecma(pattern)})$"}


def _ecma(pattern: re.Pattern[str]) -> str:
    r"""Return the pattern as ECMA-262 has it, and in ASCII wherever it is read.

    >>> _ecma(re.compile(r"(?P<d>\d{1,6})D", re.ASCII))
    '(?:[0-9]{1,6})D'
    """
    text = re.sub(r"\(\?P<\w+>", "(?:", pattern.pattern)
    return text.replace(r"\d", "[0-9]").replace(r"\w", "[A-Za-z0-9_]")
