"""The bell: tells pumps that something is due. Losing every ring costs a poll, never a run.

PostgreSQL carries it by NOTIFY, which rings when the caller's transaction
commits. SQLite has no bell; its one pump looks every few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL = "sagas_due"


def ring() -> None:
    """Say that some run is due, once the caller's transaction commits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def listen(heard: Callable[[], None], is_over: Callable[[], bool], *, wait_s: float = 0.5) -> None:
    """Call `heard` at every ring until `is_over`. Blocks; run it in a thread of its own.

    Returns at once where there is no bell. A broken connection ends it too: the
    caller's slow poll goes on, and it may call again.
    """
    if connection.vendor != "postgresql":
        return
    connection.ensure_connection()
    raw = connection.connection
    raw.execute(f"LISTEN {CHANNEL}")
    try:
        while not is_over():
            for _ in raw.notifies(timeout=wait_s, stop_after=1):
                heard()
    finally:
        connection.close()
