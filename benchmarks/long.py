"""What does a step cost in a saga of 10,000 steps, and what does the pump hold in memory?

    python -m benchmarks.long --database sqlite
    python -m benchmarks.long --database postgres://user@127.0.0.1/benchmark --steps 10000 --wide 1

Steps come one after the other, or in `--wide` chains beside each other; with `--undo` the last one is
refused and all before it are undone. Prints the time per step of the first hundred and of the last, their
ratio, and the most memory of any worker process.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime
from typing import Any

from benchmarks.ground import ground, machine, workers

HUNDRED = 100
GIVE_UP_S = 1800


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--wide", type=int, default=1, help="chains beside each other")
    parser.add_argument("--undo", action="store_true", help="refuse the last step")
    options = parser.parse_args()
    print(machine())
    with ground(options.database):
        from sagas.catalog.publish import publish

        began = time.perf_counter()
        publish(document(options.steps, options.wide, undo=options.undo), by="benchmark")
        print(f"  published in {time.perf_counter() - began:.1f} s")
        _measure()
    print(machine())


def document(steps: int, wide: int, *, undo: bool) -> str:
    """Return a saga of so many steps that do nothing, in chains beside each other."""
    rows: list[dict[str, Any]] = []
    for number in range(steps):
        row: dict[str, Any] = {
            "name": f"s{number}",
            "action": "noop.succeed",
            "compensation": {"action": "noop.succeed"},
        }
        if wide > 1:
            row["after"] = [f"s{number - wide}"] if number >= wide else []
        rows.append(row)
    if undo:
        rows[-1] |= {"action": "noop.reject", "compensation": "none"}
    return json.dumps({"saga": "noop-long", "steps": rows}, separators=(",", ":"))


def _measure() -> None:
    import psutil

    from sagas.engine.commands import start_run
    from sagas.models import JournalEntry, SagaRun

    most = 0
    with workers(1) as pid:
        run = start_run("noop-long", {}, by="benchmark").run
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up and SagaRun.objects.filter(id=run.id, finished_at=None).exists():
            children = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            most = max(most, *(_rss(child) for child in children))
            time.sleep(0.2)
    ended = SagaRun.objects.get(id=run.id)
    moments = list(
        JournalEntry.objects.filter(run=run, kind="attempt_ended").order_by("sequence").values_list("at", flat=True)
    )
    first, last = (_per_step_ms(part) for part in (moments[: HUNDRED + 1], moments[-HUNDRED - 1 :]))
    print(
        f"  {len(moments)} attempts, {ended.status}, in {(moments[-1] - moments[0]).total_seconds():.1f} s; "
        f"first hundred {first:.2f} ms each, last hundred {last:.2f} ms each, ratio {last / first:.2f}; "
        f"most memory of a process {most // 2**20} MB"
    )


def _per_step_ms(moments: list[datetime]) -> float:
    return (moments[-1] - moments[0]).total_seconds() * 1000 / (len(moments) - 1)


def _rss(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
