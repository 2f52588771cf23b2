"""Attempts that were recorded as unknown and say later what they came to, in the enumeration of the law."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.definition import Definition
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded
from sagas.core.state import RunState
from sagas.core.vocabulary import AttemptKey, Verb
from tests.invariants import Watch

DEFINITE: tuple[Outcome, ...] = (
    Succeeded({"late": True}),
    Rejected(Error("no", "no")),
    Failed(Error("failed", "failed")),
)


def late_reports(watch: Watch, state: RunState, now: datetime) -> Iterator[m.TakeOrder]:
    """Whatever the attempts that ended unknown may say of themselves, each once."""
    for ((key, phase), number), edition in sorted(watch.unknown.items()):
        for outcome in DEFINITE:
            late = m.LateReport(AttemptKey(key.step, key.item, phase, number), edition, outcome)
            yield m.TakeOrder(state.inbox_done + 1, Verb.REPORT, "pay", now, step=str(key), late=late)


def moved_after_the_end(definition: Definition, watch: Watch, state: RunState, now: datetime) -> list[str]:
    """Return what is wrong with what late reports do to a run that has ended: they are kept, and that is all."""
    found = []
    for order in late_reports(watch, state, now):
        decision = decide(definition, state, order)
        if [type(event) for event in decision.events] != [m.LateReportReceived]:
            found.append(f"S1 a late report of {order.late} did more to a run that has ended than to be kept")
        same = all(
            getattr(decision.state, name) == getattr(state, name)
            for name in ("status", "steps", "open", "attention", "finished_at", "undo_done", "undo_total")
        )
        if not same:
            found.append(f"S1 a late report of {order.late} changed a run that has ended")
        watched = watch.copy()
        found += [sentence for event in decision.events for sentence in watched.see(event)]
    return found
