"""Three services of their own and nobody in charge: killed in turn, watched, and on their own while Sagaweb is down."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack

import kombu
import pytest
from choreography.over_rabbitmq import publish
from choreography.shop import SERVICES

from tests.acceptance.choreographed_shop import DOCUMENT, ENDS, Shop, fails_at, placed
from tests.brokers import own_broker
from tests.running import Running, new_place, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.embedded]  # its own services and broker: once is enough

ALONE = 20  # orders while all of Sagaweb is down
WATCHED = 180  # orders while services are killed


def place_orders(broker: str, numbers) -> None:
    with kombu.Connection(broker, transport_options={"confirm_publish": True}) as connection:
        producer = kombu.Producer(connection.channel())
        for number in numbers:
            publish(producer, placed(number))


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
        assert begin("sagas", "apply", str(DOCUMENT)).wait() == 0
        first = begin("sagaworker", "--pumps", "1")
        first.ready()  # so that the queue of the monitor is there: what is published from now on is kept for it
        wait_for(lambda: _has_queue(broker.url), "the queue of the monitor")
        first.close()

        shop = Shop(tmp_path, lambda _name: (["--broker", broker.url], {}))
        stack.callback(shop.close)
        wait_for(lambda: all(_has_queue(broker.url, f"shop.{name}") for name in SERVICES), "the queues of the shop")
        place_orders(broker.url, range(ALONE))
        wait_for(lambda: shop.wrong(range(ALONE)) == {}, "orders of services on their own")
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
        assert shop.wrong(range(ALONE + WATCHED)) == {}
        undone = place.read("SELECT count(*) FROM sagas_sagarun WHERE undo_done <> undo_total")
        assert undone == [(0,)]


def _has_queue(url: str, name: str = "sagaweb.events") -> bool:
    with kombu.Connection(url) as connection:
        try:
            kombu.Queue(name, channel=connection.channel()).queue_declare(passive=True)
        except connection.channel_errors:
            return False
        return True
