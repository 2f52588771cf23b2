"""Code that is missing: a worker without the action, or without anything that reads the version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.due import due_at
from sagas.core.evolve import replay
from sagas.core.outcome import ACTION_NOT_REGISTERED, Error, Failed, Rejected, Succeeded, Unknown
from sagas.core.state import VERSION_UNREADABLE
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, RunStatus, StepKey, StepStatus, Verb
from sagas.core.without_definition import decide_without_definition
from tests.core import law
from tests.core.law import T0, Allowance, explore, graph, linear

MISSING = Failed(Error(ACTION_NOT_REGISTERED, "nobody registers it"))
ANSWERS = (Succeeded(1), Rejected(Error("no", "no")), Unknown(Error("unknown", "unknown")), MISSING)
S0 = StepKey("s0")


@pytest.fixture
def moves(monkeypatch):
    """Let attempts also come to a worker that does not have their action."""
    monkeypatch.setattr(law, "ANSWERS", ANSWERS)


@pytest.mark.usefixtures("moves")
@pytest.mark.parametrize("kinds", ["C", "CC", "CN", "PN", "CTC"])
@pytest.mark.parametrize("asks", [False, True])
def test_the_law_holds_whatever_code_is_missing(enumerated, kinds, asks):
    allowance = Allowance(cancels=1, retries=1, losses=0, deadlines=1, blind=1)
    seen = explore(linear(kinds, asks=asks, deadline=True), allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    assert {"completed", "needs_attention"} <= seen.ends


@pytest.mark.usefixtures("moves")
@pytest.mark.parametrize("kinds", ["C", "CN"])
def test_the_law_holds_for_decisions_of_a_person_about_missing_code(enumerated, kinds):
    allowance = Allowance(cancels=1, retries=1, losses=0, deadlines=0, decisions=1, blind=1)
    seen = explore(graph(kinds, {}), allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    assert {"completed", "compensated", "terminated"} <= seen.ends


def after(definition, *outcomes):
    """The state after the attempts of the first step, each with one of `outcomes`."""
    state, _ = law.started(definition)
    state = decide(definition, state, m.Look(T0)).state
    for number, outcome in enumerate(outcomes, 1):
        attempt = AttemptKey("s0", NO_ITEM, Phase.ACTION, number)
        state = decide(definition, state, m.ReportOutcome(attempt, outcome, T0)).state
        state = decide(definition, state, m.Look(T0)).state
    return state


def test_an_action_that_no_worker_has_asks_a_person_and_undoes_nothing():
    state = after(linear("CC", attempts=2), MISSING, MISSING)
    assert (state.status, state.is_turning) == (RunStatus.NEEDS_ATTENTION, False)
    assert [(one.step, one.code) for one in state.attention] == [("s0", ACTION_NOT_REGISTERED)]
    assert state.step(S0).status is StepStatus.FAILED


def test_an_action_that_no_worker_has_any_more_leaves_its_unknown_outcome_to_a_person():
    state = after(linear("CC", attempts=2), Unknown(Error("u", "u")), MISSING)
    assert [(one.step, one.code) for one in state.attention] == [("s0", "outcome_unknown")]
    assert state.step(S0).status is StepStatus.IN_DOUBT


def test_a_cancel_of_a_run_whose_action_is_missing_ends_it():
    definition = linear("NC", attempts=1)
    state = after(definition, MISSING)
    ended = decide(definition, state, m.TakeOrder(1, Verb.CANCEL, "alice", T0)).state
    assert (ended.status, ended.attention) == (RunStatus.COMPENSATED, ())


def blind(state, *orders):
    return decide_without_definition(state, orders, T0, "why not")


def told(decision):
    return [type(event) for event in decision.events]


def order(number, verb):
    return m.TakeOrder(number, verb, "alice", T0, reason="so", signal="paid")


def test_a_run_that_cannot_be_read_rests_until_somebody_can():
    definition = linear("CC", attempts=2)
    state = after(definition)
    decision = blind(state)
    assert told(decision) == [m.AttentionNeeded]
    assert (decision.state.status, due_at(decision.state)) == (RunStatus.NEEDS_ATTENTION, None)
    assert decision.state.attention[0].message == "why not"
    assert blind(decision.state).events == ()
    back = decide(definition, decision.state, m.Look(T0))
    assert told(back) == [m.AttentionCleared]
    assert replace(back.state, sequence=0, revision=0) == replace(state, sequence=0, revision=0)


@pytest.mark.parametrize("verb", sorted(set(Verb) - {Verb.TERMINATE}))
def test_without_a_definition_orders_wait_for_somebody_who_can_read_it(verb):
    state = blind(after(linear("CC", attempts=2))).state
    assert blind(state, order(1, verb)).events == ()


def test_without_a_definition_a_run_can_be_terminated():
    state = blind(after(linear("CC", attempts=2))).state
    ended = blind(state, order(1, Verb.RETRY), order(2, Verb.TERMINATE), order(3, Verb.PAUSE))
    assert told(ended)[:2] == [m.OrderRefused, m.OrderTaken]
    assert told(ended)[-2:] == [m.RunTerminated, m.OrderRefused]
    assert ended.state.step(S0).status is StepStatus.IN_DOUBT
    assert (ended.state.inbox_done, ended.state.attention) == (3, ())
    assert ended.state == replay(((event, T0) for event in ended.events), state)


def test_what_ended_meanwhile_is_asked_about_only_when_it_is_to_be_undone():
    state = after(linear("C", attempts=1), Succeeded(1))
    assert state.status is RunStatus.COMPLETED
    assert blind(state).events == ()
    late = blind(state, order(1, Verb.TERMINATE))
    assert [event.why for event in late.events] == ["The run has ended: it is completed."]
    opened = blind(state, order(1, Verb.UNDO), order(2, Verb.PAUSE))
    assert told(opened) == [m.OrderTaken, m.RunReopened, m.TurnRequested, m.AttentionNeeded]
    undone = decide(linear("C", attempts=1), opened.state, m.Look(T0))
    assert [event.phase for event in undone.events if isinstance(event, m.AttemptStarted)] == [Phase.COMPENSATION]


def test_only_a_retry_of_the_whole_run_goes_on_from_missing_code():
    definition = linear("CC", attempts=2)
    rests = blind(after(definition)).state
    refused = {verb for verb in Verb if law.refusal(definition, rests, order(1, verb))}
    assert set(Verb) - refused == {Verb.RETRY, Verb.TERMINATE}
    assert law.refusal(definition, rests, replace(order(1, Verb.RETRY), step="s0")) is not None
    state = decide(definition, rests, order(1, Verb.RETRY)).state
    assert VERSION_UNREADABLE not in {one.code for one in state.attention}
