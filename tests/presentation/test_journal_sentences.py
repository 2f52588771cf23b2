"""What the journal says of people's decisions."""

from __future__ import annotations

import pytest

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.vocabulary import OutcomeKind, StepKey, Verb
from sagas.presentation import journal
from sagas.queries.run_detail import Entry, find_run_detail
from tests import factories as f

pytestmark = pytest.mark.django_db
PAY, SHIP = f.PAY, f.SHIP
ORDER = {"number": 1, "by": "alice"}


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (m.OrderTaken(**ORDER, verb=Verb.GIVE_UP), "alice ordered: give up"),
        (m.OrderTaken(**ORDER, verb=Verb.GIVE_UP, step=PAY), "alice ordered: give up “Process payment”"),
        (m.OrderTaken(**ORDER, verb=Verb.PAUSE, reason="INC-1"), "alice ordered: pause (INC-1)"),
        (
            m.OrderTaken(**ORDER, verb=Verb.SKIP, step=SHIP, reason="100 % sure"),
            "alice ordered: skip “Create shipment” (100 % sure)",
        ),
        (
            m.OrderRefused(**ORDER, verb=Verb.GIVE_UP, why="The run has ended."),
            "The order “give up” of alice no longer applied: The run has ended.",
        ),
        (
            m.StepSettled(step=SHIP, outcome=OutcomeKind.SUCCEEDED, reference="T-7"),
            "“Create shipment” was settled by hand: it happened (T-7)",
        ),
        (
            m.StepSettled(step=SHIP, outcome=OutcomeKind.REJECTED),
            "“Create shipment” was settled by hand: it did not happen",
        ),
        (m.StepSkipped(step=SHIP), "“Create shipment” is skipped: the run goes on without it"),
        (m.CompensationSettled(step=PAY, reference="BANK-7"), "“Process payment” was undone by hand: BANK-7"),
        (m.CompensationGivenUp(step=PAY), "Undoing “Process payment” was given up: what it did stays"),
        (m.RunPaused(), "Paused: nothing new is sent"),
        (m.RunResumed(), "Resumed: the run goes on from where it was paused"),
        (
            m.RunPartiallyCompensated(stays=(StepKey(PAY), StepKey(SHIP))),
            "Partially compensated: “Process payment” and “Create shipment” stay behind",
        ),
        (
            m.RunTerminated(by="alice", message="why not", stays=(StepKey(PAY),)),
            "Terminated by alice: nothing more is done or undone; “Process payment” stays behind",
        ),
        (m.RunTerminated(by="alice"), "Terminated by alice: nothing more is done or undone"),
    ],
)
def test_each_decision_of_a_person_is_a_sentence(event, sentence):
    now = f.frozen_now()
    steps = {step.plan.name: step for step in find_run_detail(f.completed(now).id).steps}
    assert journal.sentence(Entry(9, *codec.encode(event), now), steps) == sentence


def test_a_step_that_the_document_does_not_know_is_named_as_it_is():
    entry = Entry(9, "run_terminated", {"stays": [["gone", 3]]}, f.frozen_now())
    assert journal.sentence(entry, {}).endswith("“gone [3]” stays behind")
