"""How fast do sagas of slow HTTP steps go? Three steps of 100 ms each, all runs put in first.

    python -m benchmarks.http_steps --database sqlite
    python -m benchmarks.http_steps --database postgres://user@127.0.0.1/benchmark --pumps 2

The services are processes of this benchmark: they wait and answer, nothing else.
Prints sagas a second from the first attempt to the last end, and the processor
time of the workers and of the services. Beside it, what this machine can do at most: the same
requests by the same client in one process that keeps nothing, so that figures of two machines
can be compared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp
import psutil

from benchmarks.ground import ROOT, cpu_s, ground, machine, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 500
WAIT_S_MAX = 300
NAMES = ("payments", "inventory", "shipping")
REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"is_done":true}'
STEP = """
  - name: {name}
    action: {{http: {{service: {name}, path: /do}}}}
    with: {{order: "${{input.order}}"}}
    compensation: {{action: {{http: {{service: {name}, path: /undo}}}}}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", default="sqlite", help="sqlite, or an address of PostgreSQL")
    parser.add_argument("--sagas", type=int, default=1000)
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step-ms", type=int, default=100, help="how long a service takes")
    parser.add_argument("--at-once", type=int, default=1000, help="calls of one service at once, as it is registered")
    parser.add_argument("--serve", metavar="PORT", type=int, help="be the service; for the benchmark's own use")
    options = parser.parse_args()
    if options.serve is not None:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(options.serve, options.step_ms / 1000))
        return
    print(machine())
    with ground(options.database), service(options.step_ms) as (pid, port):
        saga = _prepare(port, options.at_once)
        rates, bare = [], []
        for _ in range(options.rounds):
            rates.append(_round(saga, options.sagas, options.pumps, pid))
            bare.append(asyncio.run(_bare(options.sagas, port)))
    print(machine())
    print(
        f"{options.sagas} sagas of {len(NAMES)} HTTP steps of {options.step_ms} ms, {options.pumps} pumps, "
        f"{options.database.split(':')[0]}: median {statistics.median(rates):.0f} sagas/s, "
        f"{min(rates):.0f} to {max(rates):.0f} over {len(rates)} rounds; the requests alone, by one process that keeps "
        f"nothing: {statistics.median(bare):.0f} ({min(bare):.0f} to {max(bare):.0f})"
    )


def _prepare(port: int, at_once: int) -> str:
    from sagas.catalog.publish import publish
    from sagas.services.changes import put_service
    from sagas.services.wanted import Wanted

    for name in NAMES:
        wanted = Wanted(base_url=f"http://127.0.0.1:{port}", allow_private=True, max_concurrency=at_once)
        put_service(name, wanted, by="benchmark")
    steps = "".join(STEP.format(name=name) for name in NAMES)
    return publish(f"saga: http-order\ntitle: Slow steps over HTTP\nsteps:{steps}", by="benchmark").version.saga.name


def _round(saga: str, sagas: int, pumps: int, service_pid: int) -> float:
    from django.db import transaction
    from django.db.models import Max, Min

    from sagas.engine.commands import start_run
    from sagas.models import SagaRun

    known = set(SagaRun.objects.values_list("id", flat=True))
    for begin in range(0, sagas, CHUNK):
        with transaction.atomic():
            for number in range(begin, min(begin + CHUNK, sagas)):
                start_run(saga, {"order": number}, by="benchmark")
    before_s = _used_s(service_pid)
    with workers(pumps) as pid:
        until = time.monotonic() + WAIT_S_MAX
        while SagaRun.objects.filter(finished_at__isnull=True).exists() and time.monotonic() < until:
            time.sleep(0.2)
        used_s = cpu_s(pid)
    ours = SagaRun.objects.exclude(id__in=known) if len(known) < CHUNK else SagaRun.objects.filter(id__gt=max(known))
    times = ours.aggregate(began=Min("started_at"), ended=Max("finished_at"))
    took_s = (times["ended"] - times["began"]).total_seconds()
    states = sorted(set(ours.values_list("status", flat=True)))
    attempts = sum(ours.values_list("steps__attempts", flat=True))
    print(
        f"  {ours.count()} sagas {states}, {attempts} attempts in {took_s:.2f} s: {sagas / took_s:.0f} sagas/s; "
        f"processor time a saga: workers {used_s / sagas * 1000:.2f} ms (start-up included), services "
        f"{(_used_s(service_pid) - before_s) / sagas * 1000:.2f} ms; load {os.getloadavg()[0]:.1f}"
    )
    return sagas / took_s


async def _bare(sagas: int, port: int) -> float:
    """Return how many sagas a second there would be if nothing but their requests had to be made."""
    url = f"http://127.0.0.1:{port}/do"

    async def one(number: int) -> None:
        for _ in NAMES:
            async with session.post(url, json={"order": number}) as reply:
                await reply.json()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.monotonic()
        await asyncio.gather(*map(one, range(sagas)))
        return sagas / (time.monotonic() - began)


@contextmanager
def service(step_ms: int) -> Iterator[tuple[int, int]]:
    """Run the service for as long as the block lasts; its process id and its port."""
    words = [sys.executable, "-m", "benchmarks.http_steps", "--serve", "0", "--step-ms", str(step_ms)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.pid, int((child.stdout or sys.stdin).readline())
        finally:
            child.terminate()


async def _serve(port: int, step_s: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                sizes = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
                await reader.readexactly(sum(sizes))
                await asyncio.sleep(step_s)
                writer.write(REPLY)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def _used_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
