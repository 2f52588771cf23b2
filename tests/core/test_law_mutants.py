"""The invariants are worth something: each of these broken laws is caught by them."""

from __future__ import annotations

import inspect
import textwrap

import pytest

from sagas.core import (
    arrivals,
    backward,
    children,
    decider,
    draft,
    evolve,
    evolve_waits,
    forward,
    orders,
    settling,
    waiting,
)
from tests.core.law import Allowance, ViolatedError, explore, graph, linear

SMALL = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
WAITS = Allowance(cancels=1, retries=0, losses=0, deadlines=0, signals=2, answers=2, decisions=1)
CHILDREN = Allowance(cancels=1, retries=0, losses=1, deadlines=0, undos=1)
PERSON = Allowance(cancels=0, retries=0, losses=0, deadlines=0, decisions=3)

# module, function, what it says, what the mutant says instead, the invariant that must notice, the saga
MUTANTS = [
    pytest.param(backward, "_is_held", "return any(", "return False and any(", "S3", "CC", id="undoes in any order"),
    pytest.param(
        forward, "end_by_join", "if draft.step(key).action.is_unsettled:", "if False:", "S4", "C",
        id="takes a later failure for the truth about an unknown attempt",
    ),
    pytest.param(
        backward, "happened", ", StepStatus.IN_DOUBT}", "}", "S2", "C",
        id="does not undo what may have happened",
    ),
    pytest.param(
        backward, "turn_round_when_drained", "if any(phase is not Phase.COMPENSATION for _, phase in state.open) or",
        "if", "S3", "CC", id="does not wait for attempts in flight",
    ),
    pytest.param(
        forward, "fail", "if draft.state.is_past_pivot:", "if False:", "S6", "CPN", id="turns round after the pivot",
    ),
    pytest.param(
        forward, "after_success", "if draft.state.is_past_pivot and draft.state.is_turning:", "if False:", "S6", "CP",
        id="forgets to drop the turn when the pivot succeeds in the drain",
    ),
    pytest.param(
        forward, "start_ready", "PENDING and all(", "PENDING or all(", "S", "CC",
        id="starts a step before the one it comes after",
    ),
    pytest.param(
        decider, "_report", "if not half.is_out or half.number != attempt.number:", "if False:", "S4", "C",
        id="counts a report twice",
    ),
    pytest.param(
        forward, "complete_when_done", "state.steps_done < len(draft.definition.steps)", "state.steps_done < 1", "S2",
        "CC", id="completes after the first step",
    ),
    pytest.param(
        backward, "end_when_done", "state.undo_done != state.undo_total or", "", "S", "CC",
        id="says compensated before it is",
    ),
    pytest.param(
        backward, "after_attempt", "case Rejected():", "case Rejected() if False:", "", "C",
        id="does not hear a compensation's refusal",
    ),
    pytest.param(
        draft, "start_attempt", "number=known.number + 1", "number=known.number or 1", "S4", "C", id="reuses numbers"
    ),
    pytest.param(evolve, "_attempt_ended", "is_awaiting=False", "is_awaiting=True", "S", "C", id="never lets go"),
]  # fmt: skip

DECISION_MUTANTS = [
    pytest.param(
        decider, "_progress", "if not draft.state.is_paused:\n            forward", "if True:\n            forward",
        "S3", "CC", id="starts a step while the run is paused",
    ),
    pytest.param(
        decider, "_progress", "if not draft.state.is_paused:\n            backward", "if True:\n            backward",
        "S3", "C", id="undoes while the run is paused",
    ),
    pytest.param(
        forward, "_is_satisfied", "todo += before", "todo += []", "S3", "NNN",
        id="takes what was skipped early for done",
    ),
    pytest.param(
        settling, "skip_refusal", "step.status is StepStatus.IN_DOUBT or step.action.is_unsettled", "False", "S3", "C",
        id="skips what may have happened",
    ),
    pytest.param(
        settling, "skip_refusal", "definition.by_name[key.step].is_pivot", "False", "S3", "P", id="skips the pivot",
    ),
    pytest.param(
        settling, "settle_refusal", "not is_still_open_to_settling(step)",
        "False", "S3", "C", id="settles what is being undone",
    ),
    pytest.param(
        settling, "settle_action", "has_happened and key.step == draft.definition.pivot", "False", "S4", "P",
        id="forgets that a settled pivot is passed",
    ),
    pytest.param(
        settling, "settle_action", "outcome=outcome,\n            output",
        "outcome=OutcomeKind.SUCCEEDED,\n            output", "S4", "C",
        id="hears yes where a person said no",
    ),
    pytest.param(
        evolve, "_step_settled", "state.undo_total -= is_undo_pending", "pass", "L1", "CC",
        id="waits for the undo of what did not happen",
    ),
    pytest.param(
        backward, "end_when_done", "if stays else", "if False else", "S2", "C", id="says compensated when it gave up",
    ),
    pytest.param(
        orders, "_terminate", "if half.is_out:", "if False:", "S1", "C", id="ends with an attempt in flight",
    ),
    pytest.param(
        orders, "_terminate", ", StepStatus.IN_DOUBT}", "}", "S2", "C", id="does not say what may stay behind",
    ),
]  # fmt: skip

