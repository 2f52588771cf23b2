"""The shop over HTTP against services that go wrong in every way: the books of the services joined with the journal."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.acceptance import http_shop
from tests.ledger import checks
from tests.ledger.checks import Told
from tests.ledger.client import LedgerProcess
from tests.ledger.script import Rule, accepted, reply_lost
from tests.running import Place, Running, new_place, wait_for
from tests.toxic import Toxic

pytestmark = pytest.mark.processes

ATTEMPTS = 4  # of each action at most, as `prepare` publishes the saga


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Shop:
    """The product, a ledger behind a proxy for each service, and a naive one."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        self.place = place
        self._stack = stack
        self.ledger = stack.enter_context(LedgerProcess(place.folder, secret=http_shop.SECRET))
        self.naive = stack.enter_context(LedgerProcess(place.folder, is_naive=True, name="naive"))
        self.ledger.script(*http_shop.rules())
        self.proxies = {name: stack.enter_context(Toxic("127.0.0.1", self.ledger.port)) for name in http_shop.SERVICES}
        port = free_port()
        self.environ = {"SAGAWEB_BASE_URL": f"http://127.0.0.1:{port}"}
        migrated = self._start("migrate", "-v", "0")
        assert migrated.wait() == 0, migrated.errors
        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        self.call(f"prepare({ports | {f'naive-{name}': self.naive.port for name in ports}})")
        self._start("up", "--port", str(port)).ready()

    def _start(self, *arguments: str) -> Running:
        running = Running(self.place, *arguments, **self.environ)
        self._stack.callback(running.close)
        return running

    def call(self, call: str) -> str:
        """Call a function of `http_shop` in the product and return the last line it printed."""
        code = f"from tests.acceptance import http_shop as t; t.{call}"
        shell = self._start("shell", "-v", "0", "-c", code)
        assert shell.wait() == 0, shell.errors
        return shell.lines[-1] if shell.lines else ""

    def ended(self, saga: str = http_shop.SAGA) -> dict[str, Any]:
        """Wait until every order is final, and return what the product tells of them."""
        left = (
            "SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NULL AND status <> 'needs_attention' "
            f"AND saga_id = (SELECT id FROM sagas_saga WHERE name = '{saga}')"
        )
        wait_for(lambda: self.place.read(left) == [(0,)], "every order final")
        told: dict[str, Any] = json.loads(self.call(f"judge('{saga}')"))
        return told

    def is_waiting_for(self, service: str) -> bool:
        """Whether a step of the orders for a service that is down was tried, and waits for another try."""
        waiting = (
            "SELECT 1 FROM sagas_steprun s JOIN sagas_sagarun r ON r.id = s.run_id "
            f"WHERE r.key LIKE 'down-{service}-%' AND s.step = '{http_shop.SERVICES[service]}' "
            "AND s.status IN ('retrying', 'waiting')"
        )
        return bool(self.place.read(waiting))

    def arrived(self, name: str, step: str) -> int:
        """Return how many attempts of an action the ledger has written down."""
        asked = self.ledger.requests(step=step, phase="action")
        return len([one for one in asked if name.encode() in one.body])

    def nothing_is_wrong(self, told: dict[str, Any]) -> None:
        assert told["faults"] == []
        steps = [Told(*row) for row in told["told"]]
        assert checks.faults(self.ledger.requests(), self.ledger.effects(), steps) == []


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with new_place(tmp_path_factory.mktemp("shop")) as place, ExitStack() as stack:
        yield Shop(place, stack)


def test_whatever_a_service_does_each_order_happens_once_or_is_undone(shop):
    troubles = http_shop.troubles()
    shop.call(f"start({[trouble.name for trouble in troubles]})")
    told = shop.ended()
    assert told["ends"] == {trouble.name: trouble.end for trouble in troubles}
    wait_for(lambda: shop.arrived("hanging-", "update_inventory") == ATTEMPTS, "each hanging attempt, at last")
    shop.nothing_is_wrong(told)
    asked = shop.ledger.requests()
    lost = [one for one in asked if one.decision == "duplicate"]
    assert {one.step for one in lost} == set(http_shop.STEPS), "each service was asked twice, and acted once"
    assert {one.decision for one in asked} == {"applied", "duplicate", "empty", "refused", "none", "probe"}
    answers = {call.answered for call in shop.ledger.callbacks() if call.is_wrong}
    assert answers == {404}
    print(f"{len(troubles)} orders, {len(asked)} requests, {len(lost)} of them again")


@pytest.mark.parametrize("service", http_shop.SERVICES)
def test_orders_wait_while_a_service_is_down_and_then_go_on(service, shop):
    shop.proxies[service].down()
    names = [f"down-{service}-{number}" for number in range(5)]
    shop.call(f"start({names})")
    wait_for(lambda: shop.is_waiting_for(service), f"an order that waits for {service}")
    shop.proxies[service].up()
    told = shop.ended()
    assert {told["ends"][name] for name in names} == {"completed"}
    shop.nothing_is_wrong(told)


def test_a_service_that_is_killed_with_its_answers_unsaid_is_asked_again(shop):
    names = [f"killed-{number}" for number in range(10)]
    held = [Rule(step="update_inventory", about="killed-", attempts=(1,), hold_ms=60_000)]
    shop.ledger.script(*held, *http_shop.rules())
    before = len(shop.ledger.requests(decision="applied", step="update_inventory"))
    shop.call(f"start({names})")
    wait_for(
        lambda: len(shop.ledger.requests(decision="applied", step="update_inventory")) > before, "done and not answered"
    )
    shop.ledger.kill()
    shop.ledger.start()
    told = shop.ended()
    assert {told["ends"][name] for name in names} == {"completed"}
    shop.nothing_is_wrong(told)


def test_a_naive_service_acts_again_and_that_can_be_counted(shop):
    """At-least-once is all that can be promised where the key is not honoured; a probe helps even there."""
    names = [f"naive-{number}" for number in range(20)]
    shop.naive.script(
        reply_lost(phase="action", attempts=(1,)),
        accepted(http_shop.SHIPPED, step="create_shipment", phase="action"),
    )
    shop.call(f"start({names}, '{http_shop.NAIVE}')")
    told = shop.ended(http_shop.NAIVE)
    assert set(told["ends"].values()) == {"completed"}
    assert told["faults"] == []
    again = checks.duplicates(shop.naive.effects())
    done = len(shop.naive.effects())
    assert not [key for key in again if ":process_payment:" in key], "the probe said that it had happened"
    reserved = shop.naive.requests(step="update_inventory", phase="action")
    lost = {one.key for one in reserved if one.attempt == 1}  # an attempt that waited before the service never came
    assert lost
    assert {key for key in again if ":update_inventory:" in key} == lost
    print(f"naive: {sum(again.values())} effects of {done} were duplicates, each first reply lost")
