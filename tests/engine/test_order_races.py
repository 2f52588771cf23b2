"""A hundred orders at once to one run that a pump drives meanwhile: a serial order explains what became of each."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass

import pytest

from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.codec import decode
from sagas.core.evolve import replay
from sagas.core.orders import refusal
from sagas.core.state import RunState
from sagas.core.vocabulary import INTERNAL, Phase, Verb
from sagas.engine import stored
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError, RevisionStaleError
from sagas.engine.orders import Ask, give_order
from sagas.models import Order, SagaRun
from tests.engine.actions import BEHAVIOUR, break_down, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch
from tests.running import wait_for
from tests.together import PATIENCE_S, at_once

COUNT = 100
ENOUGH = 10  # orders accepted before one is given that ends the run, or its turn to take others
UNDO = {"step": "pay", "phase": Phase.COMPENSATION, "reference": "BANK-7"}
Wish = tuple[Verb, dict[str, object]]
WANTED: dict[str, tuple[list[Wish], list[Wish]]] = {  # most of them, and a few that come later
    "in flight": (
        [(Verb.PAUSE, {}), (Verb.RESUME, {}), (Verb.SKIP, {"step": "stock"}), (Verb.RETRY, {}), (Verb.GIVE_UP, {})],
        [(Verb.CANCEL, {})] * 4,
    ),
    "failed to undo": (
        [(Verb.RETRY, {}), (Verb.RETRY, {"step": "pay"}), (Verb.PAUSE, {}), (Verb.RESUME, {}), (Verb.CANCEL, {})],
        [(Verb.SETTLE, UNDO), (Verb.GIVE_UP, {})] * 2,
    ),
    "terminated": ([(Verb.PAUSE, {}), (Verb.RESUME, {})], [(Verb.TERMINATE, {})] * 4),
}


@dataclass(frozen=True)
class Asked:
    """One order that a thread gave: the last revision it said it saw, and the run as it was answered."""

    by: str
    verb: Verb
    saw: int | None
    run: SagaRun


def ask(run_id, number, verb, ask, first):
    """Give one order: on what was seen at first, on what is seen now (again when that has moved), or on nothing."""
    by = f"operator {number}"
    asking = Ask(**{"reason": "because", **ask})
    if number % 3 == 0:
        return Asked(by, verb, None, give_order(run_id, verb, by=by, ask=asking))
    if number % 3 == 1:
        return Asked(by, verb, first, give_order(run_id, verb, by=by, ask=asking, revision=first))
    while True:
        saw = SagaRun.objects.values_list("revision", flat=True).get(id=run_id)
        try:
            return Asked(by, verb, saw, give_order(run_id, verb, by=by, ask=asking, revision=saw))
        except RevisionStaleError:
            continue


def order_all(run, name, seed, after=lambda: None):
    """Give a hundred orders at once while a pump drives the run; return them, what became of each, and since when."""
    most, later = WANTED[name]
    dice = random.Random(seed)
    asks = later + [most[dice.randrange(len(most))] for _ in range(COUNT - len(later))]
    first, answered = fetch(run).revision, list[int]()
    found: list[object] = []

    def give(number):
        if number < len(later):
            others = COUNT - len(later)
            wait_for(lambda: fetch(run).inbox_last >= ENOUGH or len(answered) >= others, "the orders before")
        try:
            return ask(run.id, number, *asks[number], first)
        finally:
            answered.append(number)

    def give_all():
        found.extend(at_once(give, COUNT))
        after()

    giving = threading.Thread(target=give_all)
    giving.start()
    drive(until=lambda: not giving.is_alive() and not SagaRun.objects.filter(due_at__isnull=False).exists())
    giving.join(PATIENCE_S)
    return asks, found, first


def judge(run, asks, found, first):
    """Hold what became of each order against what is stored of the run."""
    taken = {one.by: one for one in found if isinstance(one, Asked)}
    stale = [one for one in found if isinstance(one, RevisionStaleError)]
    refused = [one for one in found if isinstance(one, OrderRefusedError)]
    assert len(taken) + len(stale) + len(refused) == len(asks) == len(found), found

    # whoever was answered has an order, whoever was refused has none, and they are numbered without a gap
    every = {row.number: row for row in Order.objects.filter(run=run).order_by("number")}
    assert list(every) == list(range(1, len(every) + 1))
    rows = [row for row in every.values() if row.verb not in INTERNAL]  # a late answer comes by the inbox too
    assert {(row.by, row.verb) for row in rows} == {(one.by, str(one.verb)) for one in taken.values()}

    # each was taken on the revision that its giver saw, and raised it: no two were taken on the same one
    seen = [one.saw for one in taken.values() if one.saw is not None]
    assert len(set(seen)) == len(seen)
    assert all(one.run.revision > one.saw for one in taken.values() if one.saw is not None)
    revisions = [taken[row.by].run.revision for row in rows]
    assert revisions == sorted(set(revisions)), "a later order has a higher revision"
    assert all(one.current > first for one in stale)
    assert all(one.status and one.why for one in refused)

    # the journal tells of each once, in their order, and the law says of each what it told
    entries = [(decode(entry.kind, entry.data), entry.at) for entry in fetch(run).journal.all()]
    told = [event for event, _ in entries if isinstance(event, m.OrderTaken | m.OrderRefused)]
    told = [event for event in told if event.verb not in INTERNAL]
    assert [(event.number, event.by, event.verb) for event in told] == [(row.number, row.by, row.verb) for row in rows]
    definition, state = load_version(run.version_id), RunState()
    for event, at in entries:
        if isinstance(event, m.OrderTaken | m.OrderRefused):
            why = refusal(definition, state, stored.as_command(every[event.number], at))
            is_overtaken = isinstance(event, m.OrderRefused) and event.why == "The run was terminated."
            assert (why is None and not is_overtaken) is isinstance(event, m.OrderTaken), event
        state = replay([(event, at)], state)
    assert faults_of(run) == []
    return Counter(type(one).__name__ for one in found), Counter(type(event).__name__ for event in told)


@pytest.fixture
def held():
    """Hold the first action for as long as orders come."""
    opened = threading.Event()
    BEHAVIOUR["pay:action"] = lambda _call: opened.wait(PATIENCE_S) and None
    yield opened
    opened.set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_orders_to_a_run_with_an_attempt_in_flight(saga, held, seed):
    run = start_run(saga(), {}).run
    answers, told = judge(run, *order_all(run, "in flight", seed, after=held.set))
    assert min(answers["Asked"], answers["RevisionStaleError"], answers["OrderRefusedError"]) > 0
    assert told["OrderTaken"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_orders_to_a_run_that_needs_a_person(saga, seed):
    BEHAVIOUR["ship:action"] = refuse
    BEHAVIOUR["pay:compensation"] = break_down
    run = start_run(saga(), {}).run
    drive(until=lambda: fetch(run).status == "needs_attention")
    answers, told = judge(run, *order_all(run, "failed to undo", seed))
    assert min(answers["Asked"], answers["RevisionStaleError"], answers["OrderRefusedError"]) > 0
    assert told["OrderTaken"] > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hundred_orders_of_which_one_ends_the_run_at_once(saga, held, seed):
    run = start_run(saga(), {}).run
    answers, _ = judge(run, *order_all(run, "terminated", seed, after=held.set))
    assert fetch(run).status == "terminated"
    assert Order.objects.filter(verb="terminate").count() == 1
    assert answers["OrderRefusedError"] > 0
