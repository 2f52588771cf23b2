"""What a cancel would do is what a cancel does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.outcome import Succeeded
from sagas.core.preview import plan_cancel
from sagas.core.vocabulary import AttemptKey, Phase, StepKey, Verb
from tests.core.law import ANSWERS, T0, linear, started
from tests.core.test_law_sampling import WEIGHTED, sagas


def moved(definition, outcomes):
    """Return the state after so many attempts have ended so."""
    state, _ = started(definition)
    state = decide(definition, state, m.Look(T0)).state
    for outcome in outcomes:
        if not state.awaiting:
            state = decide(definition, state, m.Look(T0)).state
        if not state.awaiting:
            break
        key, phase = min(state.awaiting)
        attempt = AttemptKey(key.step, key.item, phase, state.step(key).half(phase).number)
        state = decide(definition, state, m.ReportOutcome(attempt, outcome, T0)).state
    return state


def cancelled(definition, state, outcome):
    """Cancel, let everything in flight end so and every compensation succeed; return the started undos, and the end."""
    undos = []
    decision = decide(definition, state, m.TakeOrder(state.inbox_done + 1, Verb.CANCEL, "alice", T0))
    while True:
        state = decision.state
        undos += [
            StepKey(one.step, one.item)
            for one in decision.events
            if isinstance(one, m.AttemptStarted) and one.phase is Phase.COMPENSATION
        ]
        if not state.awaiting and state.is_turning:  # a probe waits to be asked again
            decision = decide(definition, state, m.Look(T0))
            state = decision.state
        if not state.awaiting:
            return undos, state
        key, phase = min(state.awaiting)
        attempt = AttemptKey(key.step, key.item, phase, state.step(key).half(phase).number)
        answer = Succeeded() if phase is Phase.COMPENSATION else outcome
        decision = decide(definition, state, m.ReportOutcome(attempt, answer, T0))


@given(sagas(), st.lists(st.sampled_from(WEIGHTED), max_size=8), st.sampled_from([ANSWERS[0], ANSWERS[1]]))
def test_the_plan_names_what_a_cancel_undoes_and_what_it_leaves(definition, outcomes, outcome):
    state = moved(definition, outcomes)
    plan = plan_cancel(definition, state, T0)
    order = m.TakeOrder(state.inbox_done + 1, Verb.CANCEL, "alice", T0)
    refused = [one for one in decide(definition, state, order).events if isinstance(one, m.OrderRefused)]
    assert [one.why for one in refused] == [plan.refusal] * bool(plan.refusal)
    if plan.refusal:
        return
    undos, end = cancelled(definition, state, outcome)
    if end.is_past_pivot or end.attention:  # the pivot succeeded in the drain, or an undo has no input: no cancel
        return
    has_happened = outcome is ANSWERS[0]
    assert set(undos) == {one.key for one in plan.undo if (one.is_certain or has_happened) and not one.error}
    not_needed = {key for key, step in end.steps.items() if step.compensation_status == "not_needed"}
    assert {key for key in plan.stays if has_happened or key not in plan.in_flight} == not_needed


def test_a_plan_lists_the_newest_first():
    definition = linear("CNC")
    plan = plan_cancel(definition, moved(definition, [Succeeded()] * 2), T0)
    assert plan.in_flight == (StepKey("s2"),)
    assert [(one.key, one.is_certain) for one in plan.undo] == [(StepKey("s2"), False), (StepKey("s0"), True)]
    assert plan.stays == (StepKey("s1"),)
