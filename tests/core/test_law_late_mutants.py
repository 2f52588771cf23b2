"""The invariants notice a law that is broken around late reports."""

from __future__ import annotations

import pytest

from sagas.core import backward, decider, evolve_late, forward, late_reports, orders, settling
from tests.core.law import Allowance, ViolatedError, explore, linear
from tests.core.test_law_mutants import apply, broken

LATE = Allowance(cancels=0, retries=0, losses=0, deadlines=0, reports=2)
PERSON = Allowance(cancels=0, retries=1, losses=0, deadlines=0, reports=2, decisions=1)

# module, function, what it says, what the mutant says instead, the invariant that must notice, the saga, its attempts
MUTANTS = [
    pytest.param(
        late_reports, "_settles", "state.status.is_final or", "", "S1", "C", 1, id="settles when the run has ended",
    ),
    pytest.param(
        late_reports, "_settles", " or late.edition != step.action.edition", "", "R16", "PN", 1,
        id="settles the new key by what is said of the old one",
    ),
    pytest.param(
        late_reports, "_settles", "if not settling.is_still_open_to_settling(step):", "if False:", "R16", "C", 1,
        id="settles what is being undone",
    ),
    pytest.param(
        late_reports, "_settles", "return has_happened and", "return False and", "R16", "PN", 1,
        id="does not believe that what failed has happened",
    ),
    pytest.param(
        late_reports, "_is_certain", "step.action.sole_unknown == late.attempt.number", "True", "R16", "C", 2,
        id="takes the failure of one attempt for that of all",
    ),
    pytest.param(
        evolve_late, "sole_unknown", "0 if half.is_unsettled else event.number", "event.number", "R16", "C", 2,
        id="forgets that there are two that nobody knows of",
    ),
    pytest.param(
        late_reports, "_settle", "if step.action.is_out:", "if False:", "S4", "C", 2,
        id="settles under the feet of a newer attempt",
    ),
    pytest.param(
        decider, "_report", "late_reports.overrule(draft, key, outcome)", "False", "R16", "C", 2,
        id="forgets what was said while a newer attempt was in flight",
    ),
    pytest.param(
        forward, "retry_or_end", " or step.action.late is OutcomeKind.REJECTED", "", "R16", "C", 3,
        id="tries again what was refused meanwhile",
    ),
    pytest.param(
        orders, "_terminate", "half.late is OutcomeKind.SUCCEEDED", "False", "R16", "C", 2,
        id="terminates what happened as if nobody knew",
    ),
    pytest.param(
        settling, "settle_action", "_clear(draft, key, Phase.ACTION)", "pass", "", "P", 1,
        id="asks on about what is settled",
    ),
    pytest.param(late_reports, "take", "if needs_undo:", "if False:", "R16", "CC", 1, id="asks nobody what hangs"),
    pytest.param(
        evolve_late, "late_report_received", "state.undo_done -= was_undone", "pass", "L1", "CC", 1,
        id="counts the undo that came too early",
    ),
    pytest.param(
        evolve_late, "late_report_received", "state.undo_total += not was_undone", "pass", "L1", "CC", 1,
        id="does not count the undo of what was taken for failed",
    ),
    pytest.param(late_reports, "is_hanging", "return is_undone or", "return", "R16", "C", 1, id="sees nothing hang"),
    pytest.param(
        orders, "_terminate", " or _hangs(step)", "", "S2", "CC", 1, id="does not say that what hangs stays behind",
    ),
    pytest.param(
        backward, "is_overtaken", "if name in open_steps:", "if False:", "S3", "CC", 2,
        id="undoes what hangs while what came before is being undone",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape", "attempts"), MUTANTS)
def test_an_invariant_notices_late_reports_of_a_law_that(
    monkeypatch, module, name, said, says, invariant, shape, attempts
):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        for asks, allowance in ((False, LATE), (True, LATE), (False, PERSON), (True, PERSON)):
            explore(linear(shape, attempts=attempts, asks=asks), allowance)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args), caught.value.args[:2]
