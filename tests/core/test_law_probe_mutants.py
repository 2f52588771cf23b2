"""The invariants notice a law that is broken around probes."""

from __future__ import annotations

import pytest

from sagas.core import backward, decider, evolve_probes, forward, orders, probe_answers, probing, settling
from tests.core.law import Allowance, ViolatedError, explore, linear
from tests.core.test_law_mutants import apply, broken

SMALL = Allowance(cancels=1, retries=0, losses=0, deadlines=0, decisions=1)

# module, function, what it says, what the mutant says instead, the invariant that must notice, the saga
MUTANTS = [
    pytest.param(
        forward, "after_attempt", "case Unknown() if probing.may_ask(draft, key):", "case Unknown() if False:", "R18",
        "c", id="tries again, or gives up, before it has asked",
    ),
    pytest.param(
        probing, "may_ask", "not is_spent(probe.retry, step.probe.counted)", "True", "R18", "c", id="asks for ever",
    ),
    pytest.param(
        evolve_probes, "begun_anew", "step.probe.counted else step", "False else step", "R18", "c",
        id="asks about the first unknown outcome only",
    ),
    pytest.param(
        probe_answers, "after_attempt", "case Failed() if outcome.settles:", "case Failed():", "R18", "c",
        id="takes a probe that did not work for one that says no",
    ),
    pytest.param(
        evolve_probes, "probe_ended", "is_unsettled=False", "is_unsettled=True", "S4", "c",
        id="does not believe its probe",
    ),
    pytest.param(
        probe_answers, "after_attempt", "case Succeeded():\n            forward.after_success(draft, key)",
        "case Succeeded():\n            forward.doubt(draft, key, Error('', ''))", "S4", "c", id="does not hear a yes",
    ),
    pytest.param(
        decider, "_ended", "&= attempt.phase is not Phase.COMPENSATION", "&= attempt.phase is Phase.ACTION", "S4", "p",
        id="forgets that a probe may pass the pivot",
    ),
    pytest.param(
        probing, "ask", "if draft.state.is_paused:", "if False:", "S3", "c", id="asks while the run is paused",
    ),
    pytest.param(
        backward, "turn_round_when_drained", "phase is not Phase.COMPENSATION", "phase is Phase.ACTION", "S3", "c",
        id="undoes while the probe is asked",
    ),
    pytest.param(
        decider, "_look", "and phase is not Phase.PROBE", "", "L1", "c", id="forgets to ask again in a drain",
    ),
    pytest.param(
        orders, "_terminate", "Phase.ACTION if phase is Phase.PROBE else phase", "phase", "S4", "c",
        id="takes what is being asked about for failed, at the end",
    ),
    pytest.param(
        settling, "settle_action", "probing.call_off(draft, key)", "pass", "S4", "c",
        id="settles under the probe's feet",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "said", "says", "invariant", "shape"), MUTANTS)
def test_an_invariant_notices_probes_of_a_law_that(monkeypatch, module, name, said, says, invariant, shape):
    apply(monkeypatch, module, name, broken(module, name, said, says))
    with pytest.raises(ViolatedError) as caught:
        for asks in (False, True):
            explore(linear(shape, attempts=2, asks=asks), SMALL)
    assert any(str(sentence).startswith(invariant) for sentence in caught.value.args), caught.value.args
