"""Stored runs with lists, told without a pump: what each attempt came to is said by the test."""

from __future__ import annotations

from collections.abc import Callable

from sagas.catalog.load import load_version
from sagas.catalog.publish import publish
from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.outcome import Error, Outcome, Rejected, Succeeded, Unknown
from sagas.core.redaction import NOTHING
from sagas.core.vocabulary import AttemptKey, Phase, StepKey
from sagas.engine import journal, lease, stored
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.models import Saga, SagaRun

SOURCE = """
saga: parcels
title: Send parcels
key: ${{input.order}}
defaults: {{retry: {{attempts: 1}}, compensation_retry: {{attempts: 1}}}}
steps:
  - {{name: pay, title: Take the money, action: t.pay, {pay}}}
  - name: pack
    title: Pack the parcels
    action: t.pack
    for_each: ${{input.parcels}}
    max_parallel: 10
    with: {{what: "${{item}}"}}
    compensation: {undo}
  - {{name: tell, title: Tell the customer, action: t.tell, compensation: none}}
"""
NO = Rejected(Error("no_stock", "There is no box of that size."))
LOST = Unknown(Error("timed_out", "No answer within 30 s."))
Answers = Callable[[StepKey, Phase], Outcome | None]  # None: the attempt stays in flight


def list_run(
    count: int,
    answers: Answers = lambda _key, _phase: Succeeded({}),
    *,
    is_past_pivot: bool = False,
    key: str = "48230",
) -> SagaRun:
    """Store a run with a list of `count` items whose attempts end as `answers` says; at rest when none is left."""
    pay = "pivot: true" if is_past_pivot else "compensation: {action: t.refund}"
    undo = "none" if is_past_pivot else "{action: t.unpack}"
    if not Saga.objects.filter(name="parcels").exists():
        publish(SOURCE.format(pay=pay, undo=undo), by="tests")
    run = start_run("parcels", {"order": key, "parcels": [f"parcel {n}" for n in range(count)]}, by="tests").run
    now = Clock().now()
    token = lease.claim(100, now=now)[run.id]
    row = SagaRun.objects.select_related("saga", "version").get(id=run.id)
    definition, before = load_version(row.version_id), stored.load_one(row)
    decision = decide(definition, before, m.Look(now))
    state, events = decision.state, list(decision.events)
    while report := _next_report(state, answers, now):
        decision = decide(definition, state, report)
        state = decision.state
        events += decision.events
    told = tuple((event, now) for event in events)
    assert journal.append(
        [journal.Append(run.id, token, before, state, told, NOTHING, now, keeps_lease=bool(state.awaiting))]
    )
    return SagaRun.objects.select_related("saga", "version").get(id=run.id)


def _next_report(state, answers: Answers, now) -> m.ReportOutcome | None:
    for key, phase in sorted(state.awaiting):
        if (outcome := answers(key, phase)) is not None:
            number = state.step(key).half(phase).number
            return m.ReportOutcome(AttemptKey(key.step, key.item, phase, number), outcome, now)
    return None


def at_work(done: int) -> Answers:
    """So many items are done, and the next ones are in flight."""
    return lambda key, _phase: None if key.item >= done else Succeeded({"box": key.item})


def breaking(item: int, outcome: Outcome = NO) -> Answers:
    """One item ends so, all else well."""
    return lambda key, phase: outcome if key.item == item and phase is Phase.ACTION else Succeeded({"box": key.item})


def undo_breaking(item: int) -> Answers:
    """The last step is refused, and then one item cannot be undone."""

    def answer(key: StepKey, phase: Phase) -> Outcome:
        is_broken = key.step == "tell" or (key.item == item and phase is Phase.COMPENSATION)
        return NO if is_broken else Succeeded({"box": key.item})

    return answer
