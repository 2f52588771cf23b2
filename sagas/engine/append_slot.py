"""A run's append slot: a lock of the event loop's, taken from the thread of an atomic action."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError

from sagas.participants.errors import NotAwaitedError

LOOP_LOOK_S = 1.0  # between two looks of a waiting thread whether the loop still runs


def acquire_from_thread(lock: asyncio.Lock, loop: asyncio.AbstractEventLoop) -> None:
    """Take a lock of the loop's from another thread.

    Raises:
        NotAwaitedError: the shift is over, and its loop with it.
    """
    acquiring = lock.acquire()
    try:
        taken = asyncio.run_coroutine_threadsafe(acquiring, loop)
    except RuntimeError:
        acquiring.close()
        raise NotAwaitedError from None
    while True:
        try:
            taken.result(LOOP_LOOK_S)
        except TimeoutError:
            if loop.is_closed():
                raise NotAwaitedError from None
        except CancelledError:
            raise NotAwaitedError from None
        else:
            return
