"""Run the suite on the embedded default and on PostgreSQL; say loudly what was left out.

The two run beside each other: a good part of either waits for processes that it started. What
meets no database and no other process (marked `pure`) takes what time they leave: the
enumerations and the crash simulation only compute.

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


class Suite:
    """A part of the tests in a process of its own."""

    def __init__(
        self, title: str, environ: dict[str, str], marked: str, *, is_nice: bool = False, is_shown: bool = False
    ) -> None:
        """Start it; what it prints is kept until it is over, or shown as it comes."""
        self._title = f"\n=== {title} ==="
        self._lines = None if is_shown else tempfile.TemporaryFile()  # noqa: SIM115 - closed by `outcome`
        if is_shown:
            print(self._title, flush=True)
        first = ["nice", "-n", "15"] if is_nice and shutil.which("nice") else []
        self._running = subprocess.Popen(
            [*first, sys.executable, "-m", "pytest", "-q", "-m", marked, *sys.argv[1:]],
            cwd=ROOT,
            env=environ,
            stdout=self._lines,
            stderr=self._lines,
        )

    def outcome(self) -> int:
        """Wait for it and return its exit status; to have found no test is none of its faults when some were chosen."""
        status = self._running.wait()
        if self._lines is not None:
            self._lines.seek(0)
            print(f"{self._title}\n{self._lines.read().decode(errors='replace')}", flush=True)
            self._lines.close()
        return 0 if status == NO_TESTS and sys.argv[1:] else status


def main() -> int:
    """Return the exit status of the first part that fails, 0 when all pass."""
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
    suites = [Suite("the suite on SQLite, the others beside it", environ, "not pure", is_shown=True)]
    if postgresql:
        suites.append(Suite("the suite on PostgreSQL", environ | {"DATABASE_URL": postgresql}, NOT_ON_POSTGRESQL))
    suites.append(Suite("the pure tests", environ, "pure", is_nice=True))
    statuses = [one.outcome() for one in suites]
    status = next(filter(None, statuses), 0)
    for line in left_out:
        print(f"!!! LEFT OUT  {line}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
