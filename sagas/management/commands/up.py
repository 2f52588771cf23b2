"""`manage.py up`: everything, with one command."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connections

from sagas import access
from sagas.workers.supervisor import ChildNeverUpError, Supervisor, WorkerGroup, courier_child
from sagas.workers.web import PortError, claim_port, is_loopback, named_hosts, web_child

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

ADMIN = "admin"
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}


class Command(BaseCommand):
    """Starts web and workers under one supervisor, after bringing the database up to date."""

    help = "Migrate, then run web and workers until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
        parser.add_argument("--workers", type=int, metavar="N", help="pumps; default: 1 on SQLite, 2 on PostgreSQL")
        parser.add_argument("--demo", action="store_true", help="add the demo shop and its saga")

    def handle(self, *_args: str, **options: Any) -> None:
        """Run until a signal."""
        host = options["host"]
        try:
            is_local = is_loopback(host)
            port = claim_port(host, options["port"])
        except PortError as error:
            raise CommandError(str(error)) from error
        if is_local:
            os.environ["SAGAWEB_LOCAL"] = "1"
        else:
            self._refuse_what_is_for_local_use(is_demo=options["demo"] or _is_set("SAGAWEB_DEMO"))
        if options["demo"] and not _is_set("SAGAWEB_DEMO"):
            os.environ["SAGAWEB_DEMO"] = "1"  # decides which apps are installed, so Django must start afresh
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
        url = _url(host, port)
        if is_local:  # services that call back are on this machine too
            os.environ.setdefault("SAGAWEB_BASE_URL", url)
        try:
            self._prepare()
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        except KeyboardInterrupt as stop:
            raise CommandError("Stopped before anything was started.", returncode=130) from stop
        link = f"{url}/sign-in/{access.make_sign_in_link(_ensure_admin())}/"
        connections.close_all()

        def tell() -> None:
            self._say(f"\nSagaweb is at   {url}\nSign in once at {link}\nCtrl-C ends it.\n")
            self._say(json.dumps({"event": "ready", "url": url, "sign_in_url": link}))

        pumps = options["workers"] or getattr(settings, "SAGAWEB_PUMPS", 1)
        try:
            Supervisor([WorkerGroup(pumps), courier_child(), web_child(host, port)], when_ready=tell).run()
        except ChildNeverUpError as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _refuse_what_is_for_local_use(*, is_demo: bool) -> None:
        """Refuse, before anything is reachable from elsewhere, what is safe on one machine only."""
        problems = []
        if is_demo:
            problems.append("the demo is for this machine only; leave out --demo and SAGAWEB_DEMO")
        if _is_set("SAGAWEB_SECRET_KEY_IS_GENERATED"):
            problems.append("set SAGAWEB_SECRET_KEY; the generated one is for this machine only")
        if not set(named_hosts()) - LOOPBACK_NAMES:
            problems.append("set SAGAWEB_ALLOWED_HOSTS to the names people will use")
        if problems:
            raise CommandError("Other machines could reach this address: " + "; ".join(problems) + ".")

    @staticmethod
    def _prepare() -> None:
        call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0, stdout=sys.stderr)
        if _is_set("SAGAWEB_DEMO") and "demo" in get_commands():
            call_command("demo", stdout=sys.stderr)

    def _say(self, text: str) -> None:
        try:
            self.stdout.write(text)
            self.stdout.flush()
        except BrokenPipeError:  # nobody listens; the work goes on
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - until the process ends


def _is_set(name: str) -> bool:
    return bool(getattr(settings, name, False))


def _ensure_admin() -> AbstractUser:
    """Return who the sign-in link is for: the first administrator, made when there is none."""
    users = get_user_model().objects
    found = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return found or users.create_superuser(ADMIN, password=None)  # None: no password will ever match


def _url(host: str, port: int) -> str:
    base = getattr(settings, "SAGAWEB_BASE_URL", "")
    if base:
        return str(base)
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - shown, not bound to
        host = next(name for name in named_hosts() if name not in LOOPBACK_NAMES)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
