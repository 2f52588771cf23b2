"""What sub-sagas say of their end, and whether the law heard it right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sagas.core import messages as m
from sagas.core.definition import Definition
from sagas.core.state import RunState
from sagas.core.vocabulary import OutcomeKind, Phase, RunStatus, Verb, WaitingFor

MEANS = {  # the end of a child, and what it says of the attempt: to do something, to undo it
    RunStatus.COMPLETED: (OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED),
    RunStatus.COMPENSATED: (OutcomeKind.REJECTED, OutcomeKind.SUCCEEDED),
    RunStatus.PARTIALLY_COMPENSATED: (OutcomeKind.UNKNOWN, OutcomeKind.REJECTED),
    RunStatus.TERMINATED: (OutcomeKind.UNKNOWN, OutcomeKind.REJECTED),
}


def reports(state: RunState, now: datetime) -> Iterator[m.TakeOrder]:
    """What a sub-saga may say of its end, once somebody has it in hand."""
    for key, phase in sorted(state.open):
        if state.step(key).half(phase).waits_for is WaitingFor.CHILD:
            ends = [m.ChildEnd("c1", status) for status in RunStatus if status.is_final]
            ends.append(m.ChildEnd("c1", RunStatus.COMPLETED, {"sent": True}, is_past_pivot=True))
            for end in ends:
                yield m.TakeOrder(state.inbox_done + 1, Verb.REPORT, "run c1", now, step=str(key), child=end)


def misheard(definition: Definition, command: m.Command, events: Iterable[m.Event]) -> list[str]:
    """Return what is wrong with the entries that followed from the report of a sub-saga."""
    end = command.child if isinstance(command, m.TakeOrder) else None
    if end is None:
        return []
    found = []
    for event in events:
        if isinstance(event, m.AttemptEnded):
            is_undo = event.phase is Phase.COMPENSATION
            if event.outcome is not MEANS[end.status][is_undo]:
                found.append(f"S2 a child that ended {end.status} was heard as {event.outcome}")
            is_pivot = not is_undo and event.outcome is OutcomeKind.SUCCEEDED and end.is_past_pivot
            if event.passes_pivot != (is_pivot or definition.by_name[event.step].is_pivot):
                found.append("S6 the pivot of a child was not heard, or heard where there was none")
    return found
