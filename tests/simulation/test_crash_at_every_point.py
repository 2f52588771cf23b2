"""A crash before and after every statement, commit and call, of every saga with everything that can go wrong with it.

Here the recovery from every state that one crash can leave, and a fixed sample of
those that two leave; with HYPOTHESIS_PROFILE=prove every pair, and every single
crash once more by force.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.definitions import SOURCES
from tests.simulation.explore import Tally, Trial, begin, definition_of, find_script, run_case, scripts
from tests.simulation.verdict import end_of, judge

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
is_proving = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
only_proving = pytest.mark.skipif(not is_proving, reason="with HYPOTHESIS_PROFILE=prove only: minutes")

PAIRS_SAMPLED = 1  # different states after two crashes, of each script
SEED = 20_300_101
KILLED = ("order/success", "guided/cancel during middle", "asking/move always unknown, and it did happen")
FROZEN = ("single/success", "order/ship always rejected", "guided/pause during begin")


@pytest.mark.parametrize("saga", SOURCES)
def test_a_crash_at_any_point_loses_nothing_and_does_nothing_twice(world, saga):
    tally = Tally()
    for script in scripts(saga):
        trial = Trial(world, script, tally)
        trial.recover_from_all(depth=2, sample=None if is_proving else PAIRS_SAMPLED, seed=SEED)
    print(f"\n{saga}: {tally}")
    assert tally.recoveries > tally.scripts


@pytest.mark.parametrize("name", KILLED)
def test_what_is_seen_from_outside_is_what_a_crash_leaves(world, name):
    tally = Tally()
    Trial(world, find_script(name), tally).kill_everywhere()
    assert tally.killed == tally.singles


@only_proving
@pytest.mark.parametrize("saga", SOURCES)
def test_a_machine_killed_at_any_point_comes_back(world, saga):
    tally = Tally()
    for script in scripts(saga):
        Trial(world, script, tally).kill_everywhere()
    print(f"\n{saga}: {tally}")
    assert tally.killed == tally.singles


@pytest.mark.parametrize("name", FROZEN)
def test_a_pump_that_stood_still_past_its_lease_does_no_harm(world, name):
    tally = Tally()
    trial = Trial(world, find_script(name), tally)
    trial.freeze_everywhere(world.take_over)
    assert tally.frozen == tally.singles


@pytest.mark.parametrize("name", FROZEN)
def test_nobody_claims_a_run_whose_lease_is_alive(world, name):
    script = find_script(name)
    begin(world, script)
    assert world.tempt() > 5
    assert judge(world, definition_of(script.definition), 0, None) == []


def test_a_late_pump_writes_nothing_even_when_its_successor_has_not_written_yet(world):
    tally = Tally()
    Trial(world, find_script("single-atomic/success"), tally).freeze_everywhere(world.claim_only)
    assert tally.frozen == tally.singles


@only_proving
@pytest.mark.parametrize("saga", SOURCES)
def test_a_pump_frozen_at_any_point_does_no_harm(world, saga):
    tally = Tally()
    for script in scripts(saga):
        Trial(world, script, tally).freeze_everywhere(world.take_over)
    print(f"\n{saga}: {tally}")
    assert tally.frozen == tally.singles


def test_a_step_that_ends_its_worker_five_times_is_tried_no_more(world):
    begin(world, find_script("single/success"))
    for _ in range(5):
        kept = world.snapshot()
        world.machine.trace = trace = []
        world.live()
        world.machine.trace = None
        world.restore(kept)
        assert not world.live(trace.index("before ('only', 'action') is asked") + 1)
    world.live()
    assert world.machine.rows("SELECT status FROM sagas_sagarun") == [("compensated",)]
    assert end_of(world).steps["only"] == ("in_doubt", "succeeded")
    assert [attempt for key, attempt in world.memory.calls if key == "only:action"] == []


def test_a_case_can_be_run_again_alone(world):
    assert run_case(world, find_script("order/success"), (17, 45)) == []


def test_an_order_accepted_as_the_run_ended_is_refused_in_its_journal(world):
    """It used to stay in the inbox for ever: accepted, and never heard of again."""
    assert run_case(world, find_script("guided/cancel during last"), ()) == []
    assert ("order_refused",) in world.machine.rows("SELECT kind FROM sagas_journalentry")
