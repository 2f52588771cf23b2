"""Everything at once, on this machine: the dashboard, its workers, and the three services of the shop.

    PYTHONPATH=examples python -m shop_http        (make demo-http)

Ports are free ones, secrets are made anew each time, and a service that dies is
started again. Ctrl-C ends all.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SERVICES = ("payments", "inventory", "shipping")
HOST = "127.0.0.1"
PORT = 8000
AGAIN_S = 2.0  # after which a service that died is started again
STOP_S = 15.0
LOOK_S = 0.2
BY = "the demo"

WORDS = """
The shop over HTTP runs. Each service is a process with a database of its own:

{services}

  1  Sign in       {sign_in}
  2  Services      {url}/services/
  3  Start a run   {url}/sagas/create-order-http/

     Order id A-1 · Amount 4200 · Items [{{"sku": "teapot"}}] · Pace ms 700

  To see it go back, take another order id and change one field:

     sold out            Items    [{{"sku": "moon-rock"}}]
     card declined       Amount   200000000
     parcel refused      Faults   {{"create_shipment": {{"mode": "reject"}}}}
     a service dies      Faults   {{"update_inventory": {{"mode": "crash"}}}}

examples/shop_http/README.md says what each shows. Ctrl-C ends all.
"""


class Stopped(Exception):  # noqa: N818 - not an error
    """Somebody wants all of it to end."""


def main() -> int:
    """Run until a signal, or until the dashboard ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=PORT, help=f"of the dashboard; a free one where {PORT} is taken")
    port = free_port(parser.parse_args().port)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaweb.settings")
    os.environ.setdefault("SAGAWEB_DATA_DIR", str(ROOT / "var/demo-http"))
    os.environ["SAGAWEB_DEMO"] = os.environ["SAGAWEB_LOCAL"] = "1"
    os.environ["SAGAWEB_BASE_URL"] = f"http://{HOST}:{port}"  # where services call back
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    shop = Shop(Path(os.environ["SAGAWEB_DATA_DIR"]) / "shop")
    try:
        shop.register()
        shop.start()
        return shop.watch(port)
    except Stopped:
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        shop.end()


class Shop:
    """The three services, and the dashboard beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port(0) for name in SERVICES}
        self.secrets: dict[str, str] = {}
        self.children: dict[str, subprocess.Popen[str]] = {}

    def register(self) -> None:
        """Bring the database up to date, put the services into the registry, and publish the saga."""
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        from sagas.catalog import publish
        from sagas.services import changes
        from sagas.services.wanted import Wanted

        call_command("migrate", interactive=False, verbosity=0, stdout=sys.stderr)
        for name, port in self.ports.items():
            wanted = Wanted(base_url=f"http://{HOST}:{port}", allow_private=True)
            done = changes.put_service(name, wanted, by=BY)
            if not done.secret:  # it stood there: what was its secret nobody can read any more
                done = changes.rotate_secret(name, by=BY, former_valid_s=0)
            self.secrets[name] = done.secret
        publish.publish((HERE / "create-order-http.yaml").read_text(encoding="utf-8"), by=BY, is_demo=True)
        connections.close_all()

    def start(self) -> None:
        """Start the services and wait until each takes connections."""
        for name in SERVICES:
            self._start(name)
        until = time.monotonic() + STOP_S
        while not all(_is_listening(port) for port in self.ports.values()):
            if time.monotonic() > until:
                raise SystemExit("A service did not start.")
            time.sleep(LOOK_S)

    def _start(self, name: str) -> None:
        mine = {"SHOP_SECRET": self.secrets[name], "SHOP_DATA": str(self.folder)}
        path = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH", ""))))
        # Bound to us: whatever ends this process, the services end with it.
        words = ["-m", "sagas.workers.parent", str(os.getpid()), f"shop_http.{name}", "--port", str(self.ports[name])]
        self.children[name] = _child(words, env=os.environ | mine | {"PYTHONPATH": path})

    def watch(self, port: int) -> int:
        """Run the dashboard, and start again what dies; return what the dashboard ended with."""
        words = ["-m", "sagas.workers.parent", str(os.getpid()), "sagaweb", "up", "--demo", "--port", str(port)]
        up = self.children["up"] = _child(words, env=dict(os.environ), stdout=subprocess.PIPE)
        threading.Thread(target=self._tell, args=(up,), daemon=True).start()
        dead: dict[str, float] = {}
        while up.poll() is None:
            for name in SERVICES:
                status = self.children[name].poll()
                if status is None:
                    continue
                if name not in dead:
                    _say(f"The service {name} ended with {status}; it is started again in {AGAIN_S:g} s.")
                    dead[name] = time.monotonic()
                elif time.monotonic() - dead[name] > AGAIN_S:
                    del dead[name]
                    self._start(name)
            time.sleep(LOOK_S)
        return up.returncode

    def _tell(self, up: subprocess.Popen[str]) -> None:
        """Say where to click, once the dashboard says that it is ready."""
        for line in up.stdout or ():
            if not line.startswith("{"):
                continue
            ready = json.loads(line)
            listed = [
                f"     {name:<10} http://{HOST}:{p}   process {self.children[name].pid}"
                for name, p in self.ports.items()
            ]
            _say(WORDS.format(services="\n".join(listed), sign_in=ready["sign_in_url"], url=ready["url"]))
            _say(json.dumps({"event": "ready", **ready, "services": self.ports}))

    def end(self) -> None:
        """End the dashboard first, so that nothing is called that has gone."""
        for name in ("up", *SERVICES):
            child = self.children.get(name)
            if child is None or child.poll() is not None:
                continue
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port(wanted: int) -> int:
    """Return `wanted` where it is free, else a port that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("No port is free.")


def _child(words: list[str], **options: Any) -> subprocess.Popen[str]:
    # A session of its own: Ctrl-C reaches us alone, and we end the others in their order.
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, text=True, start_new_session=True, **options)  # noqa: S603


def _is_listening(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((HOST, port)) == 0


def _stop(*_: Any) -> None:
    raise Stopped


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program that talks


if __name__ == "__main__":
    raise SystemExit(main())
