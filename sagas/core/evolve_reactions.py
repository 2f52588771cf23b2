"""The part of `evolve` that is about choreographed runs: events, reactions to them, and what undoes what."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sagas.core import messages as m
from sagas.core.state import RunState, StepState
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, Direction, StepKey
from sagas.core.watch import Reacting, Watch


def event_received(state: RunState, event: m.EventReceived, at: datetime) -> None:
    """An event came, and reactions to it begin."""
    watch = state.watch or Watch()
    begun = dict(watch.begun)
    for key, undoes, within_s in zip(event.keys, event.undoes, event.within_s, strict=True):
        begun[key.step] = begun.get(key.step, 0) + 1
        late_at = at + timedelta(seconds=within_s) if within_s else None
        state.steps[key] = StepState(reacting=Reacting(event.event, undoes, late_at))
    if not event.is_held:
        state.to_react = (*state.to_react, *event.keys)
    state.watch = watch.after(
        received=watch.received + 1,
        late=watch.late + event.is_late,
        is_completed=watch.is_completed or event.completes,
        is_compensated=watch.is_compensated or event.compensates,
        begun=begun,
        kept=watch.keeping(event.event) if event.is_kept else watch.kept,
    )
    if event.order:
        state.inbox_done = event.order
    state.started_at = state.started_at or at


def event_claimed(state: RunState, event: m.EventClaimed, _at: datetime) -> None:
    """An event that was kept has found the reaction that it answers."""
    if state.watch is not None:
        state.watch = state.watch.after(kept=state.watch.without(event.id))


def undo_expected(state: RunState, event: m.UndoExpected, _at: datetime) -> None:
    """What was done is to be undone."""
    for keys, status in ((event.undo, CompensationStatus.PENDING), (event.not_needed, CompensationStatus.NOT_NEEDED)):
        for key in keys:
            state.steps[key] = replace(state.step(key), compensation_status=status)
    state.direction = Direction.BACKWARD
    state.undo_total += len(event.undo)
    if event.is_turn:
        state.reason = {"cause": "event", "code": event.type}
        if event.emitter:
            state.reason["step"] = event.emitter


def reaction_undone(state: RunState, event: m.ReactionUndone, at: datetime) -> None:
    """A reaction is undone."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    state.steps[key] = replace(step, compensation_status=CompensationStatus.SUCCEEDED, ended_at=step.ended_at or at)
    state.undo_done += 1
    watch = state.watch
    if watch is not None and event.step in watch.undone_first:
        place = watch.undone_first.index(event.step)
        state.watch = watch.after(undone_first=watch.undone_first[:place] + watch.undone_first[place + 1 :])


def undo_came_first(state: RunState, event: m.UndoCameFirst, _at: datetime) -> None:
    """An undo waits for what it undid to be seen."""
    if state.watch is not None:
        state.watch = state.watch.after(undone_first=(*state.watch.undone_first, event.reaction))


def reaction_overdue(state: RunState, event: m.ReactionOverdue, _at: datetime) -> None:
    """A reaction takes longer than usual."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    if step.reacting is not None:
        state.steps[key] = replace(step, reacting=replace(step.reacting, is_late=True))


def begun(state: RunState, key: StepKey) -> None:
    """A step is under way, or over: it need not be begun any more."""
    if state.to_react:
        state.to_react = tuple(one for one in state.to_react if one != key)


def instance(reaction: str, times_before: int) -> StepKey:
    """Return the step run of the next time that a reaction is done: the first one has no number.

    >>> instance("ship", 0), instance("ship", 1)
    (StepKey(step='ship', item=-1), StepKey(step='ship', item=1))
    """
    return StepKey(reaction, times_before or NO_ITEM)
