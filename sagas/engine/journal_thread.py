"""The one thread of a pump that claims and writes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable


class JournalThread(ThreadPoolExecutor):
    """An executor of one thread, in which a connection that broke is replaced before the next piece of work."""

    def __init__(self) -> None:
        """Make the thread; it starts when it is needed."""
        super().__init__(1, "journal")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `fn` in the thread, after what was submitted before."""
        return super().submit(_on_good_connections, fn, *args, **kwargs)


def _on_good_connections(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.close_if_unusable_or_obsolete()
    return fn(*args, **kwargs)
