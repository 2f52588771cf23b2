"""Real processes, started, stopped, killed and frozen: nothing is left behind, and the pumps come back."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.running import Place, Running, are_gone, new_place, wait_for

pytestmark = pytest.mark.processes

GONE_WITHIN_S = 5.0  # promised: whatever kills `up`, its children are gone by then


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with new_place(tmp_path) as made:
        yield made


@pytest.fixture
def start(place) -> Iterator[Callable[..., Running]]:
    with ExitStack() as stack:

        def begin(*arguments: str, **environ: str) -> Running:
            running = Running(place, *arguments, **environ)
            stack.callback(running.close)
            return running

        yield begin


@pytest.fixture
def workers(place, start) -> Running:
    migrate = start("migrate", "-v", "0")
    assert migrate.wait() == 0, migrate.errors
    running: Running = start("sagaworker", "--pumps", "1")
    running.ready()
    return running


def test_up_says_ready_once_answers_and_leaves_nothing_behind_after_ctrl_c(place, start):
    up = start("up", "--port", "0")
    ready = up.ready()
    with urlopen(f"{ready['url']}/livez") as live, urlopen(f"{ready['url']}/readyz") as whole:
        assert (live.status, whole.status) == (200, 200)
    family = up.children()

    up.send(signal.SIGINT)

    assert up.wait() == 0, up.errors
    assert are_gone(family)
    assert place.slots() == []
    assert place.read("SELECT count(*) FROM django_q_ormq") == [(0,)]
    assert len(up.events()) == 1, "one line for machines"
    assert ready["sign_in_url"] in "".join(line for line in up.lines if not line.startswith("{"))


def test_up_ends_on_sigterm_as_on_ctrl_c(start):
    up = start("up", "--port", "0")
    up.ready()
    family = up.children()
    up.send(signal.SIGTERM)
    assert up.wait() == 0
    assert are_gone(family)


def test_children_end_when_up_itself_is_killed_and_a_second_up_takes_over(place, start):
    first = start("up", "--port", "0")
    first.ready()
    family = first.children()
    assert len(family) >= 7  # web, main, sentinel, two workers, monitor, pusher

    first.process.kill()

    wait_for(lambda: are_gone(family), "the children of a killed `up`", within_s=GONE_WITHIN_S)
    start("up", "--port", "0").ready()


def test_the_web_is_started_again_when_it_dies(start):
    up = start("up", "--port", "0")
    url = up.ready()["url"]
    next(child for child in up.children() if "uvicorn" in child.cmdline()).kill()

    def answers() -> bool:
        try:
            with urlopen(f"{url}/livez", timeout=2):
                return any("ended with -9" in line for line in up.errors)
        except OSError:
            return False

    wait_for(answers, "the web after its death")


def test_up_tells_what_is_wrong_when_its_port_is_taken(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = start("up", "--port", str(port))
        assert up.wait() == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in "".join(up.errors)
    assert up.lines == []


def test_up_refuses_to_show_other_machines_what_is_for_this_one(start):
    up = start("up", "--host", "0.0.0.0", "--demo", "--port", "0", SAGAWEB_SECRET_KEY="")
    assert up.wait() == 1
    said = "".join(up.errors)
    assert all(word in said for word in ("demo", "SAGAWEB_SECRET_KEY", "SAGAWEB_ALLOWED_HOSTS"))


@pytest.mark.parametrize("role", ["busy worker", "idle worker", "monitor", "pusher", "sentinel", "main"])
def test_a_pump_beats_again_after_any_process_of_the_group_was_killed(role, place, workers):
    cluster = workers.cluster()
    before = place.beating()[0]
    whole = [cluster.main, cluster.sentinel, *cluster.workers, cluster.monitor, cluster.pusher]

    cluster.part(role, place).kill()

    wait_for(
        lambda: [slot for slot in place.beating() if (slot.group, slot.token) != (before.group, before.token)],
        f"a beat after the death of {role}",
    )
    if role != "busy worker":
        assert are_gone(whole), "nothing of a broken group may linger"
        wait_for(lambda: len(place.slots()) == 1, "the old group's slot to be removed")


def test_a_group_that_makes_no_progress_is_killed_and_started_again(place, workers):
    cluster = workers.cluster()
    before = place.beating()[0]
    for worker in cluster.workers:  # alive by every other sign
        worker.suspend()
    wait_for(lambda: [slot for slot in place.beating() if slot.group != before.group], "a new group")
    assert are_gone([cluster.main, *cluster.workers])
    assert any("no pump has beaten" in line for line in workers.errors)


def test_a_pump_frozen_past_its_time_finds_its_slot_taken_and_does_no_harm(place, workers):
    before = place.beating()[0]
    frozen = psutil.Process(before.pid)
    frozen.suspend()
    after = wait_for(lambda: [slot for slot in place.beating() if slot.token > before.token], "another pump")[0]
    frozen.resume()
    later = wait_for(
        lambda: [slot for slot in place.beating() if slot.beat_at > after.beat_at], "a beat with both awake"
    )[0]
    assert (later.group, later.token, later.holder) == (before.group, after.token, after.holder)
    assert frozen.is_running()


def test_a_forged_message_is_dropped_and_its_callable_never_runs(place, workers, tmp_path):
    from django_q import core_signing
    from django_q.signing import PickleSerializer

    from tests.running import SECRET_KEY

    trace = tmp_path / "trace"
    group = place.beating()[0].group

    def put(payload: str) -> None:
        place.write(
            "INSERT INTO django_q_ormq (key, payload, lock) "
            f"VALUES ('{group}', '{payload}', '2020-01-01 00:00:00{'' if 'sqlite' in place.database_url else '+00'}')"
        )

    message = {"id": "1", "name": "x", "func": "os.mkdir", "args": (str(trace),), "kwargs": {}}
    put(core_signing.dumps(message, key=SECRET_KEY, salt="sagaweb", serializer=PickleSerializer))
    put(core_signing.dumps(message, key="another key", salt="sagaweb", serializer=PickleSerializer))
    put(json.dumps(message))

    wait_for(lambda: sum("was dropped" in line for line in workers.errors) == 3, "three refusals")
    assert not trace.exists()
    beat = place.beating()[0]
    wait_for(lambda: place.beating()[0].beat_at > beat.beat_at, "a beat after the forgeries")
