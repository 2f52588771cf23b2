"""How many events are taken in and reacted to, and how long is it from an event to the end of its reaction?

    python -m benchmarks.events --database sqlite
    python -m benchmarks.events --database postgres://user@127.0.0.1/benchmark --orders 2000

First one order at a time: from the answer to `order.placed` until the first reaction's outcome is written. Then
all at once, in batches: orders a second from the first event to the last end, four events and three reactions each.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.ground import ground, machine, workers

BATCH = 200
GIVE_UP_S = 600
SOURCE = """
saga: noop-order
style: choreography
starts_on: [order.placed]
correlate: ${event.data.order_id}
completes_on: [order.shipped]
publishes: {storefront: [order.placed]}
reactions:
  - {name: pay, service: payments, on: [order.placed], action: noop.succeed, compensation: none,
     emits: {succeeded: payment.taken}}
  - {name: reserve, service: inventory, on: [payment.taken], action: noop.succeed, compensation: none,
     emits: {succeeded: stock.reserved}}
  - {name: ship, service: shipping, on: [stock.reserved], action: noop.succeed, compensation: none,
     emits: {succeeded: order.shipped}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--alone", type=int, default=100, help="orders one at a time")
    options = parser.parse_args()
    print(machine())
    with ground(options.database):
        from sagas.catalog.publish import publish

        publish(SOURCE, by="benchmark")
        with workers(options.pumps):
            _alone(options.alone)
            _together(options.orders)
    print(machine())


def _alone(count: int) -> None:
    from sagas.models import JournalEntry, SagaRun

    took_ms = []
    for number in range(count):
        began = time.time()
        _send([f"a{number}"])
        while not SagaRun.objects.filter(key=f"a{number}", finished_at__isnull=False).exists():
            time.sleep(0.005)
        run = SagaRun.objects.get(key=f"a{number}")
        ended = (
            JournalEntry.objects.filter(run=run, kind="attempt_ended").order_by("sequence").values_list("at", flat=True)
        )
        took_ms.append((ended[0].timestamp() - began) * 1000)
    cuts = statistics.quantiles(took_ms, n=100)
    print(f"  from an event to the end of its reaction: p50 {cuts[49]:.1f}, p95 {cuts[94]:.1f} ms, over {count} orders")


def _together(count: int) -> None:
    from sagas.models import SagaEvent, SagaRun

    before = SagaEvent.objects.count()
    began = time.perf_counter()
    for begin in range(0, count, BATCH):
        _send([f"b{number}" for number in range(begin, min(begin + BATCH, count))])
    taken_s = time.perf_counter() - began
    give_up = time.monotonic() + GIVE_UP_S
    while SagaRun.objects.filter(finished_at=None).exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    took_s = time.perf_counter() - began
    events = SagaEvent.objects.count() - before
    print(
        f"  {count} orders: taken in within {taken_s:.1f} s ({count / taken_s:.0f} events/s), "
        f"all ended after {took_s:.1f} s: {count / took_s:.0f} orders/s, {events / took_s:.0f} events/s"
    )


def _send(orders: list[str]) -> None:
    from sagas.choreography.router import take
    from sagas.core.cloud_event import CloudEvent
    from sagas.models import EventOrigin

    events = [
        CloudEvent(id=f"{order}-placed", source="/benchmark", type="order.placed", data={"order_id": order})
        for order in orders
    ]
    take(events, origin=EventOrigin.API, by="benchmark")


if __name__ == "__main__":
    main()
