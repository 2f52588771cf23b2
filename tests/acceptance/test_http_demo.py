"""`make demo-http` and the service of the how-to: what a newcomer runs does what the pages say."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import psutil
import pytest

from tests.running import ROOT, are_gone, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.embedded, pytest.mark.slow]

PLAIN = {"amount": 4200, "items": [{"sku": "teapot"}]}
ORDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("completed", {}),
    "sold-out": ("compensated", {"items": [{"sku": "moon-rock"}]}),
    "declined": ("compensated", {"amount": 200_000_000}),
    "parcel": ("compensated", {"faults": {"create_shipment": {"mode": "reject"}}}),
    "killed": ("completed", {"faults": {"update_inventory": {"mode": "crash"}}}),
    "error": ("completed", {"faults": {"process_payment": {"mode": "error", "times": 1}}}),
    "failed": ("completed", {"faults": {"update_inventory": {"mode": "fail", "times": 1}}}),
    "refund": (
        "compensated",
        {"faults": {"create_shipment": {"mode": "reject"}, "refund_payment": {"mode": "error", "times": 1}}},
    ),
}


class Demo:
    """The demo as a process, with what it printed."""

    def __init__(self, folder: Path, port: int) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SAGAWEB_", "PYTEST", "DJANGO_"))}
        kept.pop("DATABASE_URL", None)
        kept.pop("REDIS_URL", None)
        self.folder = folder
        self.environ = kept | {
            "SAGAWEB_DATA_DIR": str(folder),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "examples")]),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shop_http", "--port", str(port)],
            cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.errors), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            lines.extend(iter(stream.readline, ""))

    def ready(self) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            assert self.process.poll() is None, "".join(self.errors)
            return next((json.loads(line) for line in self.lines if line.startswith("{")), None)

        return wait_for(find, "the demo")

    def rows(self, sql: str, name: str = "sagaweb") -> list[tuple[Any, ...]]:
        with closing(connect(self.folder / f"{name}.sqlite3", timeout=20)) as db:
            return db.execute(sql).fetchall()

    def start(self, orders: dict[str, Any]) -> None:
        code = (
            "from sagas.engine.commands import start_run\n"
            f"for order in {list(orders.values())!r}: start_run('create-order-http', order, by='tests')"
        )
        words = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
        subprocess.run(words, cwd=ROOT, env=self.environ | {"SAGAWEB_DEMO": "1"}, check=True)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        status = self.process.wait(30)
        for reader in self.readers:
            reader.join(10)
        return status


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is busy."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        yield busy.getsockname()[1]


def test_the_demo_shows_what_its_page_says_and_leaves_nothing_behind(tmp_path, taken):
    demo = Demo(tmp_path, taken)
    try:
        ready = demo.ready()
        assert f":{taken}" not in ready["url"]
        demo.start({name: PLAIN | {"order_id": name} | more for name, (_, more) in ORDERS.items()})
        wait_for(lambda: demo.rows("SELECT 1 FROM sagas_sagarun WHERE finished_at IS NULL") == [], "every order final")
        ends = dict(demo.rows("SELECT key, status FROM sagas_sagarun"))
        assert ends == {name: end for name, (end, _) in ORDERS.items()}
        assert any("inventory ended with 137" in line for line in demo.lines)
        paid = demo.rows("SELECT order_id, status FROM payment ORDER BY order_id", "shop/payments")
        assert dict(paid) == {
            name: "taken" if end == "completed" else "refunded"
            for name, (end, _) in ORDERS.items()
            if name != "declined"
        }
        assert len(paid) == len(ORDERS) - 1, "nobody paid twice"
        held = demo.rows("SELECT order_id FROM reservation WHERE status = 'held'", "shop/inventory")
        assert sorted(name for (name,) in held) == sorted(n for n, (end, _) in ORDERS.items() if end == "completed")
        family = demo.family()
        assert demo.end(signal.SIGINT) == 0, demo.errors
        assert are_gone(family)
    finally:
        demo.process.kill()


def test_a_killed_demo_takes_its_services_along_and_a_second_one_begins_where_it_ended(tmp_path):
    first = Demo(tmp_path, 0)
    try:
        first.ready()
        family = first.family()
        assert len(family) > len("123")
        first.end(signal.SIGKILL)
        wait_for(lambda: are_gone(family), "everything gone", within_s=10)
    finally:
        first.process.kill()
    second = Demo(tmp_path, 0)
    try:
        second.ready()
        second.start({"again": PLAIN | {"order_id": "again"}})
        wait_for(lambda: second.rows("SELECT 1 FROM sagas_sagarun WHERE status = 'completed'"), "an order, completed")
        assert second.end(signal.SIGTERM) == 0, second.errors
    finally:
        second.process.kill()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Any]:
    """The service of the how-to, called as Sagaweb calls."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    page = (ROOT / "docs/howto/http-service.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(code.splitlines()) < 45
    (tmp_path / "payments.py").write_text(code)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(path: str, key: str, **headers: str) -> tuple[int, Any, str]:
        said = {"Idempotency-Key": key, "Saga-Phase": "action", "Content-Type": "application/json"} | headers
        said = {name.replace("_", "-"): value for name, value in said.items()}
        request = Request(f"http://127.0.0.1:{port}{path}", json.dumps({"cents": 500}).encode(), said)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer), answer.headers.get("Saga-Outcome", "")
        except HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers.get("Saga-Outcome", "")

    words = [sys.executable, "-m", "uvicorn", "payments:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(words, cwd=tmp_path) as process:

        def is_listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(is_listening, "the service")
        yield call
        process.terminate()


def test_the_service_of_the_how_to_bears_what_it_must(service):
    undo = {"Saga_Phase": "compensation"}
    assert service("/payments", "a") == service("/payments", "a") == (200, {"cents": 500}, "")
    assert service("/refunds", "a-undo", Saga_Action_Key="a", **undo)[1] == {"given_back": 1}
    assert service("/refunds", "a-undo", Saga_Action_Key="a", **undo)[1] == {"given_back": 1}
    assert service("/refunds", "b-undo", Saga_Action_Key="b", **undo)[1] == {"given_back": 0}
    status, _, outcome = service("/payments", "b")
    assert (status, outcome) == (422, "rejected")
