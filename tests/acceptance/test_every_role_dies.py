"""Every role is killed while three hundred runs of mixed shapes are under way: in turn, and at random.

Orders keep arriving until the killing is over, so that there is always something to lose.
`KILLS_SEED` repeats a random round; the seed is printed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from tests.acceptance.mixed import COUNT, Mixed
from tests.running import Cluster, Running, are_gone, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.slow]

ROLES = ("web", "busy worker", "idle worker", "monitor", "pusher", "sentinel", "main", "courier")
ALONE = {"web": "uvicorn", "courier": "sagas.workers.courier"}  # children of their own, by a word of their command
PAUSE_S = 0.08  # between two orders
BEATS_TO_SETTLE = 3  # one each second and each pump
RANDOM_KILLS = 6
RANDOM_WAIT_S_MAX = 2.5  # between two of them: shorter than a group takes to come up, and longer


class Rounds:
    """The product under `up`, orders that keep arriving, and a hand that kills."""

    def __init__(self, mixed: Mixed, enough: Path) -> None:
        self.mixed = mixed
        self.up: Running = mixed.start("up", "--port", "0", "--demo")
        self.url: str = self.up.ready()["url"]
        self._enough = enough
        self._starting = mixed.begin(f"start({COUNT}, pause_s={PAUSE_S}, until={str(enough)!r})")

    def find(self, role: str) -> psutil.Process | None:
        """Return the process of `role`; None while it is being started again."""
        try:
            if role in ALONE:
                return next(child for child in self.up.children() if ALONE[role] in child.cmdline())
            return Cluster.of(self.up).part(role, self.mixed.place)
        except (StopIteration, ValueError, IndexError, psutil.Error):
            return None

    def kill(self, role: str) -> psutil.Process:
        """Kill it, if need be once it is there again, with runs under way."""
        wait_for(self.mixed.under_way, f"runs under way before the death of {role}")
        victim = wait_for(lambda: self.find(role), role)
        victim.kill()
        return victim

    def pumps(self) -> set[tuple[str, int]]:
        return {(slot.group, slot.token) for slot in self.mixed.place.beating()}

    def settle(self) -> None:
        """Let the pumps beat some more: deaths in quick succession are made good after growing pauses."""
        for _ in range(BEATS_TO_SETTLE):
            before = {slot.beat_at for slot in self.mixed.place.beating()}
            wait_for(lambda known=before: {slot.beat_at for slot in self.mixed.place.beating()} - known, "a beat")

    def is_new(self, role: str, dead: psutil.Process) -> bool:
        """Return whether another process than the dead one has the role."""
        found = self.find(role)
        return found is not None and found.pid != dead.pid

    def answers(self, dead: psutil.Process) -> bool:
        """Return whether the web answers, by another process than the dead one."""
        if not self.is_new("web", dead):
            return False
        try:
            with urlopen(f"{self.url}/livez", timeout=2):
                return True
        except OSError:
            return False

    def end(self) -> None:
        """Let all runs end; judge them; stop the product and see that nothing of it is left."""
        since = time.monotonic()
        self._enough.touch()
        assert self._starting.wait() == 0, self._starting.errors
        number = int(self._starting.lines[-1])
        assert number >= COUNT
        wait_for(lambda: self.mixed.final() == number, f"all {number} runs final")
        print(f"all {number} runs final {time.monotonic() - since:.1f} s after the last one was ordered")
        print(self.mixed.judged(number)["ends"])
        self.up.send(signal.SIGINT)
        assert self.up.wait() == 0, self.up.errors
        self.mixed.nothing_is_left_behind()


@pytest.fixture
def rounds(mixed: Mixed, tmp_path: Path) -> Rounds:
    return Rounds(mixed, tmp_path / "enough")


def test_no_run_is_lost_though_every_role_is_killed_in_turn(rounds):
    for role in ROLES:
        rounds.settle()
        before, family = rounds.pumps(), rounds.up.children()
        others = [rounds.find(one) for one in ALONE if one != role]
        since = time.monotonic()
        victim = rounds.kill(role)
        if role == "web":
            wait_for(lambda dead=victim: rounds.answers(dead), "the web after its death")
            assert rounds.pumps() == before, "the workers work on when the web dies"
        elif role == "courier":
            wait_for(lambda dead=victim: rounds.is_new("courier", dead), "the courier after its death")
            assert rounds.pumps() == before, "the workers work on when the courier dies"
        else:
            wait_for(lambda known=before: rounds.pumps() - known, f"a beat after the death of {role}")
        assert all(one.is_running() for one in others), f"others stay when {role} dies"
        if role not in {*ALONE, "busy worker"}:
            kept = {one.pid for one in others}
            assert are_gone([process for process in family if process.pid not in kept]), "no half may linger"
        print(f"{role}: made good after {time.monotonic() - since:.1f} s")
    rounds.end()


def test_no_run_is_lost_though_roles_are_killed_at_random(rounds):
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(10**6))
    print(f"KILLS_SEED={seed}")
    dice = random.Random(seed)
    for _ in range(RANDOM_KILLS):
        wait_s, role = dice.uniform(0.0, RANDOM_WAIT_S_MAX), dice.choice(ROLES)
        time.sleep(wait_s)
        since = time.monotonic()
        rounds.kill(role)
        print(f"{wait_s:.2f} s later: {role}, found after {time.monotonic() - since:.1f} s")
    rounds.end()
