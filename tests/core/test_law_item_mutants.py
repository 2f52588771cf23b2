"""What the invariants say of lists is worth something: each of these broken laws is caught by them."""

from __future__ import annotations

import pytest

from sagas.core import backward, evolve_items, forward, items, orders, settling
from tests.core.law import Allowance, ViolatedError, explore, linear
from tests.core.test_law_items import listed
from tests.core.test_law_mutants import apply, broken

CANCEL = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
PERSON = Allowance(cancels=0, retries=1, losses=0, deadlines=0, decisions=2)

# module, function, what it says, what the mutant says instead, the invariant that must notice, the saga, its lists
MUTANTS = [
    pytest.param(
        items, "next_to_start", "or known.actions[StepStatus.FAILED]", "", "S3", "PN", {"s1": (3, 2)},
        id="starts items after one has failed",
    ),
    pytest.param(
        items, "next_to_start", "draft.definition.by_name[name].max_parallel", "2", "S3", "C", {"s0": (2, 1)},
        id="starts more items than may be at once",
    ),
    pytest.param(
        items, "has_room_to_undo", "draft.definition.by_name[name].max_parallel", "2", "S3", "C", {"s0": (2, 1)},
        id="undoes more items than may be at once",
    ),
    pytest.param(
        items, "next_to_undo", "StepKey(name, known.undo_next)",
        "min(key for key, one in draft.state.steps.items() if one.compensation_status == 'pending' and key[1] >= 0)",
        "S3", "C", {"s0": (2, 1)}, id="undoes the first item first",
    ),
    pytest.param(
        items, "next_to_undo", "if stops and", "if False and", "S3", "C", {"s0": (3, 2)},
        id="goes on undoing after one has failed",
    ),
    pytest.param(
        items, "_joined", "if known.actions[StepStatus.FAILED]:", "if False:", "", "C", {"s0": (2, 2)},
        id="does not see that an item has failed",
    ),
    pytest.param(
        items, "_joined", "if known.actions[StepStatus.IN_DOUBT]:", "if False:", "S4", "C", {"s0": (2, 2)},
        id="takes an item in doubt for one that succeeded",
    ),
    pytest.param(items, "join", "if known.open:", "if False:", "S1", "C", {"s0": (2, 2)}, id="joins before the end"),
    pytest.param(
        items, "join_all", "is_over or draft.state.is_turning or", "is_over or", "S3", "C", {"s0": (2, 1)},
        id="leaves a list under way when the run turns",
    ),
    pytest.param(
        evolve_items, "advance_item", "state.steps_done = steps_done", "pass", "S2", "CC", {"s0": (2, 1)},
        id="counts items as steps",
    ),
    pytest.param(
        evolve_items, "_count", "known.next += 1", "known.next += 2", "S", "C", {"s0": (3, 1)},
        id="leaves an item out",
    ),
    pytest.param(
        evolve_items, "outputs_of", "range(state.lists[step].total)", "range(state.lists[step].total - 1)", "S4", "C",
        {"s0": (2, 1)}, id="forgets an output",
    ),
    pytest.param(
        backward, "happened", "and not state.is_list(key)", "", "S2", "C", {"s0": (1, 1)},
        id="undoes the list beside its items",
    ),
    pytest.param(
        backward, "consider_earlier", "draft.undo_candidates.add(StepKey(key.step))", "pass", "L1", "C",
        {"s0": (2, 1)}, id="forgets the next item to be undone",
    ),
    pytest.param(
        forward, "start_ready", "| set(items.under_way(draft.state))", "", "L1", "CN", {"s0": (1, 1)},
        id="forgets a list whose last item has ended",
    ),
]  # fmt: skip

DECISION_MUTANTS = [
    pytest.param(
        evolve_items, "_count", "if before.status in _BROKEN or before.status is StepStatus.PENDING:", "if False:",
        "S4", "PN", {"s1": (2, 1)}, id="does not see that a person has moved an item on",
    ),
    pytest.param(
        orders, "_terminate", "items.join_all(draft, is_over=True)", "pass", "S1", "C", {"s0": (2, 1)},
        id="ends with a list under way",
    ),
    pytest.param(
        settling, "_list_refusal", "if state.lists[key.step].actions[StepStatus.IN_DOUBT]:", "if False:", "S3", "PN",
        {"s1": (2, 2)}, id="skips a list whose items may have happened",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape", "lists"), MUTANTS)
def test_an_invariant_notices_a_law_of_lists_that(monkeypatch, module, name, said, says, invariant, shape, lists):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        explore(listed(linear(shape), **lists), CANCEL)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape", "lists"), DECISION_MUTANTS)
def test_an_invariant_notices_decisions_about_lists_that(
    monkeypatch, module, name, said, says, invariant, shape, lists
):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        for attempts in (1, 2):
            explore(listed(linear(shape, attempts=attempts), **lists), PERSON)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args)
