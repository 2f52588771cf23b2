"""Published documents as files again: what is written here, and applied, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sagas.core.document_text import document_text, reads_as
from sagas.core.source import read_source

if TYPE_CHECKING:
    from pathlib import Path

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
    name, digest = version.saga.name, version.content_hash
    has_source = reads_as(version.source, digest)
    if has_source and not is_canonical:
        return Exported(version.source, f"{name}.{'json' if version.source.lstrip().startswith('{') else 'yaml'}")
    # the database may not keep the order of keys, the source does
    text, is_yaml = document_text(read_source(version.source)[0] if has_source else version.document)
    return Exported(text, f"{name}.{'yaml' if is_yaml else 'json'}")


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
