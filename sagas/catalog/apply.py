"""Documents in files, as a repository holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.catalog.errors import DocumentInvalidError
from sagas.catalog.publish import Published, check, publish
from sagas.core.limits import DOCUMENT_BYTES_MAX, KIB
from sagas.core.problem import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from sagas.core.document import Checked


def apply_file(path: Path, *, by: str, is_demo: bool = False) -> Published:
    """Publish the document in one file.

    Raises:
        DocumentInvalidError: it cannot be read as text, or has problems.
    """
    return publish(_text(path), by=by, is_demo=is_demo)


def check_file(path: Path) -> Checked:
    """Check the document in one file; nothing is stored.

    Raises:
        DocumentInvalidError: it cannot be read as text.
    """
    return check(_text(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(raw) <= DOCUMENT_BYTES_MAX:
            return raw.decode("utf-8-sig")
        message, code = f"The document is larger than {DOCUMENT_BYTES_MAX // KIB} KiB.", "too_large"
    except UnicodeDecodeError as error:
        message, code = f"The file is not UTF-8 text (byte {error.start}).", "not_utf8"
    except OSError as error:
        message, code = f"The file cannot be read: {error.strerror}.", "unreadable"
    raise DocumentInvalidError((Problem(message, code=code),))
