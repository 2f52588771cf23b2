"""`manage.py sagas list`: which sagas there are, in which version, with how many runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sagas.queries.sagas import list_sagas

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from sagas.core.vocabulary import Json
    from sagas.queries.sagas import SagaLine


def add_arguments(command: ArgumentParser) -> None:
    """Say what the command takes."""
    command.add_argument("--json", action="store_true", help="print a list of objects")


def lines(*, as_json: bool) -> Iterator[str]:
    """Yield what is to be printed, line by line."""
    found = list_sagas()
    if as_json:
        yield json.dumps([_as_json(one) for one in found], indent=2, ensure_ascii=False)
        return
    if not found:
        yield "No saga is published yet: sagas apply FILE publishes one."
        return
    rows = [(one.saga.name, _version(one), _runs(one), _title(one)) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        yield "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])


def _version(one: SagaLine) -> str:
    if one.version is None:
        return "no version"
    return f"version {one.version}"


def _runs(one: SagaLine) -> str:
    noun = "run" if one.runs == 1 else "runs"
    said = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in one.runs_by_status.items())
    return f"{one.runs} {noun}" + (f" ({said})" if said else "")


def _title(one: SagaLine) -> str:
    return one.saga.title + ("  (archived)" if one.saga.archived_at else "")


def _as_json(one: SagaLine) -> Json:
    """Return one saga with the names that the API uses."""
    saga, latest = one.saga, one.saga.latest
    return {
        "name": saga.name,
        "title": saga.title,
        "style": saga.style,
        "version": one.version,
        "versions": one.versions,
        "content_hash": latest.content_hash if latest else None,
        "published_by": latest.published_by if latest else None,
        "published_at": latest.published_at.isoformat() if latest else None,
        "archived_at": saga.archived_at.isoformat() if saga.archived_at else None,
        "is_demo": saga.is_demo,
        "runs": one.runs,
        "runs_by_status": dict(one.runs_by_status),
    }
