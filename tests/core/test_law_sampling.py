"""Larger sagas, with steps beside each other: sampled, since they are too many to enumerate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import event, given
from hypothesis import strategies as st

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.definition import Definition
from sagas.core.due import due_at
from sagas.core.vocabulary import AttemptKey, OutcomeKind, Phase, RunStatus, Verb
from tests.core.law import ANSWERS, AT_DEADLINE, DEADLINE_S, LOSSES, NEVER_HAPPENED, PIVOT, T0, decisions, started, step
from tests.core.law_late import late_reports
from tests.invariants import Watch, violations

MOVES_MAX = 600
WEIGHTED = [ANSWERS[0]] * 14 + [*ANSWERS[1:], *LOSSES]


@st.composite
def sagas(draw: st.DrawFn) -> Definition:
    """A saga of up to twelve steps in any order; where there is a pivot, nothing stands beside it."""
    before = draw(st.integers(1, 8))
    has_pivot = draw(st.booleans())
    after = draw(st.integers(0, 3)) if has_pivot else 0
    steps = []
    for position in range(before):
        earlier = [f"s{place}" for place in range(position)]
        arrows = tuple(sorted(draw(st.sets(st.sampled_from(earlier), max_size=3)))) if earlier else ()
        steps.append(step(position, draw(st.sampled_from("CCCNYccn")), draw(st.integers(1, 3)), arrows))
    if has_pivot:
        every = tuple(one.name for one in steps)
        steps.append(step(before, draw(st.sampled_from([PIVOT, PIVOT.lower()])), draw(st.integers(1, 3)), every))
        steps += [
            step(position, draw(st.sampled_from("Nn")), draw(st.integers(1, 3)), (f"s{before}",))
            for position in range(before + 1, before + 1 + after)
        ]
    return Definition(
        saga="law",
        title="Law",
        steps=tuple(steps),
        deadline_s=DEADLINE_S if draw(st.booleans()) else None,
        stops_on_compensation_failure=draw(st.booleans()),
        asks_when_in_doubt=draw(st.booleans()),
    )


@st.composite
def runs(draw: st.DrawFn):
    """A whole run: the definition, its journal, and the state it ends in."""
    definition = draw(sagas())
    state, first = started(definition)
    journal = [(first, T0)]
    watch = Watch(definition)
    watch.see(first)
    now = T0
    orders = draw(st.integers(0, 6))
    for _ in range(MOVES_MAX):
        awaiting = sorted(state.awaiting)
        due = due_at(state)
        choices = ["report"] * 8 * bool(awaiting) + ["look"] * 4 * (due is not None)
        if not choices and (state.status.is_final or not orders):
            break
        choices += ["order"] * bool(orders) + ["late"] * 2 * bool(watch.unknown)
        match draw(st.sampled_from(choices)):
            case "report":
                key, phase = draw(st.sampled_from(awaiting))
                attempt = AttemptKey(key.step, key.item, phase, state.step(key).half(phase).number)
                answers = [*WEIGHTED, NEVER_HAPPENED] if phase is Phase.PROBE else WEIGHTED
                command: m.Command = m.ReportOutcome(attempt, draw(st.sampled_from(answers)), now)
            case "look":
                now = max(now, due) if due != AT_DEADLINE or draw(st.booleans()) else now + timedelta(seconds=1)
                command = m.Look(now)
            case "late":
                command = draw(st.sampled_from(list(late_reports(watch, state, now))))
            case _:
                orders -= 1
                number = state.inbox_done + 1
                simple = [m.TakeOrder(number, verb, "alice", now) for verb in (Verb.CANCEL, Verb.RETRY)]
                chosen = draw(st.sampled_from([*simple, *decisions(definition, number)]))
                command = replace(chosen, now=now)
        decision = decide(definition, state, command)
        state = decision.state
        journal += [(one, now) for one in decision.events]
        for one in decision.events:
            watch.see(one)
    return definition, [(place, one, at) for place, (one, at) in enumerate(journal, start=1)], state


@given(runs())
def test_the_invariants_hold_for_sagas_with_steps_beside_each_other(run):
    definition, journal, state = run
    event(f"ends {state.status}")
    assert violations(definition, journal, state) == []


@given(runs())
def test_a_run_comes_to_rest_with_an_end_or_a_question(run):
    _, _, state = run
    is_moving = state.awaiting or due_at(state) is not None
    assert state.status.is_final or state.attention or state.is_paused or is_moving


@given(runs())
def test_nothing_is_undone_once_the_pivot_has_committed(run):
    definition, journal, state = run
    events = [one for _, one, _ in journal]
    has_passed = any(
        isinstance(one, m.AttemptEnded)
        and (one.step, one.outcome) == (definition.pivot, OutcomeKind.SUCCEEDED)
        and one.phase is not Phase.COMPENSATION
        for one in events
    ) or any(isinstance(one, m.StepSettled) and one.passes_pivot for one in events)
    if has_passed:
        event("past the pivot")
        assert not any(isinstance(one, m.AttemptStarted) and one.phase is Phase.COMPENSATION for one in events)
        assert state.status is not RunStatus.COMPENSATED
