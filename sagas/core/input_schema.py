"""What editors are told of `input`: the keywords of JSON Schema 2020-12, by their shape.

The dialect's own meta-schema is spread over seven addresses and leans on dynamic
references, which few editors follow and which need a network. This says the same in
one place, of what `schema.check_schema` accepts: references stay within the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.schema import DIALECT

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

_SCHEMA: dict[str, Json] = {"$ref": "#/$defs/jsonSchema"}
_SCHEMAS: dict[str, Json] = {"type": "array", "minItems": 1, "items": _SCHEMA}
_BY_NAME: dict[str, Json] = {"type": "object", "additionalProperties": _SCHEMA}
_COUNT: dict[str, Json] = {"type": "integer", "minimum": 0}
_NUMBER: dict[str, Json] = {"type": "number"}
_TEXT: dict[str, Json] = {"type": "string"}
_FLAG: dict[str, Json] = {"type": "boolean"}
_NAMES: dict[str, Json] = {"type": "array", "items": _TEXT, "uniqueItems": True}
_TYPE: dict[str, Json] = {"enum": ["array", "boolean", "integer", "null", "number", "object", "string"]}
_WITHIN: dict[str, Json] = {"type": "string", "pattern": "^#"}

_SHAPES: tuple[tuple[dict[str, Json], tuple[str, ...]], ...] = (
    (_SCHEMA, (
        "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
        "unevaluatedItems", "unevaluatedProperties",
    )),
    (_SCHEMAS, ("allOf", "anyOf", "oneOf", "prefixItems")),
    (_BY_NAME, ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")),
    (_COUNT, (
        "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems", "minLength",
        "minProperties",
    )),
    (_NUMBER, ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum")),
    (_TEXT, (
        "$anchor", "$comment", "contentEncoding", "contentMediaType", "description", "format", "pattern", "title",
    )),
    (_FLAG, ("deprecated", "readOnly", "uniqueItems", "writeOnly")),
    (_WITHIN, ("$ref",)),
    (_NAMES, ("required",)),
)  # fmt: skip

INPUT_SCHEMA: dict[str, Json] = {
    "title": "JSON Schema",
    "type": ["object", "boolean"],
    "properties": {
        **{key: shape for shape, keys in _SHAPES for key in keys},
        "$schema": {"const": DIALECT},
        "type": {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1, "uniqueItems": True}]},
        "const": {},
        "default": {},
        "enum": {"type": "array"},
        "examples": {"type": "array"},
        "multipleOf": {"type": "number", "exclusiveMinimum": 0},
        "dependentRequired": {"type": "object", "additionalProperties": _NAMES},
    },
}
