"""The one django-q2 task: being a pump for one shift."""

from __future__ import annotations

import logging
import os
from functools import partial

from sagas import queue
from sagas.engine import pump
from sagas.engine.perform import LATE_MAX
from sagas.workers import stop

log = logging.getLogger(__name__)

# A task that never ended would never be acknowledged. A shift is longer than its draining
# may take (pump.DRAIN_S_MAX), so that no more than one old shift of a slot is ever draining
# while the next one runs; both together stay below the task's time-out (Q_CLUSTER).
SHIFT_S = 240.0
EXIT_WORN_OUT = 75  # EX_TEMPFAIL of sysexits.h

_left_behind = 0  # threads in actions that had not come back when their shift ended


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
    global _left_behind  # noqa: PLW0603 - of this process
    try:
        _left_behind += pump.run_shift(
            group, slot, length_s=SHIFT_S, should_stop=should_stop, hand_over=partial(queue.ring_pump, group, slot)
        )
    except Exception:
        log.exception("The shift of pump %s of %s broke.", slot, group)
    if _left_behind >= LATE_MAX:
        # A busy worker that ends is replaced. Its message is given out once more, later, which does no harm.
        log.error("%s threads of actions never came back: this worker ends, another takes its place.", _left_behind)
        os._exit(EXIT_WORN_OUT)
