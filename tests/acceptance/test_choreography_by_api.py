"""Three services that talk through our event API alone, killed at random, each told many an event again."""

from __future__ import annotations

import json
import random
import socket
import time
from contextlib import ExitStack, closing
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from choreography.over_api import STRUCTURED, send
from choreography.shop import SERVICES

from tests.acceptance.choreographed_shop import DOCUMENT, ENDS, Shop, fails_at, placed
from tests.acceptance.test_called_back import post
from tests.running import Running, new_place, wait_for

pytestmark = pytest.mark.processes

ORDERS = 60
AT_ONCE = 10
REPLAYED = 8  # of each service, each time
WITHIN_S = 300.0  # a service that is not there is tried after 5 s, then after 30 s


class Sagaweb:
    """The product, as who set up the shop uses it."""

    def __init__(self, place, stack) -> None:
        def begin(*arguments):
            running = Running(place, *arguments)
            stack.callback(running.close)
            return running

        assert begin("migrate", "-v", "0").wait() == 0
        assert begin("sagas", "apply", str(DOCUMENT)).wait() == 0
        made = begin("apitoken", "tests", "--role", "admin")
        assert made.wait() == 0, made.errors
        self.token = made.lines[-1].strip()
        self.place = place
        self.url = begin("up", "--port", "0").ready()["url"]

    def subscribe(self, name: str, port: int) -> str:
        """Let a service hear its events; return its secret."""
        wanted = {"url": f"http://127.0.0.1:{port}/", "events": SERVICES[name][0], "allow_private": True}
        return post(f"{self.url}/api/v1/webhooks/shop-{name}/", wanted, self.token, "PUT")["secret"]

    def tell_again(self, name: str) -> None:
        """Deliver to a service some of what it has dealt with."""
        told = f"{self.url}/api/v1/webhooks/shop-{name}/deliveries/"
        bearer = {"Authorization": f"Bearer {self.token}"}
        with urlopen(Request(f"{told}?state=delivered&page_size={REPLAYED}", headers=bearer), timeout=20) as answer:
            page = json.load(answer)
        for row in page["results"]:
            post(f"{told}{row['id']}/replay/", {}, self.token)

    def count(self, table: str, where: str) -> int:
        return self.place.read(f"SELECT count(*) FROM sagas_{table} WHERE {where}")[0][0]


def free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def sagaweb(tmp_path):
    with new_place(tmp_path) as place, ExitStack() as stack:
        yield Sagaweb(place, stack)


def test_services_killed_at_random_lose_and_double_nothing_and_each_order_ends_right(tmp_path, sagaweb):
    dice = random.Random(5)
    ports = {name: free_port() for name in SERVICES}
    secrets = {name: sagaweb.subscribe(name, port) for name, port in ports.items()}
    time.sleep(1.1)  # a subscription is told of what happens when it is a second old

    def way(name):
        arguments = ["--api", sagaweb.url, "--port", str(ports[name])]
        return arguments, {"SHOP_TOKEN": sagaweb.token, "SHOP_SECRET": secrets[name]}

    with closing(Shop(tmp_path, way)) as shop:
        victims = [*SERVICES, *SERVICES]
        dice.shuffle(victims)
        for begun, name in zip(range(0, ORDERS, AT_ONCE), victims, strict=True):
            orders = [placed(number) for number in range(begun, begun + AT_ONCE)]
            send(sagaweb.url, sagaweb.token, orders)
            send(sagaweb.url, sagaweb.token, orders)  # its sender did not hear the answer
            time.sleep(dice.uniform(0.05, 1.0))
            shop.kill(name)
            time.sleep(dice.uniform(0.0, 0.5))
            shop.begin(name)
            for each in SERVICES:
                sagaweb.tell_again(each)
        wait_for(
            lambda: sagaweb.count("sagarun", "finished_at IS NOT NULL") == ORDERS,
            "every order final",
            within_s=WITHIN_S,
        )
        wait_for(lambda: shop.to_tell() == 0, "empty outboxes")
        for each in SERVICES:
            sagaweb.tell_again(each)
        open_ones = "state <> 'delivered'"
        wait_for(lambda: sagaweb.count("webhookdelivery", open_ones) == 0, "every event told", within_s=WITHIN_S)

        assert shop.wrong(range(ORDERS)) == {}
        ends = dict(sagaweb.place.read("SELECT key, status FROM sagas_sagarun"))
        assert ends == {str(number): ENDS[fails_at(number)] for number in range(ORDERS)}
        assert sagaweb.count("sagarun", "undo_done <> undo_total") == 0
        assert sagaweb.count("webhookchange", "verb = 'replayed'") > 0
        with pytest.raises(HTTPError, match="401"):
            post(f"http://127.0.0.1:{ports['payments']}/", placed(ORDERS), kind=STRUCTURED)  # nobody has signed it
