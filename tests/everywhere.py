"""Run the suite on the embedded default, then on PostgreSQL; say loudly what was left out.

What meets no database and no other process (marked `pure`) runs beside the first of the two, on
another core: the enumerations and the crash simulation only compute.

`DATABASE_URL_TEST` names the PostgreSQL server, else the local default port is tried.
`REDIS_URL_TEST` does the same for Redis. `TEST_DEMAND=1` (CI) fails where one of them,
or Chromium, is missing, instead of leaving tests out.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from tests.brokers import RABBITMQ

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit status
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# What does not depend on the database, or brings its own.
NOT_ON_POSTGRESQL = "not browser and not embedded and not pure"


def find_postgresql() -> str | None:
    """Return the address of a server that lets us in, with a database name of this checkout's own."""
    here = "127.0.0.1:5432"
    given = os.environ.get("DATABASE_URL_TEST")
    for url in (
        [given]
        if given
        else [f"postgres://{user}@{here}/" for user in (getpass.getuser(), "postgres", "postgres:postgres")]
    ):
        parts = urlsplit(url)
        try:
            with closing(psycopg.connect(urlunsplit(parts._replace(path="/postgres")), connect_timeout=3)):
                return urlunsplit(parts._replace(path=f"/sagaweb_{zlib.crc32(bytes(ROOT)):08x}"))
        except psycopg.Error:
            continue
    return None


def find_redis() -> str | None:
    url = os.environ.get("REDIS_URL_TEST", "redis://127.0.0.1:6379/9")
    try:
        with closing(redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)) as client:
            client.ping()
    except redis.RedisError:
        return None
    return url


def start(
    environ: dict[str, str], *arguments: str, output: IO[bytes] | None = None, is_nice: bool = False
) -> subprocess.Popen[bytes]:
    first = ["nice", "-n", "15"] if is_nice and shutil.which("nice") else []
    command = [*first, sys.executable, "-m", "pytest", "-q", *arguments, *sys.argv[1:]]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)


def run(title: str, environ: dict[str, str], marked: str) -> int:
    print(f"\n=== {title} ===", flush=True)
    return outcome(start(environ, "-m", marked))


def run_beside_the_pure(environ: dict[str, str]) -> int:
    """Run the suite on SQLite, and the pure tests beside it; their lines are printed when they are over."""
    with tempfile.TemporaryFile() as lines:
        pure = start(environ, "-m", "pure", output=lines, is_nice=True)  # the others start processes and wait for them
        status = run("the suite on SQLite, the pure tests beside it", environ, "not pure")
        pure_status = outcome(pure)
        lines.seek(0)
        print(f"\n=== the pure tests ===\n{lines.read().decode(errors='replace')}", flush=True)
    return status or pure_status


def outcome(running: subprocess.Popen[bytes]) -> int:
    """Return the exit status; to have found no test is none of its faults when the caller chose some."""
    status = running.wait()
    return 0 if status == NO_TESTS and sys.argv[1:] else status


def main() -> int:
    """Return the exit status of the first run that fails, 0 when all pass."""
    postgresql, redis_url = find_postgresql(), find_redis()
    left_out = []
    if postgresql is None:
        left_out.append("PostgreSQL: no server at DATABASE_URL_TEST or 127.0.0.1:5432; the suite ran on SQLite only")
    if redis_url is None:
        left_out.append("Redis: no server at REDIS_URL_TEST or 127.0.0.1:6379; nothing was pushed through it")
    if not RABBITMQ.exists() or not shutil.which("redis-server"):
        left_out.append("RabbitMQ or Redis: their servers are not installed; no broker was killed and started again")
    if not any(shutil.which(name) for name in CHROMIUM):
        left_out.append("Chromium: not installed; no page was opened in a browser")
    for line in left_out:
        print(f"!!! LEFT OUT  {line}", flush=True)
    if left_out and os.environ.get("TEST_DEMAND"):
        print("Everything is demanded here (TEST_DEMAND), so this fails.")
        return 1
    environ = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    if postgresql:
        environ["DATABASE_URL_TEST"] = postgresql  # for tests that start whole servers of their own
    if redis_url:
        environ["REDIS_URL_TEST"] = redis_url
    status = run_beside_the_pure(environ)
    if status == 0 and postgresql:
        environ["DATABASE_URL"] = postgresql
        status = run("the suite on PostgreSQL", environ, NOT_ON_POSTGRESQL)
    for line in left_out:
        print(f"!!! LEFT OUT  {line}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
