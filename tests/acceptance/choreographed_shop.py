"""The shop of `examples/choreography`: three processes that may be killed, and what each order must come to."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from choreography.shop import SERVICES

from tests.running import ROOT

FAILS_AT = ("", "", "payment", "stock", "shipment")
ENDS = {"": "completed", "payment": "compensated", "stock": "compensated", "shipment": "compensated"}
EFFECTS = {
    "": Counter(taken=1, reserved=1, shipped=1),
    "payment": Counter(),
    "stock": Counter(taken=1, refunded=1),
    "shipment": Counter(taken=1, reserved=1, restored=1, refunded=1),
}
DOCUMENT = ROOT / "examples/choreography/order-watched.yaml"


class Shop:
    """The three services, each of which may be killed and begins anew."""

    def __init__(self, folder: Path, way: Callable[[str], tuple[list[str], dict[str, str]]]) -> None:
        """`way` gives the arguments and the environment by which a service talks to the others."""
        self.folder = folder
        self.way = way
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in SERVICES:
            self.begin(name)

    def begin(self, name: str) -> None:
        arguments, secrets = self.way(name)
        command = [sys.executable, "-m", "choreography", name, "--database", str(self._book(name)), *arguments]
        environ = os.environ | {"PYTHONPATH": str(ROOT / "examples")} | secrets
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, env=environ, stderr=log)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def close(self) -> None:
        for name in self.processes:
            self.kill(name)

    def effects(self) -> dict[str, Counter[str]]:
        """Return how often each order had each effect, over all services."""
        found: dict[str, Counter[str]] = {}
        for name in SERVICES:
            for order, what in self._read(name, "SELECT order_id, what FROM effect"):
                found.setdefault(order, Counter())[what] += 1
        return found

    def wrong(self, numbers: Iterable[int]) -> dict[int, Counter[str]]:
        """Return the effects of each order that are not those it must have."""
        effects = self.effects()
        return {
            number: found
            for number in numbers
            if (found := effects.get(str(number), Counter())) != EFFECTS[fails_at(number)]
        }

    def to_tell(self) -> int:
        """Return how many events wait in the outboxes."""
        return sum(self._read(name, "SELECT count(*) FROM outbox")[0][0] for name in SERVICES)

    def _book(self, name: str) -> Path:
        return self.folder / f"{name}.sqlite3"

    def _read(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._book(name), timeout=20)) as book:
            return book.execute(sql).fetchall()


def fails_at(number: int) -> str:
    return FAILS_AT[number % len(FAILS_AT)]


def placed(number: int) -> dict[str, Any]:
    """Return the event that places an order."""
    data = {"order_id": str(number), "fails_at": fails_at(number)}
    event = {"specversion": "1.0", "id": f"order-{number}", "source": "/storefront", "type": "order.placed"}
    return event | {"data": data}
