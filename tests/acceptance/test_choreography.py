"""Three services of their own and nobody in charge: killed in turn, watched, and on their own while Sagaweb is down."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing

import kombu
import pytest
from choreography.shop import SERVICES, publish

from tests.brokers import own_broker
from tests.running import ROOT, Running, new_place, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.embedded]  # its own services and broker: once is enough

ALONE = 20  # orders while all of Sagaweb is down
WATCHED = 180  # orders while services are killed
FAILS_AT = ("", "", "payment", "stock", "shipment")
ENDS = {"": "completed", "payment": "compensated", "stock": "compensated", "shipment": "compensated"}
EFFECTS = {
    "": Counter(taken=1, reserved=1, shipped=1),
    "payment": Counter(),
    "stock": Counter(taken=1, refunded=1),
    "shipment": Counter(taken=1, reserved=1, restored=1, refunded=1),
}


class Shop:
    """The three services, each of which may be killed and begins anew."""

    def __init__(self, broker: str, folder) -> None:
        self.broker = broker
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in SERVICES:
            self.begin(name)

    def begin(self, name: str) -> None:
        command = [sys.executable, "-m", "choreography.shop", name, "--broker", self.broker,
                   "--database", str(self.folder / f"{name}.sqlite3")]  # fmt: skip
        environ = os.environ | {"PYTHONPATH": str(ROOT / "examples")}
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
            with closing(sqlite3.connect(self.folder / f"{name}.sqlite3", timeout=20)) as book:
                for order, what in book.execute("SELECT order_id, what FROM effect"):
                    found.setdefault(order, Counter())[what] += 1
        return found


def fails_at(number: int) -> str:
    return FAILS_AT[number % len(FAILS_AT)]


def place_orders(broker: str, numbers) -> None:
    with kombu.Connection(broker, transport_options={"confirm_publish": True}) as connection:
        producer = kombu.Producer(connection.channel())
        for number in numbers:
            data = {"order_id": str(number), "fails_at": fails_at(number)}
            publish(
                producer,
                {"specversion": "1.0", "id": f"order-{number}", "source": "/storefront", "type": "order.placed",
                 "data": data},
            )  # fmt: skip


def done(effects: dict[str, Counter[str]], numbers) -> bool:
    return all(effects.get(str(number), Counter()) == EFFECTS[fails_at(number)] for number in numbers)


def test_services_killed_in_turn_lose_and_double_nothing_and_each_order_ends_right(tmp_path):
    dice = random.Random(5)
    with ExitStack() as stack:
        broker = stack.enter_context(own_broker("rabbitmq", tmp_path / "broker"))
        place = stack.enter_context(new_place(tmp_path))

        def begin(*arguments):
            running = Running(place, *arguments, SAGAWEB_EVENTS_URL=broker.url)
            stack.callback(running.close)
            return running

        def finals():
            return place.read("SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NOT NULL")[0][0]

        assert begin("migrate").wait() == 0
        assert begin("sagas", "apply", str(ROOT / "examples/choreography/order-watched.yaml")).wait() == 0
        first = begin("sagaworker", "--pumps", "1")
        first.ready()  # so that the queue of the monitor is there: what is published from now on is kept for it
        wait_for(lambda: _has_queue(broker.url), "the queue of the monitor")
        first.close()

        shop = Shop(broker.url, tmp_path)
        stack.callback(shop.close)
        wait_for(lambda: all(_has_queue(broker.url, f"shop.{name}") for name in SERVICES), "the queues of the shop")
        place_orders(broker.url, range(ALONE))
        wait_for(lambda: done(shop.effects(), range(ALONE)), "orders of services on their own")
        assert finals() == 0, "the monitor was to be down"

        begin("sagaworker", "--pumps", "1").ready()
        wait_for(lambda: finals() == ALONE, "the monitor to catch up")

        numbers = range(ALONE, ALONE + WATCHED)
        for begun in range(0, WATCHED, 30):
            place_orders(broker.url, numbers[begun : begun + 30])
            name = dice.choice(sorted(SERVICES))
            time.sleep(dice.uniform(0.05, 0.5))
            shop.kill(name)
            time.sleep(dice.uniform(0.0, 0.5))
            shop.begin(name)
        wait_for(lambda: finals() == ALONE + WATCHED, "every order final")

        ends = dict(place.read("SELECT key, status FROM sagas_sagarun"))
        assert ends == {str(number): ENDS[fails_at(number)] for number in range(ALONE + WATCHED)}
        effects = shop.effects()
        wrong = {
            number: found
            for number in range(ALONE + WATCHED)
            if (found := effects.get(str(number), Counter())) != EFFECTS[fails_at(number)]
        }
        assert wrong == {}
        undone = place.read("SELECT count(*) FROM sagas_sagarun WHERE undo_done <> undo_total")
        assert undone == [(0,)]


def _has_queue(url: str, name: str = "sagaweb.events") -> bool:
    with kombu.Connection(url) as connection:
        try:
            kombu.Queue(name, channel=connection.channel()).queue_declare(passive=True)
        except connection.channel_errors:
            return False
        return True
