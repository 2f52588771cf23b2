"""The law of choreographed runs, tried with whatever reactions come to and events in any order; and broken."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from sagas.core import messages as m
from sagas.core import reactions
from sagas.core.codec import decode, encode
from sagas.core.decider import decide
from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.evolve import replay
from sagas.core.outcome import Error, Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import AttemptKey, CompensationStatus, OutcomeKind, RunStatus, StepStatus, Verb
from tests.choreography.documents import ORDER, WATCHED

pytestmark = pytest.mark.pure

T = datetime(2026, 1, 1, tzinfo=UTC)
STORIES = {
    ("order.placed", "payment.taken", "stock.reserved", "order.shipped"): RunStatus.COMPLETED,
    ("order.placed", "payment.taken", "stock.short", "payment.refunded"): RunStatus.COMPENSATED,
    ("order.placed", "payment.taken", "stock.reserved", "shipment.failed", "stock.restored", "payment.refunded"):
        RunStatus.COMPENSATED,
}  # fmt: skip
UNDONE = {CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED, CompensationStatus.NOT_NEEDED}


def compiled(source: str):
    checked = check_source(source, {"engine.plain": ActionFacts()})
    return compile_document(checked.document, {"engine.plain": ActionFacts()})


DONE_HERE, ONLY_WATCHED = compiled(ORDER), compiled(WATCHED)


class Run:
    """One run, whose journal is kept and held against its state after each decision."""

    def __init__(self, definition) -> None:
        self.definition = definition
        started = m.RunStarted(run="r", saga="order", version=1, input=None, by="x", is_choreographed=True, steps=3)
        self.journal = [(started, T)]
        self.state = replay(self.journal)
        self.orders = 0
        self.now = T

    def do(self, command) -> None:
        decision = decide(self.definition, self.state, command)
        self.journal += [(event, command.now) for event in decision.events]
        self.state = decision.state
        self.hold()

    def order(self, verb, **more) -> None:
        self.orders += 1
        self.do(m.TakeOrder(self.orders, verb, "alice", self.now, **more))

    def event(self, kind: str, name: str = "") -> None:
        self.order(Verb.EVENT, arguments={"id": name or kind, "source": "/s", "type": kind, "data": {"order_id": "7"}})

    def hold(self) -> None:
        assert replay(self.journal) == self.state, "S4: the journal replays to the state"
        assert [decode(*encode(event)) for event, _ in self.journal] == [event for event, _ in self.journal]
        state = self.state
        if state.status.is_final:
            assert not state.open, "S1: nothing is under way in a run that has ended"
        if state.status is RunStatus.COMPENSATED:
            left = [
                key
                for key, step in state.steps.items()
                if step.status in {StepStatus.SUCCEEDED, StepStatus.IN_DOUBT}
                and step.reacting is not None
                and not step.reacting.undoes
                and step.compensation_status not in UNDONE
            ]
            assert not left, "S2: all that was done is undone"
            assert state.undo_done == state.undo_total, "S2: the counts say so"


def carry_out(run: Run, dice: random.Random) -> None:
    """Let reactions come to anything, and a person answer what asks for one, until the run has ended."""
    run.event("order.placed")
    for _ in range(200):
        if run.state.status.is_final:
            return
        run.now += timedelta(seconds=1)
        flying = run.state.awaiting
        if flying:
            key, phase = dice.choice(sorted(flying))
            number = run.state.step(key).half(phase).number
            outcome = dice.choice([
                Succeeded({"did": key.step}), Rejected(Error("no", "no")), Failed(Error("down", "down")),
                Unknown(Error("lost", "lost")), Succeeded(None), Succeeded(None),
            ])  # fmt: skip
            run.do(m.ReportOutcome(AttemptKey(key.step, key.item, phase, number), outcome, run.now))
        elif run.state.attention:
            step = str(run.state.attention[0].key)
            verb = dice.choice(["retry", "happened", "not"])
            if verb == "retry":
                run.order(Verb.RETRY, step=step)
            else:
                kind = OutcomeKind.SUCCEEDED if verb == "happened" else OutcomeKind.REJECTED
                run.order(Verb.SETTLE, step=step, outcome=kind, reason="seen")
        else:
            run.do(m.Look(run.now))
    raise AssertionError(f"L1: the run came to no end: {run.state.status}, {run.state.attention}")


def try_all(times: int) -> set[RunStatus]:
    ends = set()
    for seed in range(times):
        run = Run(DONE_HERE)
        carry_out(run, random.Random(seed))
        ends.add(run.state.status)
    for seed in range(times):
        dice = random.Random(seed)
        for story, end in STORIES.items():
            kinds = list(story)
            dice.shuffle(kinds)
            run = Run(ONLY_WATCHED)
            for kind in kinds:
                run.event(kind)
            assert run.state.status is end, (kinds, run.state.status)
    half = Run(ONLY_WATCHED)
    for kind in ("order.placed", "payment.taken", "stock.reserved", "order.shipped", "payment.refunded"):
        half.event(kind)
    assert half.state.status is RunStatus.COMPENSATING, "the goods were never seen to be back"
    return ends


def test_whatever_reactions_come_to_and_in_whatever_order_events_come_the_law_holds():
    assert try_all(300) == {RunStatus.COMPLETED, RunStatus.COMPENSATED}


BROKEN = [
    ("forgets what is to be undone", "_expect", lambda *_args, **_more: None),
    ("takes nothing for undone", "_undone", lambda *_args: None),
    ("keeps no event that comes early", "_is_answer", lambda *_args: False),
    ("gives a kept event to nobody", "claim_kept", lambda *_args: None),
    ("tells nobody of an outcome", "_emit", lambda *_args: None),
    ("lets no event answer a reaction", "_answered", lambda *_args: None),
    ("finds nothing left to undo", "left_to_undo", lambda *_args: []),
]


@pytest.mark.parametrize(("what", "name", "instead"), BROKEN, ids=[what for what, _, _ in BROKEN])
def test_a_law_is_noticed_that(what, name, instead, monkeypatch):
    monkeypatch.setattr(reactions, name, instead)
    with pytest.raises((AssertionError, KeyError)):
        try_all(60)
