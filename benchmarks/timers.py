"""How late do timers ring? Runs sleep until a moment of their own, then a step that does nothing follows.

    python -m benchmarks.timers --database sqlite
    python -m benchmarks.timers --database postgres://user@127.0.0.1/benchmark --at-once 10000 --rate 100

Prints the time from the moment that was asked for to the entry that ends the
wait, and to the answer of the step after it: steady first, then all at once.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.ground import ground, machine, workers

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 500
SETTLE_S_MAX = 300
SOURCE = """
saga: noop-timer
title: Sleep, then do nothing
steps:
  - {name: rest, sleep_until: "${input.at}"}
  - {name: done, action: noop.succeed, compensation: none}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--rate", type=int, default=100, help="timers a second, steady")
    parser.add_argument("--seconds", type=int, default=30, help="for so long")
    parser.add_argument("--at-once", type=int, default=10_000, help="timers that ring in one moment")
    parser.add_argument("--lead", type=float, default=0.01, help="seconds per run until the first rings")
    options = parser.parse_args()
    print(machine())
    with ground(options.database):
        from sagas.catalog.publish import publish

        publish(SOURCE, by="benchmark")
        steady = [number / options.rate for number in range(options.rate * options.seconds)]
        _measure(f"steady, {options.rate} a second for {options.seconds} s", steady, options)
        _measure(f"{options.at_once} at once", [0.0] * options.at_once, options)
    print(machine())


def _measure(what: str, offsets: list[float], options: argparse.Namespace) -> None:
    from django.db import transaction

    from sagas.engine.commands import start_run
    from sagas.models import JournalEntry, SagaRun

    with workers(options.pumps):
        first = datetime.now(UTC) + timedelta(seconds=10 + options.lead * len(offsets))
        for begin in range(0, len(offsets), CHUNK):
            with transaction.atomic():
                for offset in offsets[begin : begin + CHUNK]:
                    moment = first + timedelta(seconds=offset)
                    start_run("noop-timer", {"at": moment.isoformat()}, by="benchmark")
        asleep = _wait(lambda: SagaRun.objects.filter(waiting_for="timer").count() >= len(offsets), first)
        last = first + timedelta(seconds=max(offsets) + SETTLE_S_MAX)
        _wait(lambda: not SagaRun.objects.filter(finished_at__isnull=True).exists(), last)
    until = dict(JournalEntry.objects.filter(kind="wait_started").values_list("run_id", "data__until"))
    ended = dict(JournalEntry.objects.filter(kind="wait_ended").values_list("run_id", "at"))
    answered = dict(JournalEntry.objects.filter(kind="attempt_ended").values_list("run_id", "at"))
    if not asleep:
        print(f"  {what}: not every run was asleep when the first timer rang; raise --lead")
    for name, found in (("entry", ended), ("answer of the next step", answered)):
        late_ms = [(at - datetime.fromisoformat(until[run])).total_seconds() * 1000 for run, at in found.items()]
        print(f"  {what}, to the {name}: {_quantiles(late_ms)} ms over {len(late_ms)} timers")
    SagaRun.objects.all().delete()


def _wait(is_so: Callable[[], bool], until: datetime) -> bool:
    while datetime.now(UTC) < until:
        if is_so():
            return True
        time.sleep(0.2)
    return False


def _quantiles(values: list[float]) -> str:
    cuts = statistics.quantiles(values, n=100)
    return f"p50 {cuts[49]:.0f}, p95 {cuts[94]:.0f}, p99 {cuts[98]:.0f}, most {max(values):.0f}"


if __name__ == "__main__":
    main()
