"""The one django-q2 task: being a pump for one shift."""

from __future__ import annotations

import logging
import os
from functools import partial

from sagas import queue
from sagas.engine import pump
from sagas.workers import stop

log = logging.getLogger(__name__)

# A task that never ended would never be acknowledged. A shift is longer than its draining
# may take (pump.DRAIN_S_MAX), so that no more than one old shift of a slot is ever draining
# while the next one runs; both together stay below the task's time-out (Q_CLUSTER).
SHIFT_S = 240.0


def pump_shift(group: str, slot: int) -> None:
    """Be the pump of `slot` for a shift; the next one is rung for when the slot is free again.

    Nothing is raised: a shift that broke is logged, and the supervisor, who sees
    that the slot has stopped beating, rings again. So a pump that breaks at once
    does not spin, and django-q2 stores no failure.
    """
    parent = os.getppid()

    def should_stop() -> bool:
        return stop.is_requested() or os.getppid() != parent

    if should_stop():
        return
    try:
        pump.run_shift(
            group, slot, length_s=SHIFT_S, should_stop=should_stop, hand_over=partial(queue.ring_pump, group, slot)
        )
    except Exception:
        log.exception("The shift of pump %s of %s broke.", slot, group)
