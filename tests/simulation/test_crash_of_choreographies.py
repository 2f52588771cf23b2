"""Choreographed runs, crashed before and after every statement, commit and call: while events come, too.

Events are sent until they are acknowledged; services that act by themselves are outside
of the machine. Here every script once in peace, and the recovery from every state that
one crash can leave of a fixed sample; with HYPOTHESIS_PROFILE=prove of all of them, with
some that two crashes leave, and every single crash once more by force.
"""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.db import transaction

from sagas.choreography import router
from sagas.core.simulate import simulate
from sagas.engine import emitted
from tests.simulation.choreographies import CHOREOGRAPHIES
from tests.simulation.explore import Tally, Trial, ViolatedError, begin, definition_of, find_script, run_case, scripts
from tests.simulation.outside import ReactingWorld
from tests.simulation.script import REJECTED
from tests.simulation.test_crash_at_every_point import SEED, is_proving, only_proving
from tests.simulation.verdict import end_of
from tests.simulation.world import a_world

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

SAMPLED = 1  # scripts of each choreography whose every crash is recovered from
PAIRS_PROVED = 3  # different states after two crashes, of each script
KILLED = "around/pay refused, all of it twice"
FROZEN = "chain/take always rejected"


@pytest.fixture(scope="module")
def world(django_db_blocker):
    with django_db_blocker.unblock(), a_world(ReactingWorld, tuple(CHOREOGRAPHIES)) as made:
        yield made


@pytest.mark.parametrize("saga", CHOREOGRAPHIES)
def test_a_crash_at_any_point_loses_no_event_and_tells_nothing_twice(world, saga):
    tally = Tally()
    found = scripts(saga)
    chosen = found if is_proving else random.Random(SEED).sample(found, SAMPLED)
    for script in found:
        trial = Trial(world, script, tally)
        if script in chosen:
            depth = 2 if is_proving else 1
            trial.recover_from_all(depth=depth, sample=PAIRS_PROVED, seed=SEED)
    print(f"\n{saga}: {tally}")
    assert tally.recoveries > len(chosen)


def test_what_is_seen_from_outside_is_what_a_crash_leaves(world):
    tally = Tally()
    Trial(world, find_script(KILLED), tally).kill_everywhere()
    assert tally.killed == tally.singles


@only_proving
@pytest.mark.parametrize("saga", CHOREOGRAPHIES)
def test_a_machine_killed_at_any_point_comes_back(world, saga):
    tally = Tally()
    for script in scripts(saga):
        Trial(world, script, tally).kill_everywhere()
    print(f"\n{saga}: {tally}")
    assert tally.killed == tally.singles


def test_a_pump_that_stood_still_past_its_lease_publishes_nothing_twice(world):
    tally = Tally()
    trial = Trial(world, find_script(FROZEN), tally)
    trial.freeze_everywhere(world.take_over)
    assert tally.frozen == tally.singles


def test_a_case_can_be_run_again_alone(world):
    assert run_case(world, find_script("chain/ship always rejected"), (17, 45)) == []


@pytest.mark.parametrize("saga", ["chain", "around"])
def test_a_run_ends_in_life_as_on_paper(world, saga):
    definition = definition_of(saga)
    compared = 0
    for script in scripts(saga):
        faults = {step: answer for (step, _), (answer, _) in script.answers.items()}
        if script.during or set(faults.values()) - {REJECTED}:
            continue
        begin(world, script)
        world.live()
        run = simulate(definition, {"order": "7"}, faults)
        end = end_of(world)
        steps = {str(key): (one.status, one.compensation_status) for key, one in run.state.steps.items()}
        assert (end.status, end.steps) == (run.status, steps), script
        compared += 1
    assert compared > 3


# ---- protections taken out ------------------------------------------------------------


def _emits_after_the_commit() -> AbstractContextManager[object]:
    """Publish what reactions emit when their outcome is committed, in a transaction of its own."""
    note = emitted.note
    return patch.object(emitted, "note", lambda batch: transaction.on_commit(lambda: note(batch)))


def _takes_in_pieces() -> AbstractContextManager[object]:
    """Store an event in one transaction, and bring it to its run in another."""
    return patch.object(router, "transaction", SimpleNamespace(atomic=nullcontext))


def _takes_all_for_new() -> AbstractContextManager[object]:
    """Take an event that is sent again for another one: neither looked up, nor unique."""
    store, names = router._stored, iter(range(10_000))

    def stored(events, *rest):
        return store([replace(one, source=f"{one.source}/{next(names)}") for one in events], *rest)

    return patch.multiple(router, _known=lambda _keys: set(), _stored=stored)


BROKEN = [
    (_emits_after_the_commit, "chain/take always rejected", "C2 published were"),
    (_takes_in_pieces, "crossing/placed money", "S4 replaying the journal"),
    (_takes_all_for_new, "chain/success, sent twice", "is stored 2 times"),
]


@pytest.mark.parametrize(("broken", "name", "said"), BROKEN, ids=[one.__name__ for one, _, _ in BROKEN])
def test_a_machine_without_a_protection_is_noticed(world, broken, name, said):
    with broken(), pytest.raises(ViolatedError) as noticed:
        Trial(world, find_script(name), Tally()).recover_from_all(depth=1)
    assert said in str(noticed.value)
