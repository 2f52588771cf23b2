"""Small sagas whose steps services take on: every order of acceptance, callback, silence, turn and probe."""

from __future__ import annotations

import pytest

from sagas.core import decider, due, evolve, evolve_callbacks, late_reports, orders, state
from tests.core.law import Allowance, ViolatedError, explore, graph, linear
from tests.core.test_law_mutants import apply, broken


def allowing(**more: int) -> Allowance:
    return Allowance(**{"cancels": 1, "retries": 0, "losses": 0, "deadlines": 0, **more})


def hold(enumerated, definition, allowance):
    seen = explore(definition, allowance)
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    return seen.ends


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("kinds", ["H", "K", "h", "k", "HC", "CK", "HP", "CJN", "KJ", "hC"])
def test_the_law_holds_for_steps_that_call_back(enumerated, kinds, asks):
    ends = hold(enumerated, linear(kinds, asks=asks), allowing())
    assert "completed" in ends
    assert ends & {"compensated", "needs_attention"}


@pytest.mark.parametrize("kinds", ["H", "K"])
def test_the_law_holds_when_they_are_tried_again_and_the_deadline_passes(enumerated, kinds):
    hold(enumerated, linear(kinds, attempts=2, deadline=True), allowing(deadlines=1))


@pytest.mark.parametrize("kinds", ["H", "K", "h"])
def test_the_law_holds_when_workers_are_lost_and_callbacks_come_late(enumerated, kinds):
    hold(enumerated, linear(kinds, attempts=2), allowing(losses=1, reports=2, cancels=0))
    hold(enumerated, linear(kinds), allowing(reports=2))


@pytest.mark.parametrize("kinds", ["H", "K", "h"])
def test_the_law_holds_for_decisions_of_a_person_about_them(enumerated, kinds):
    ends = hold(enumerated, linear(kinds), allowing(cancels=0, retries=1, decisions=1))
    assert {"completed", "terminated"} <= ends


@pytest.mark.parametrize(("kinds", "after"), [("KC", {}), ("HN", {}), ("NJ", {"1": "0"})])
def test_the_law_holds_for_them_beside_others(enumerated, kinds, after):
    hold(enumerated, graph(kinds, after), allowing())


def test_a_service_that_says_nothing_leaves_no_run_behind(enumerated):
    assert hold(enumerated, linear("KK"), allowing(cancels=0)) <= {"completed", "compensated", "needs_attention"}


# module, function, what it says, what the mutant says instead, the invariant that must notice, the saga
MUTANTS = [
    pytest.param(
        decider, "_accept", "until = last_moment(half)", "until = None", "L1", "K", id="waits for ever",
    ),
    pytest.param(
        decider, "_accept", "if draft.state.is_turning and until is not None:", "if False:", "R2", "KC",
        id="gives an attempt that is accepted in the drain its whole time",
    ),
    pytest.param(
        evolve_callbacks, "hurry", "list(_called_back(state))", "[]", "R2", "KC", id="does not hurry when it turns",
    ),
    pytest.param(
        evolve_callbacks, "take_time", "list(_called_back(state))", "[]", "R2", "KJ",
        id="goes on hurrying when the turn is dropped",
    ),
    pytest.param(
        decider, "_look", "if half.is_called_back:", "if half.is_called_back and not draft.state.is_paused:", "L1", "H",
        id="lets time stand still in a pause",
    ),
    pytest.param(
        due, "due_at", "half.is_called_back or not state.is_paused", "not state.is_paused", "L1", "H",
        id="tells nobody to look at a paused run",
    ),
    pytest.param(
        decider, "_look", "if half.is_called_back:", "if False:", "L1", "H", id="never ends the wait for a callback",
    ),
    pytest.param(
        late_reports, "is_waited_for", "half.is_out and", "half.is_awaiting and", "", "K",
        id="does not hear a callback once the attempt is accepted",
    ),
    pytest.param(
        evolve_callbacks, "attempt_accepted", "is_awaiting=False", "is_awaiting=True", "", "K",
        id="takes what is accepted for in flight",
    ),
    pytest.param(
        evolve, "_attempt_ended", "due_at=None,", "", "L1", "H", id="forgets to stop waiting",
    ),
    pytest.param(
        orders, "_terminate", "if half.is_out:", "if half.is_awaiting:", "S", "K",
        id="forgets what is in other hands when it is terminated",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), MUTANTS)
def test_an_invariant_notices_callbacks_of_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    after = {"1": ""} if len(shape) > 1 else {}
    with pytest.raises((ViolatedError, RecursionError, AssertionError)) as caught:
        explore(graph(shape, after), allowing(decisions=1))
    if invariant:
        assert any(str(sentence).startswith(invariant) for sentence in caught.value.args), caught.value.args


def test_an_invariant_notices_a_law_that_takes_a_service_for_a_wait(monkeypatch):
    monkeypatch.setattr(state, "IN_OTHER_HANDS", frozenset())
    with pytest.raises((ViolatedError, AssertionError)):
        explore(linear("KC"), allowing(decisions=1))
