"""A document as text that reads back as the same content."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sagas.core.choreography import is_choreography
from sagas.core.choreography_form import CHOREOGRAPHY_KEYS, REACTION_KEYS
from sagas.core.document import SAGA_KEYS, canonical_json, content_hash
from sagas.core.source import read_source
from sagas.core.steps import COMPENSATION_KEYS, STEP_KEYS
from sagas.core.yaml_text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagas.core.vocabulary import Json


class DocumentText(NamedTuple):
    """A document as text."""

    text: str
    is_yaml: bool  # else JSON


def document_text(document: dict[str, Json]) -> DocumentText:
    """Return YAML with the keys in the order of the reference; JSON where that YAML could not be read.

    Indented YAML may be larger than a document may be, where compact JSON is not.
    """
    text = yaml_text(in_order(document))
    if reads_as(text, content_hash(document)):
        return DocumentText(text, is_yaml=True)
    return DocumentText(canonical_json(document) + "\n", is_yaml=False)


def reads_as(text: str, digest: str) -> bool:
    """Whether `text` can be read, and has the content hash `digest`."""
    found, report = read_source(text)
    return not report.problems and isinstance(found, dict) and content_hash(found) == digest


def in_order(document: dict[str, Json]) -> dict[str, Json]:
    """Return the document with the keys of the format in the order of the reference; all else stays in its own."""
    if is_choreography(document):
        found = _ordered(document, CHOREOGRAPHY_KEYS)
        if isinstance(found.get("reactions"), list):
            found["reactions"] = [_step_in_order(one, REACTION_KEYS) for one in found["reactions"]]
        return found
    found = _ordered(document, SAGA_KEYS)
    if isinstance(found.get("steps"), list):
        found["steps"] = [_step_in_order(step) for step in found["steps"]]
    return found


def _step_in_order(step: Json, keys: Iterable[str] = STEP_KEYS) -> Json:
    if not isinstance(step, dict):
        return step
    found = _ordered(step, keys)
    if isinstance(found.get("compensation"), dict):
        found["compensation"] = _ordered(found["compensation"], COMPENSATION_KEYS)
    return found


def _ordered(value: dict[str, Json], keys: Iterable[str]) -> dict[str, Json]:
    known = [key for key in keys if key in value]
    return {key: value[key] for key in (*known, *(key for key in value if key not in known))}