WAIT_MUTANTS = [
    pytest.param(
        forward, "drain", "if half.is_wait:", "if False:", "S", "CAC", id="waits on while it turns round",
    ),
    pytest.param(
        waiting, "leave_out", "cause=cause", "cause=''", "S3", "CAC", id="does not say why it stopped waiting",
    ),
    pytest.param(
        evolve_waits, "wait_ended", "_take(state,", "str(", "S4", "SS", id="takes a signal twice",
    ),
    pytest.param(
        arrivals, "_end", "key.step == draft.definition.pivot", "False", "S4", "CQ",
        id="forgets that an approval was the pivot",
    ),
    pytest.param(
        arrivals, "approval_refusal", "is not WaitingFor.APPROVAL", "is None", "S", "TS",
        id="takes a yes for whatever is waited for",
    ),
    pytest.param(
        arrivals, "time_is_up", "elif wait.goes_on:", "elif True:", "", "PWN", id="goes on without what never came",
    ),
    pytest.param(
        orders, "_terminate", "if half.is_wait:", "if False:", "S", "S", id="fails a wait at the end",
    ),
]  # fmt: skip

CHILD_MUTANTS = [
    pytest.param(
        forward, "after_success", "_ask_about_failures(draft)", "pass", "L1", "RC",
        id="forgets what failed beside a child that passed its pivot",
    ),
    pytest.param(
        forward, "drain", "elif phase is Phase.ACTION and not half.is_out:", "elif phase is Phase.ACTION:", "S", "RC",
        id="does not wait for a child while it turns round",
    ),
    pytest.param(
        children, "outcome_of", "return Unknown(", "return Rejected(", "S2", "R",
        id="takes a child that was partly undone for one that was undone",
    ),
    pytest.param(
        children, "undo_refusal", "if state.is_past_pivot:", "if False:", "S6", "CP", id="undoes a run past its pivot",
    ),
    pytest.param(
        evolve, "_attempt_ended", "waits_for=None,", "", "S", "R", id="waits for a child that has ended",
    ),
    pytest.param(
        decider, "_ended", "outcome.passes_pivot and", "False and", "S", "CR", id="does not see the pivot of a child",
    ),
]  # fmt: skip


def broken(module, name, said, says):
    """Return the function `name` of `module` with one phrase replaced."""
    function = getattr(module, name, None) or getattr(module.Draft, name)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(said) == 1, f"{name} no longer says {said!r}: adapt the mutant"
    scope = dict(vars(module))
    exec(compile(source.replace(said, says), f"<mutant of {name}>", "exec"), scope)  # noqa: S102 - our own source
    return scope[name]


def apply(monkeypatch, module, name, mutant):
    """Put the mutant where the law looks the function up."""
    if hasattr(module, name):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, mutant)
        for table in (evolve._APPLY, orders._REFUSALS):
            for key, function in list(table.items()):
                if function is original:
                    monkeypatch.setitem(table, key, mutant)
    else:
        monkeypatch.setattr(module.Draft, name, mutant)


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), MUTANTS)
def test_an_invariant_notices_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        explore(linear(shape, attempts=2), SMALL)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), DECISION_MUTANTS)
def test_an_invariant_notices_decisions_of_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        for asks in (False, True):
            explore(linear(shape, attempts=2, asks=asks), PERSON)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), WAIT_MUTANTS)
def test_an_invariant_notices_waits_of_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        explore(linear(shape), WAITS)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), CHILD_MUTANTS)
def test_an_invariant_notices_sub_sagas_of_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        for after in ({}, {"1": "0"}):
            explore(graph(shape, after), CHILDREN)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)
