"""One shared byte that tells every pump of a worker group to end its shift.

django-q2 tells a busy worker nothing when it stops: it waits for the task, without
limit. The byte is in anonymous shared memory, so it must be imported before the
first fork; and it has no lock that a killed process could keep.
"""

from __future__ import annotations

import mmap

_page = mmap.mmap(-1, 1)


def request() -> None:
    """Ask all pumps to end their shifts."""
    _page[0] = 1


def is_requested() -> bool:
    """Return whether the pumps were asked to end their shifts."""
    return _page[0] == 1
