"""How long does one saga take when nothing else runs? One is started, awaited, then the next.

    python -m benchmarks.alone --database sqlite
    python -m benchmarks.alone --database postgres://user@127.0.0.1/benchmark

Prints the time from the start call to the end, in milliseconds, as the rows tell.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks import order
from benchmarks.ground import ground, machine, workers

WAIT_S_MAX = 60
WARM_UP = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--sagas", type=int, default=300)
    parser.add_argument("--pumps", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    with ground(options.database), workers(options.pumps):
        from sagas.catalog.publish import publish

        name = publish(order.completing(), by="benchmark").version.saga.name
        times = [_one(name, number) for number in range(options.sagas + WARM_UP)][WARM_UP:]
    print(machine())
    cuts = statistics.quantiles(times, n=100)
    print(
        f"one saga alone, {options.database.split(':')[0]}: p50 {statistics.median(times):.1f} ms, "
        f"p90 {cuts[89]:.1f}, p99 {cuts[98]:.1f}, max {max(times):.1f} over {len(times)}"
    )


def _one(name: str, number: int) -> float:
    from sagas.engine.commands import start_run
    from sagas.models import SagaRun

    run = start_run(name, {"order": number}, by="benchmark").run
    until = time.monotonic() + WAIT_S_MAX
    ended = None
    while ended is None and time.monotonic() < until:
        time.sleep(0.002)
        ended = SagaRun.objects.values_list("finished_at", flat=True).get(id=run.id)
    if ended is None:
        raise SystemExit(f"run {run.id} did not end within {WAIT_S_MAX} s")
    return (ended - run.created_at).total_seconds() * 1000


if __name__ == "__main__":
    main()
