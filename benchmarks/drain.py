"""How fast is queued work drained? Runs are put in first, then workers start.

    python -m benchmarks.drain --database sqlite
    python -m benchmarks.drain --database postgres://user@127.0.0.1/benchmark --pumps 2 --undo

Prints sagas a second, from the first attempt to the last end as the rows tell.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks import order
from benchmarks.ground import cpu_s, ground, machine, workers

CHUNK = 500
WAIT_S_MAX = 600


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--sagas", type=int, default=10_000)
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--undo", action="store_true", help="the third step is rejected, two compensations run")
    options = parser.parse_args()
    print(machine())
    with ground(options.database):
        rates = [_round(options.sagas, options.pumps, is_undo=options.undo) for _ in range(options.rounds)]
    print(machine())
    print(
        f"{options.sagas} sagas, {options.pumps} pumps, {options.database.split(':')[0]}: "
        f"median {statistics.median(rates):.0f} sagas/s, {min(rates):.0f} to {max(rates):.0f} over {len(rates)} rounds"
    )


def _round(sagas: int, pumps: int, *, is_undo: bool) -> float:
    from django.db import transaction
    from django.db.models import Max, Min

    from sagas.catalog.publish import publish
    from sagas.engine.commands import start_run
    from sagas.models import SagaRun

    name = publish(order.undoing() if is_undo else order.completing(), by="benchmark").version.saga.name
    known = SagaRun.objects.count()
    for begin in range(0, sagas, CHUNK):
        with transaction.atomic():
            for number in range(begin, min(begin + CHUNK, sagas)):
                start_run(name, {"order": number}, by="benchmark")
    newest = list(SagaRun.objects.order_by("-created_at", "-id").values_list("id", flat=True)[:sagas])
    first = min(newest)
    with workers(pumps) as pid:
        until = time.monotonic() + WAIT_S_MAX
        while SagaRun.objects.filter(finished_at__isnull=True).exists() and time.monotonic() < until:
            time.sleep(0.2)
        used_s = cpu_s(pid)
    ours = SagaRun.objects.filter(id__gte=first)
    times = ours.aggregate(began=Min("started_at"), ended=Max("finished_at"))
    states = set(ours.values_list("status", flat=True))
    took_s = (times["ended"] - times["began"]).total_seconds()
    print(
        f"  {ours.count()} sagas {sorted(states)} in {took_s:.2f} s: {sagas / took_s:.0f} sagas/s, "
        f"{used_s / sagas * 1000:.2f} ms of processor time each, start-up included ({known} runs before)"
    )
    return sagas / took_s


if __name__ == "__main__":
    main()
