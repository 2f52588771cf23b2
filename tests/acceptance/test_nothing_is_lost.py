"""Processes are killed and frozen while three hundred orders run: nothing is lost, nothing happens twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.three_hundred import COUNT
from tests.running import Place, Running, are_gone, new_place, wait_for

pytestmark = pytest.mark.processes

DEMO = {"SAGAWEB_DEMO": "1"}
LEASE_S = 5


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with new_place(tmp_path) as made:
        yield made


@pytest.fixture
def start(place) -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def begin(*arguments: str) -> Running:
            running = Running(place, *arguments, **DEMO)
            stack.callback(running.close)
            return running

        yield begin


@pytest.fixture
def shop(start) -> Callable[[str], str]:
    """Run a function of `three_hundred` in the product and return what it printed."""

    def call(function: str) -> str:
        shell = start("shell", "-v", "0", "-c", f"from tests.acceptance import three_hundred as t; t.{function}()")
        assert shell.wait() == 0, shell.errors
        return "".join(shell.lines)

    for command in ("migrate", "demo"):
        made = start(command)
        assert made.wait() == 0, made.errors
    call("start")
    return call


def final(place: Place) -> int:
    return int(place.read("SELECT count(*) FROM sagas_sagarun WHERE finished_at IS NOT NULL")[0][0])


def needing_a_person(place: Place) -> int:
    return int(place.read("SELECT count(*) FROM sagas_sagarun WHERE status = 'needs_attention'")[0][0])


def under_way(place: Place) -> bool:
    return COUNT // 10 < final(place) < COUNT


def all_end_well(place: Place, shop: Callable[[str], str], since: float) -> dict[str, Any]:
    wait_for(lambda: final(place) == COUNT, "every order final")
    took_s = time.monotonic() - since
    verdict: dict[str, Any] = json.loads(shop("judge").splitlines()[-1])
    print(f"all {COUNT} final {took_s:.1f} s after the fault: {verdict['ends']}")
    assert verdict["faults"] == []
    assert set(verdict["ends"]) == {"completed", "compensated"}
    return verdict


@pytest.mark.parametrize("role", ["busy worker", "idle worker", "whole group"])
def test_orders_survive_the_death_of(role, place, start, shop):
    workers = start("sagaworker")
    workers.ready()
    wait_for(lambda: under_way(place), "orders under way")
    cluster = workers.cluster()
    since = time.monotonic()
    if role == "whole group":
        os.killpg(cluster.main.pid, signal.SIGKILL)
    else:
        cluster.part(role, place).kill()
    all_end_well(place, shop, since)


def test_a_second_up_finishes_what_a_killed_one_began(place, start, shop):
    first = start("up", "--port", "0", "--demo")
    first.ready()
    wait_for(lambda: under_way(place), "orders under way")
    family = first.children()
    since = time.monotonic()
    first.process.kill()
    wait_for(lambda: are_gone(family), "the children of a killed `up` gone", within_s=LEASE_S)
    second = start("up", "--port", "0", "--demo")
    second.ready()
    all_end_well(place, shop, since)


def test_a_worker_that_slept_past_its_lease_writes_nothing_late(place, start, shop):
    workers = start("sagaworker", "--pumps", "2")  # the other pump takes over, so nobody ends the frozen one
    workers.ready()
    wait_for(lambda: under_way(place), "orders under way")
    frozen = workers.cluster().part("busy worker", place)
    since = time.monotonic()
    frozen.suspend()
    time.sleep(LEASE_S + 2)
    assert frozen.is_running(), "it must wake up to be able to write late"
    frozen.resume()
    # A transaction that was frozen open holds the shelf's row: the other pump's attempts wait for it and time out,
    # and a policy of three may be used up. That is the law, and a person's retry ends such a run.
    wait_for(lambda: final(place) + needing_a_person(place) == COUNT, "every order final, or waiting for a person")
    shop("retry")
    all_end_well(place, shop, since)
