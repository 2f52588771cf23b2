"""Doing something many times at once, with real threads, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connections

THREADS = 30
CONNECTED_MAX = 40  # at once: a server as it is installed has a hundred for everybody
PATIENCE_S = 60.0


def at_once(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """Do `work(0)` … `work(count - 1)` at once, each in a thread; return what each gave or raised."""
    found: list[Any] = [None] * count
    together, places = threading.Barrier(count), threading.Semaphore(CONNECTED_MAX)

    def one(number: int) -> None:
        together.wait(PATIENCE_S)
        with places:
            try:
                found[number] = work(number)
            except Exception as error:  # noqa: BLE001 - it is what the test asks about
                found[number] = error
            finally:
                connections.close_all()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    return found
