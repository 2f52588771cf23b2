"""Published documents as files again: what is written here, and applied, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sagas.core.document import SAGA_KEYS, canonical_json, content_hash
from sagas.core.source import read_source
from sagas.core.steps import COMPENSATION_KEYS, STEP_KEYS
from sagas.core.yaml_text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sagas.core.vocabulary import Json
    from sagas.models import SagaVersion


class Written(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"  # there is another file of this name; it was left alone


@dataclass(frozen=True, slots=True)
class Exported:
    """A version as text, and the name of a file for it."""

    text: str
    file_name: str


def export_version(version: SagaVersion, *, is_canonical: bool = False) -> Exported:
    """Return the document of one version as text that reads back as the same content.

    As its author wrote it, with comments; with `is_canonical` as YAML with the
    keys in the order of the reference. Where the one cannot be read back as the
    same (a source that was not stored by `publish`, YAML too large to be read),
    the next form is taken, JSON at last.

    Args:
        version: with its `saga`.
        is_canonical: do not give the author's own text.
    """
    name, ordered = version.saga.name, None
    found, report = read_source(version.source)
    if not report.problems and _is_same(found, version):
        if not is_canonical:
            return Exported(version.source, f"{name}.{'json' if version.source.lstrip().startswith('{') else 'yaml'}")
        ordered = found  # the database may not keep the order of keys
    text = yaml_text(_in_order(version.document if ordered is None else ordered))
    again, report = read_source(text)
    if not report.problems and _is_same(again, version):
        return Exported(text, f"{name}.yaml")
    return Exported(canonical_json(version.document) + "\n", f"{name}.json")


def write_file(exported: Exported, folder: Path, *, replaces: bool) -> tuple[Path, Written]:
    """Write a file into `folder`, which is made where it is missing.

    Args:
        exported: what to write.
        folder: where.
        replaces: whether a file that says something else is written over.

    Raises:
        OSError: it cannot be written.
    """
    path, data = folder / exported.file_name, exported.text.encode()
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if path.read_bytes() == data:
            return path, Written.UNCHANGED
        if not replaces:
            return path, Written.DIFFERS
    path.write_bytes(data)
    return path, Written.WRITTEN


def _is_same(document: Json, version: SagaVersion) -> bool:
    return isinstance(document, dict) and content_hash(document) == version.content_hash


def _in_order(document: dict[str, Json]) -> dict[str, Json]:
    found = _ordered(document, SAGA_KEYS)
    if isinstance(found.get("steps"), list):
        found["steps"] = [_step_in_order(step) for step in found["steps"]]
    return found


def _step_in_order(step: Json) -> Json:
    if not isinstance(step, dict):
        return step
    found = _ordered(step, STEP_KEYS)
    if isinstance(found.get("compensation"), dict):
        found["compensation"] = _ordered(found["compensation"], COMPENSATION_KEYS)
    return found


def _ordered(value: dict[str, Json], keys: Iterable[str]) -> dict[str, Json]:
    known = [key for key in keys if key in value]
    return {key: value[key] for key in (*known, *(key for key in value if key not in known))}
