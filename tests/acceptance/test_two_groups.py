"""Two worker commands on one database; one is killed whole. The other finishes everything."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.acceptance.mixed import COUNT
from tests.running import are_gone, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.slow]

PACE_MS = 150  # of each step: so that something is in hand when the group dies
PAUSE_S = 0.002  # between two orders, which keep arriving until a group has died
IN_HAND_MIN = 5


def test_the_other_group_finishes_all_when_one_is_killed_whole(mixed, tmp_path):
    if mixed.place.database_url.startswith("sqlite"):
        pytest.skip("Two worker commands need PostgreSQL: SQLite is for one (docs/howto/scale-out.md)")
    both = [mixed.start("sagaworker"), mixed.start("sagaworker")]
    groups = {running.ready()["group"]: running for running in both}
    dead = tmp_path / "dead"
    starting = mixed.begin(f"start({COUNT}, pace_ms={PACE_MS}, pause_s={PAUSE_S}, until={str(dead)!r})")

    def fullest() -> tuple[int, str] | None:
        """Return the group with most in its hands at its last beat, once that is much."""
        held = mixed.place.read('SELECT sum(held), "group" FROM sagas_pumpslot GROUP BY "group"')
        return max(((number, group) for number, group in held if number >= IN_HAND_MIN), default=None)

    in_hand, group = wait_for(fullest, "runs in the hands of a group")
    first = groups.pop(group)
    (second,) = groups.values()
    doomed = [psutil.Process(first.process.pid), *first.children()]
    for process in doomed:  # the supervisor first: nobody may start anything again
        process.suspend()
    since = time.monotonic()
    for process in doomed:
        process.kill()
    dead.touch()

    assert starting.wait() == 0, starting.errors
    number = int(starting.lines[-1])
    wait_for(lambda: mixed.final() == number, "every run final")
    took_s = time.monotonic() - since
    print(f"{in_hand} runs in the hands of the dead group; all {number} final {took_s:.1f} s after its death")
    print(mixed.judged(number)["ends"])
    assert second.process.poll() is None
    assert {slot.group for slot in mixed.place.beating()} >= set(groups)
    assert first.wait() != 0
    assert are_gone(doomed)
