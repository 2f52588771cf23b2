"""Where a benchmark runs: a database of its own, workers of its own, and the machine's load printed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

ROOT = Path(__file__).resolve().parent.parent
START_S_MAX = 60


@contextmanager
def ground(database: str) -> Iterator[None]:
    """Set Django up on an empty database.

    Args:
        database: `sqlite`, or a PostgreSQL address whose database is made anew and dropped at the end.
    """
    folder = tempfile.mkdtemp(prefix="sagaweb-benchmark-")
    os.environ["SAGAWEB_DATA_DIR"] = folder
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    sys.path.insert(0, str(ROOT))
    if database != "sqlite":
        _recreate(database)
        os.environ["DATABASE_URL"] = database
    else:
        os.environ.pop("DATABASE_URL", None)
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    try:
        yield
    finally:
        connections.close_all()
        shutil.rmtree(folder, ignore_errors=True)
        if database != "sqlite":
            _recreate(database, drop_only=True)


def _recreate(database: str, *, drop_only: bool = False) -> None:
    import psycopg
    from psycopg import sql

    name = sql.Identifier(urlsplit(database).path.lstrip("/"))
    server = database.rsplit("/", 1)[0] + "/postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        if not drop_only:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


@contextmanager
def workers(pumps: int) -> Iterator[int]:
    """Run `manage.py sagaworker` for as long as the block lasts; its process id, once all its pumps are at work."""
    from django.utils import timezone

    began = timezone.now()
    child = subprocess.Popen(
        [sys.executable, "manage.py", "sagaworker", "--pumps", str(pumps)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "benchmarks.settings"},
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_pumps(pumps, began)
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def _await_pumps(pumps: int, began: datetime) -> None:
    """Wait until so many pumps have beaten: what runs wait for before that is the start of a process."""
    from sagas.models import PumpSlot

    until = time.monotonic() + START_S_MAX
    while PumpSlot.objects.filter(beat_at__gt=began).count() < pumps:
        if time.monotonic() > until:
            message = f"the workers did not start within {START_S_MAX} s"
            raise TimeoutError(message)
        time.sleep(0.05)


def cpu_s(worker_pid: int) -> float:
    """Return the processor seconds that the workers, and PostgreSQL's processes for us, have used so far."""
    import psutil
    from django.db import connection

    pids = [child.pid for child in psutil.Process(worker_pid).children(recursive=True)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            pids += [row[0] for row in cursor.fetchall()]
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def machine() -> str:
    """Return a line about the machine as it is now."""
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    return f"{os.cpu_count()} cores, load average {load}, Python {sys.version.split()[0]}"
