"""Documents in files, as a repository holds them, and sagas in Python modules."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sagas.catalog.errors import DocumentInvalidError
from sagas.catalog.publish import Published, check, publish
from sagas.core.limits import DOCUMENT_BYTES_MAX, KIB
from sagas.core.problem import Problem
from sagas.definition import DefinitionError, import_saga, is_named

if TYPE_CHECKING:
    from sagas.core.document import Checked


def apply_place(place: str, *, by: str, is_demo: bool = False) -> Published:
    """Publish the document at `place`: the path of a file, or `module:attribute`.

    Raises:
        DocumentInvalidError: it cannot be read, or has problems.
    """
    try:
        published = publish(_text(place), by=by, is_demo=is_demo)
    except DocumentInvalidError as error:
        raise DocumentInvalidError(_placed(error.problems, place)) from error.__cause__
    return replace(published, warnings=_placed(published.warnings, place))


def check_place(place: str) -> Checked:
    """Check the document at `place`: the path of a file, or `module:attribute`. Nothing is stored.

    Raises:
        DocumentInvalidError: it cannot be read.
    """
    checked = check(_text(place))
    return replace(checked, problems=_placed(checked.problems, place), warnings=_placed(checked.warnings, place))


def _text(place: str) -> str:
    path = Path(place)
    cause: Exception | None = None
    try:
        if _is_python(place):
            return import_saga(place).as_text()
        if path.suffix == ".py":
            raise DefinitionError(
                "A saga in Python is named as module:attribute, such as shop.definitions:create_order."
            )
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(raw) <= DOCUMENT_BYTES_MAX:
            return raw.decode("utf-8-sig")
        message, code = f"The document is larger than {DOCUMENT_BYTES_MAX // KIB} KiB.", "too_large"
    except UnicodeDecodeError as error:
        message, code = f"The file is not UTF-8 text (byte {error.start}).", "not_utf8"
    except OSError as error:
        message, code = f"The file cannot be read: {error.strerror}.", "unreadable"
    except DefinitionError as error:
        message, code, cause = str(error), "unreadable", error
    raise DocumentInvalidError((Problem(message, code=code),)) from cause


def _is_python(place: str) -> bool:
    return is_named(place) and not Path(place).exists()


def _placed(problems: tuple[Problem, ...], place: str) -> tuple[Problem, ...]:
    """Return problems as they are; without lines where these are of a text that nobody wrote."""
    if not _is_python(place):
        return problems
    return tuple(replace(problem, line=None, column=None) for problem in problems)
