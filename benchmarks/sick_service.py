"""What do runs notice of a service that they do not need, and that never answers?

    python -m benchmarks.sick_service --database sqlite
    python -m benchmarks.sick_service --database postgres://user@127.0.0.1/benchmark --pumps 2

Sagas of three HTTP steps are started at a steady rate, once alone and once while as many
others call a service that takes every request and answers none; turn and turn about.
Prints how long the well ones took from start to end, and the ratio of the two p95.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack

from benchmarks.ground import ground, machine, workers
from benchmarks.http_steps import service

WAIT_S_MAX = 300
STEP_MS, NEVER_MS = 20, 3_600_000
SETTLE_S = 3.0  # until the sick ones have met their service
STEP = """
  - name: {name}
    action: {{http: {{service: {service}, path: /do}}}}
    with: {{order: "${{input.order}}"}}
    timeout: 10s
    retry: {{attempts: forever}}
    compensation: {{action: {{http: {{service: {service}, path: /undo}}}}}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--sagas", type=int, default=500, help="well ones, and as many sick ones")
    parser.add_argument("--rate", type=int, default=50, help="well ones started in a second")
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of each kind")
    options = parser.parse_args()
    print(machine())
    with ground(options.database), service(STEP_MS) as (_, well), service(NEVER_MS) as (_, sick):
        _prepare(well, sick)
        alone, beside = [], []
        for _ in range(options.rounds):
            alone.append(_round(options, sick=0))
            beside.append(_round(options, sick=options.sagas))
    print(machine())
    ratio = statistics.median(beside) / statistics.median(alone)
    print(
        f"p95 of {options.sagas} sagas: alone {statistics.median(alone):.0f} ms, beside {options.sagas} of a service "
        f"that never answers {statistics.median(beside):.0f} ms: {ratio:.2f} times"
    )


def _prepare(well: int, sick: int) -> None:
    from sagas.catalog.publish import publish
    from sagas.services.changes import put_service
    from sagas.services.wanted import Wanted

    for name, port in (("well", well), ("sick", sick)):
        put_service(name, Wanted(base_url=f"http://127.0.0.1:{port}", allow_private=True), by="benchmark")
        steps = "".join(STEP.format(name=f"step_{number}", service=name) for number in range(3))
        publish(f"saga: {name}-order\nsteps:{steps}", by="benchmark")


def _round(options: argparse.Namespace, *, sick: int) -> float:
    """Return the p95 of the well ones, in milliseconds."""
    from sagas.engine.commands import start_run
    from sagas.models import SagaRun

    hanging = [start_run("sick-order", {"order": number}, by="benchmark").run.id for number in range(sick)]
    with ExitStack() as stack:
        stack.enter_context(workers(options.pumps))
        until = time.monotonic() + WAIT_S_MAX
        while SagaRun.objects.filter(id__in=hanging, started_at__isnull=True).exists() and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(SETTLE_S)
        begun = time.monotonic()
        ids = []
        for number in range(options.sagas):
            ids.append(start_run("well-order", {"order": number}, by="benchmark").run.id)
            time.sleep(max(0.0, begun + (number + 1) / options.rate - time.monotonic()))
        ours = SagaRun.objects.filter(id__in=ids)
        until = time.monotonic() + WAIT_S_MAX
        while ours.filter(finished_at__isnull=True).exists() and time.monotonic() < until:
            time.sleep(0.2)
    times = sorted((one.finished_at - one.created_at).total_seconds() * 1000 for one in ours if one.finished_at)
    p95 = times[int(0.95 * len(times))]
    print(
        f"  {len(times)} of {options.sagas} ended, beside {sick} sick ones: p50 {statistics.median(times):.0f}, "
        f"p95 {p95:.0f}, most {times[-1]:.0f} ms"
    )
    SagaRun.objects.filter(id__in=hanging).delete()
    return p95


if __name__ == "__main__":
    main()
