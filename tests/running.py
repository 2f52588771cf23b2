"""Real `up` and `sagaworker` processes for tests, on a database of their own.

The embedded default, or a new PostgreSQL database beside the one `DATABASE_URL` names.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

ROOT = Path(__file__).resolve().parent.parent
SECRET_KEY = "tests only, long enough to be accepted by every check there is"
PATIENCE_S = 120.0  # generous: what is tested is that it happens at all

Found = TypeVar("Found")


def wait_for(find: Callable[[], Found], what: str, *, within_s: float = PATIENCE_S) -> Found:
    """Return what `find` finds, once it finds something; fail when it does not."""
    until = time.monotonic() + within_s
    while True:
        if found := find():
            return found
        assert time.monotonic() < until, f"{what}: not within {within_s} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class Slot:
    """A row of the pump slots."""

    group: str
    number: int
    token: int
    holder: str
    beat_at: Any

    @property
    def pid(self) -> int:
        return int(self.holder.rpartition(":")[2])


@dataclass(frozen=True)
class Place:
    """A data folder and a database."""

    folder: Path
    database_url: str

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(self.folder / "sagaweb.sqlite3", timeout=20)) as connection:
                return connection.execute(sql).fetchall()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload]

    def write(self, sql: str) -> None:
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(self.folder / "sagaweb.sqlite3", timeout=20)) as connection:
                connection.execute(sql)
                connection.commit()
            return
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[call-overload]

    def slots(self) -> list[Slot]:
        return [
            Slot(*row)
            for row in self.read('SELECT "group", number, token, holder, beat_at FROM sagas_pumpslot ORDER BY 1, 2')
        ]

    def beating(self) -> list[Slot]:
        return [slot for slot in self.slots() if slot.beat_at and slot.holder]


@contextmanager
def new_place(folder: Path) -> Iterator[Place]:
    """Make a database for one test and take it away afterwards."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield Place(folder, f"sqlite:///{folder / 'sagaweb.sqlite3'}")
        return
    parts = urlsplit(url)
    server = urlunsplit(parts._replace(path="/postgres"))
    name = f"sagaweb_running_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    try:
        yield Place(folder, urlunsplit(parts._replace(path=f"/{name}")))
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[call-overload]


class Running:
    """One command of ours that runs, with the lines it has printed."""

    def __init__(self, place: Place, *arguments: str, **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAGAWEB_", "PYTEST"))}
        kept.pop("REDIS_URL", None)
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=kept
            | {
                "DJANGO_SETTINGS_MODULE": "sagaweb.settings",
                "DATABASE_URL": place.database_url,
                "SAGAWEB_DATA_DIR": str(place.folder),
                "SAGAWEB_SECRET_KEY": SECRET_KEY,
            }
            | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            lines.extend(iter(stream.readline, ""))

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def ready(self) -> dict[str, Any]:
        """Wait for the line that says so, and return it."""

        def find() -> dict[str, Any] | None:
            assert self.process.poll() is None, "".join(self.errors)
            return next((event for event in self.events() if event["event"] == "ready"), None)

        return wait_for(find, "ready")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = PATIENCE_S) -> int:
        status = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(5)
        return status

    def children(self) -> list[psutil.Process]:
        """Return every process under it, oldest first."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return sorted(found, key=lambda process: (process.create_time(), process.pid))

    def cluster(self) -> Cluster:
        return Cluster.of(self)

    def close(self) -> None:
        """Kill all of it, whatever the test did."""
        left = self.children()
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue


@dataclass(frozen=True)
class Cluster:
    """The processes of a worker group, told apart by who made them, and when."""

    main: psutil.Process
    sentinel: psutil.Process
    workers: list[psutil.Process]
    monitor: psutil.Process
    pusher: psutil.Process

    @classmethod
    def of(cls, running: Running) -> Cluster:
        main = next(child for child in running.children() if "sagas.workers.cluster" in child.cmdline())
        (sentinel,) = main.children()
        *workers, monitor, pusher = sorted(sentinel.children(), key=lambda child: (child.create_time(), child.pid))
        return cls(main, sentinel, workers, monitor, pusher)

    def part(self, role: str, place: Place) -> psutil.Process:
        """Return the process of `role`; a worker is busy when it holds a slot."""
        busy = {slot.pid for slot in place.beating()}
        match role:
            case "busy worker":
                return next(worker for worker in self.workers if worker.pid in busy)
            case "idle worker":
                return next(worker for worker in self.workers if worker.pid not in busy)
        part: psutil.Process = getattr(self, role)
        return part


def are_gone(processes: list[psutil.Process]) -> bool:
    """Return whether none of them runs; one that only waits to be reaped is gone."""
    return not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
