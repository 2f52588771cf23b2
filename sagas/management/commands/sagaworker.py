"""`manage.py sagaworker`: workers alone, on as many machines as wanted."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from sagas.workers.health import count_unapplied_migrations
from sagas.workers.supervisor import ChildNeverUpError, Supervisor, WorkerGroup, courier_child


class Command(BaseCommand):
    """Runs a worker group under our supervisor."""

    help = "Run workers until Ctrl-C. The database must be up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--pumps", type=int, metavar="N", help="default: 1 on SQLite, 2 on PostgreSQL")

    def handle(self, *_args: str, **options: Any) -> None:
        """Run until a signal."""
        if missing := count_unapplied_migrations():
            raise CommandError(f"The database lacks {missing} migrations: run `manage.py migrate` first.")
        connections.close_all()
        workers = WorkerGroup(options["pumps"] or getattr(settings, "SAGAWEB_PUMPS", 1))

        def tell() -> None:
            self.stdout.write(json.dumps({"event": "ready", "group": workers.group}))
            self.stdout.flush()

        try:
            Supervisor([workers, courier_child()], when_ready=tell).run()
        except ChildNeverUpError as error:
            raise CommandError(str(error)) from error
