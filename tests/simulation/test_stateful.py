"""Two operators, several pumps, clocks, crashes and versions, in any order: the law holds after each thing.

What is drawn is a sequence of rules. After each of them every run that has changed
is judged by its journal; at the end participants are well, and everything ends.
"""

from __future__ import annotations

import os
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sagas.catalog.load import load_version
from sagas.core.vocabulary import INTERNAL, Verb
from sagas.models import SagaRun
from tests.simulation.crowd import ALL_SAGAS, ANY_STEP, SAGAS, Between, Crowd
from tests.simulation.operators import SIGNALS, Operator, Wish, run_number
from tests.simulation.promises import Promises
from tests.simulation.script import BROKEN, BROKEN_AFTER, FAILED, HANGING, REJECTED, Script
from tests.simulation.starts import Starter, archive, publish_variant
from tests.simulation.world import a_world

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
is_proving = os.environ.get("HYPOTHESIS_PROFILE") == "prove"

EXAMPLES, EXAMPLES_PROVING = 100, 3000
RULES, RULES_PROVING = 25, 50
RUNS_MAX = 8
VISITS_MAX = 60  # of people to runs at rest, until all have ended

sagas = st.sampled_from(SAGAS)
sagas_and_inner = st.sampled_from((*SAGAS, "inner"))
keys = st.sampled_from(("a", "b", "c"))
numbers = st.integers(0, RUNS_MAX - 1)
points = st.one_of(st.integers(1, 60), st.integers(1, 400))
operators = st.integers(0, 1)
verbs = st.sampled_from([verb for verb in Verb if verb not in INTERNAL])
wishes = st.builds(
    Wish,
    verb=verbs,
    run=numbers,
    step=st.one_of(st.just(0), st.integers(0, 12)),
    is_careful=st.booleans(),
    is_sensible=st.sampled_from((True, True, False)),
    is_new_input=st.booleans(),
    is_yes=st.booleans(),
    signal=st.sampled_from(SIGNALS),
)
clock_steps = st.sampled_from((-2.0, -0.3, 0.4, 2.0, 7.0))
happenings = st.one_of(
    st.tuples(st.just("wish"), operators, wishes),
    st.tuples(st.just("look"), operators, numbers),
    st.tuples(st.sampled_from(("stand still", "come back", "ring")), st.just(0), st.none()),
    st.tuples(st.just("set clock"), st.just(0), clock_steps),
    st.tuples(st.just("let time pass"), st.just(0), st.sampled_from((0.02, 0.3, 2.5, 6.0, 40.0))),
    st.tuples(st.just("hang"), st.just(0), st.integers(1, 3)),
)
between = st.lists(st.tuples(points, happenings), max_size=3)
answers = st.tuples(st.sampled_from((REJECTED, FAILED, BROKEN, BROKEN_AFTER, HANGING)), st.integers(1, 4))
phases = st.sampled_from(("action", "action", "compensation", "probe"))
plans = st.tuples(numbers, st.one_of(st.just(0), st.integers(1, 5)), phases, answers)


