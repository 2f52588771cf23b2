"""Orders through a real broker that is killed and started again in mid-flight: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.acceptance import behind_a_broker
from tests.brokers import own_broker
from tests.running import Running, new_place, wait_for

pytestmark = pytest.mark.processes

COUNT = 60
SAGA = """
saga: order-by-command
input: {type: object, required: [number], properties: {number: {type: integer}}}
defaults: {timeout: 4s, retry: {attempts: 30, initial: 200ms, max: 1s}}
steps:
  - name: charge
    action: {command: {service: shop, name: charge}}
    with: {number: "${input.number}"}
    compensation: {action: {command: {service: shop, name: refund}}, with: {number: "${input.number}"}}
  - name: reserve
    action: {command: {service: shop, name: reserve}}
    with: {number: "${input.number}"}
    compensation: {action: {command: {service: shop, name: restore}}, with: {number: "${input.number}"}}
  - name: ship
    action: {command: {service: shop, name: ship}}
    with: {number: "${input.number}"}
    compensation: none
"""


@pytest.fixture
def place(tmp_path):
    with new_place(tmp_path) as made:
        yield made


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request, tmp_path):
    with own_broker(request.param, tmp_path / "broker") as made:
        yield made


@pytest.fixture
def shop(broker, tmp_path):
    """Run the service; return its book."""
    path = tmp_path / "book.sqlite3"
    command = [sys.executable, behind_a_broker.__file__, broker.url, "sagaweb.shop", str(path)]
    with (tmp_path / "shop.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    yield path
    process.kill()
    process.wait()


def read_book(path: Path, sql: str):
    with closing(sqlite3.connect(path, timeout=20)) as book:
        return book.execute(sql).fetchall()


def test_a_broker_that_dies_twice_loses_no_order_and_doubles_no_effect(place, broker, shop):
    with ExitStack() as stack:

        def begin(*arguments):
            running = Running(place, *arguments)
            stack.callback(running.close)
            return running

        def call(*arguments):
            made = begin(*arguments)
            assert made.wait() == 0, made.errors
            return made.lines

        call("migrate")
        source = place.folder / "saga.yaml"
        source.write_text(SAGA)
        call("shell", "-v", "0", "-c", f"from tests.acceptance import command_orders as o; o.register({broker.url!r})")
        call("sagas", "apply", str(source))
        call("shell", "-v", "0", "-c", f"from tests.acceptance import command_orders as o; o.start({COUNT})")
        workers = begin("sagaworker", "--pumps", "1")
        workers.ready()

        def final():
            return place.read("SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NOT NULL")[0][0]

        wait_for(lambda: read_book(shop, "SELECT count(*) FROM effects")[0][0] > COUNT // 4, "the first effects")
        broker.restart(away_s=1.0)
        wait_for(lambda: final() > COUNT // 4, "some orders final")
        broker.restart(away_s=1.0)
        began = time.monotonic()
        wait_for(lambda: final() == COUNT, "every order final")
        print(f"all {COUNT} final {time.monotonic() - began:.1f} s after the second restart")
        assert workers.events()
    ends = dict(place.read("SELECT status, count(*) FROM sagas_sagarun GROUP BY status"))
    unshippable = len([number for number in range(COUNT) if number % 5 == 0])
    assert ends == {"completed": COUNT - unshippable, "compensated": unshippable}
    happened = dict(read_book(shop, "SELECT name, count(*) FROM effects WHERE happened GROUP BY name"))
    assert happened == {
        "charge": COUNT, "reserve": COUNT, "ship": COUNT - unshippable, "refund": unshippable, "restore": unshippable,
    }  # fmt: skip
    assert place.read("SELECT count(*) FROM sagas_outgoingcommand") == [(0,)]
    delivered = read_book(shop, "SELECT count(*) FROM deliveries")[0][0]
    print(json.dumps({"broker": broker.url.split(":")[0], "effects": sum(happened.values()), "deliveries": delivered}))
