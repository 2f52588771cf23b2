"""One django-q2 cluster, in the form our supervisor can trust. Run as `python -m sagas.workers.cluster GROUP PUMPS`.

It has its own queue, named by the group, so that a pump's message reaches the
workers whose slot it is. It is never repaired in place when something in it died
at rest: a process killed while idle may hold a lock of the shared queues for ever,
so the cluster ends and the supervisor starts another.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import django

django.setup()

from django.db import connections  # noqa: E402 - django-q2 needs Django to be ready
from django_q import cluster as django_q_cluster  # noqa: E402
from django_q.conf import Conf  # noqa: E402

from sagas import queue  # noqa: E402
from sagas.workers import pump_task, stop  # noqa: E402, F401 - loaded before the fork, and the byte shared by it

log = logging.getLogger(__name__)

RECYCLED = -2  # django-q2's mark of a worker that ended because it had done enough
EXIT_BROKEN = 70  # EX_SOFTWARE of sysexits.h


class PumpSentinel(django_q_cluster.Sentinel):
    """django-q2's guard, which replaces a busy worker and gives up when an idle part died."""

    def reincarnate(self, process: Any) -> None:
        """Replace `process`, or end the cluster when what it held cannot be known.

        A worker in a task (its timer runs) and one that ended by itself hold no
        lock of the queues. Any other one may.
        """
        is_worker = process not in {self.monitor, self.pusher}
        if is_worker and (process.timer.value > 0 or int(process.timer.value) == RECYCLED):
            super().reincarnate(process)
            return
        role = "a worker" if is_worker else "the monitor" if process is self.monitor else "the pusher"
        log.error("Of the worker group, %s died (exit %s); it starts again.", role, process.exitcode)
        os._exit(EXIT_BROKEN)


class PumpCluster(django_q_cluster.Cluster):
    """django-q2's cluster, whose stop reaches the pumps."""

    def stop(self) -> Any:
        """Tell the pumps, then stop as django-q2 does, which waits for them."""
        stop.request()
        return super().stop()


def main(group: str, pumps: int) -> int:
    """Run the cluster of `group` until SIGTERM; return its exit status, 0 only for an ordered stop.

    Each slot may have one old shift that drains beside the one that runs, and one
    worker more is at hand when a pump hangs and its slot is offered again.
    """
    Conf.WORKERS = 2 * pumps + 1
    django_q_cluster.Sentinel = PumpSentinel
    connections.close_all()
    cluster = PumpCluster(broker=queue.Doorbell(list_key=group))
    cluster.start()
    cluster.sentinel.join()
    return 0 if stop.is_requested() else EXIT_BROKEN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