class Shop(RuleBasedStateMachine):
    """All that may happen to several runs."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self.crowd = crowd
        crowd.begin()
        self.promises = Promises()
        self.starter = Starter(self.promises)
        self.operators = (Operator("alice", self.promises), Operator("bob", self.promises))

    # ---- starts ---------------------------------------------------------------------

    @initialize(
        chosen=st.lists(sagas, min_size=2, max_size=4, unique=True), planned=st.lists(plans, min_size=1, max_size=4)
    )
    def open(self, chosen, planned):
        for saga in chosen:
            self.starter.start(self.crowd, saga, "a", 0)
        for plan in planned:
            self._plan(*plan)

    @rule(saga=sagas, key=keys, extra=st.sampled_from((0, 0, 0, 1)), dies_at=st.sampled_from((0, 0, 0, 3, 8, 12, 16)))
    def start(self, saga, key, extra, dies_at):
        self.starter.change_mind(self.crowd, saga, key)
        if SagaRun.objects.count() < RUNS_MAX or (saga, key) in self.promises.keys:
            self.starter.start(self.crowd, saga, key, extra, dies_at=dies_at)

    # ---- people ---------------------------------------------------------------------

    @rule(operator=operators, wish=wishes)
    def order(self, operator, wish):
        self.operators[operator].wish(self.crowd, wish)

    @rule(wish=wishes)
    def order_at_once(self, wish):
        """Both see the same page, and both want the same."""
        for operator in self.operators:
            operator.look(wish.run)
        for operator in self.operators:
            operator.wish(self.crowd, wish)

    @rule(operator=operators, run=numbers, is_careful=st.booleans())
    def run_again(self, operator, run, is_careful):
        if SagaRun.objects.count() < RUNS_MAX:
            self.operators[operator].run_again(self.crowd, run, is_careful=is_careful)

    # ---- participants, time and machines --------------------------------------------

    @rule(plan=plans)
    def plan(self, plan):
        self._plan(*plan)

    @rule(happens=happenings)
    def happen(self, happens):
        self._happen(*happens)

    @rule(length_s=st.sampled_from((0.05, 0.3, 1.0, 5.0, 30.0)), pumps=st.integers(1, 2), happens=between)
    def drive(self, length_s, pumps, happens):
        self._drive(length_s, pumps, happens)

    @rule(length_s=st.sampled_from((0.3, 5.0)), pumps=st.integers(1, 2), happens=between, dies_at=points)
    def die(self, length_s, pumps, happens, dies_at):
        self._drive(length_s, pumps, happens, dies_at)

    # ---- versions -------------------------------------------------------------------

    @rule(
        saga=sagas_and_inner,
        variant=st.integers(0, 2),
        base=st.sampled_from((None, 1, 2, 3)),
        is_archived=st.sampled_from((False, False, True)),
    )
    def publish(self, saga, variant, base, is_archived):
        publish_variant(self.crowd, saga, variant, base)
        archive(saga, is_archived=is_archived)

    # ---- what must hold -------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self):
        assert self.promises.broken(self.crowd) == []

    def teardown(self):
        """Everybody is well, and sees to what waits: everything ends."""
        crowd = self.crowd
        if crowd.faults:
            return  # said already
        crowd.plans.clear()
        crowd.hangs = 0
        while crowd.hung:
            crowd.come_back()
        for visit in range(VISITS_MAX):
            crowd.rest()
            self.nothing_is_broken()
            runs = list(SagaRun.objects.select_related("saga").filter(finished_at=None).order_by("-depth", "id"))
            if not runs:
                break
            exits = (Verb.RETRY, Verb.SETTLE, Verb.GIVE_UP)
            crowd.script = Script("", "", (), exit=exits[visit % len(exits)])
            operator = self.operators[visit % len(self.operators)]
            if not [run for run in runs if operator.see_to(crowd, run)]:
                listed = ", ".join(f"{run.saga.name} is {run.status} and waits for {run.waiting_for}" for run in runs)
                raise AssertionError(f"L1 {listed}; nothing is due, and nobody is asked")
        assert self.promises.broken_at_the_end(crowd) == []

    def _drive(self, length_s, pumps, happens, dies_at=0):
        ordered = sorted(happens, key=lambda one: one[0])
        between = [Between(at, partial(self._happen, *what)) for at, what in ordered]
        self.crowd.drive(length_s, pumps=pumps, dies_at=dies_at, between=between)

    def _plan(self, run, step, phase, answers):
        """Say how the next calls of a half are answered, whichever run they come from."""
        names = [ANY_STEP, *load_version(run_number(run).version_id).by_name]
        answer, times = answers
        self.crowd.plans[names[step % len(names)], phase] = [answer] * times

    def _happen(self, what, number, detail):
        crowd = self.crowd
        match what:
            case "wish":
                self.operators[number].wish(crowd, detail)
            case "look":
                self.operators[number].look(detail)
            case "stand still" if crowd.pumps:
                crowd.stand_still()
            case "come back":
                crowd.come_back()
            case "ring":
                crowd.ring()
            case "set clock":
                crowd.machine.skew_s += detail
            case "let time pass":
                crowd.machine.now_s += detail
            case "hang":
                crowd.hangs = detail


@pytest.fixture(scope="module")
def crowd(django_db_blocker):
    with django_db_blocker.unblock(), a_world(Crowd, ALL_SAGAS) as made:
        yield made


def test_the_law_holds_whatever_happens_in_whatever_order(crowd):
    run_state_machine_as_test(
        lambda: Shop(crowd),
        settings=settings(
            max_examples=EXAMPLES_PROVING if is_proving else EXAMPLES,
            stateful_step_count=RULES_PROVING if is_proving else RULES,
            derandomize=not is_proving,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"\n{dict(crowd.tally)}")
