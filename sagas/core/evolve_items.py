"""The part of `evolve` that is about the items of a `for_each` step, and what they come to together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sagas.core import messages as m
from sagas.core.list_state import ListState
from sagas.core.state import RunState, StepState
from sagas.core.vocabulary import CompensationStatus, Direction, StepKey, StepStatus

_BROKEN = frozenset({StepStatus.FAILED, StepStatus.IN_DOUBT})
_HAPPENED = frozenset({StepStatus.SUCCEEDED, StepStatus.IN_DOUBT})


def items_listed(state: RunState, event: m.ItemsListed, at: datetime) -> None:
    """The list is known: the step as a whole is under way from here to the join."""
    key = StepKey(event.step)
    step = state.step(key)
    action = replace(step.action, has_input=True, input=event.items, items_total=len(event.items), started_at=at)
    state.steps[key] = replace(
        step,
        status=StepStatus.RUNNING,
        action=action,
        error=None,
        started_at=step.started_at or at,
        ended_at=None,
    )
    state.lists[event.step] = ListState(len(event.items))
    state.started_at = state.started_at or at


def items_joined(state: RunState, event: m.ItemsJoined, at: datetime) -> None:
    """No item is under way any more: the step as a whole has the status of all of them together."""
    key = StepKey(event.step)
    has_succeeded = event.status is StepStatus.SUCCEEDED
    state.steps[key] = replace(
        state.step(key),
        status=event.status,
        output=outputs_of(state, event.step) if has_succeeded else None,
        error=None if has_succeeded else {"code": event.code, "message": event.message},
        ended_at=at,
    )
    state.steps_done += has_succeeded


def outputs_of(state: RunState, step: str) -> list[Any]:
    """Return the outputs of all items in the order of the list; null where an item was skipped without one."""
    return [state.step(StepKey(step, number)).output for number in range(state.lists[step].total)]


def advance_item(state: RunState, event: Any, at: datetime, apply: Callable[[RunState, Any, datetime], None]) -> None:
    """Apply an event that names an item: it counts for its list, and never as a step of the run."""
    key = StepKey(event.step, event.item)
    before, steps_done = state.step(key), state.steps_done
    apply(state, event, at)
    state.steps_done = steps_done
    after = state.step(key)
    if after is not before and key.step in state.lists:
        _count(state, key, before, after)


def _count(state: RunState, key: StepKey, before: StepState, after: StepState) -> None:
    known = state.lists[key.step]
    if before.status is not after.status:
        if before.status is not StepStatus.PENDING:
            known.actions[before.status] -= 1
        known.actions[after.status] += 1
        while known.next < known.total and _item(state, key, known.next).status is not StepStatus.PENDING:
            known.next += 1
        if before.status in _BROKEN or before.status is StepStatus.PENDING:
            _go_on(state, key.step)
    if before.compensation_status is not after.compensation_status:
        if before.compensation_status is not CompensationStatus.NONE:
            known.compensations[before.compensation_status] -= 1
        known.compensations[after.compensation_status] += 1
        if after.compensation_status is CompensationStatus.PENDING:
            known.undo_next = max(known.undo_next, key.item)
        while known.undo_next >= 0 and not _is_undo_pending(_item(state, key, known.undo_next)):
            known.undo_next -= 1
        _join_undo(state, key.step)


def _item(state: RunState, key: StepKey, number: int) -> StepState:
    return state.step(StepKey(key.step, number))


def _is_undo_pending(item: StepState) -> bool:
    return item.compensation_status is CompensationStatus.PENDING


def _go_on(state: RunState, step: str) -> None:
    """An item begins, or a person has moved one on: the whole is under way again until the next join."""
    key = StepKey(step)
    whole = state.step(key)
    if whole.status in _BROKEN and state.direction is Direction.FORWARD and not state.is_turning:
        state.steps[key] = replace(whole, status=StepStatus.RUNNING, error=None, ended_at=None)


def _join_undo(state: RunState, step: str) -> None:
    key = StepKey(step)
    whole = state.step(key)
    status = state.lists[step].compensation_status
    if whole.compensation_status is not status:
        state.steps[key] = replace(whole, compensation_status=status)


def turn_lists(state: RunState) -> None:
    """The run has turned round: count what is to be undone of each list."""
    for step, known in state.lists.items():
        state.lists[step] = ListState.of(step, known.total, state.steps)
        _join_undo(state, step)
        whole = state.step(StepKey(step))
        if whole.compensation_status is CompensationStatus.NONE and whole.status in _HAPPENED:  # an empty list
            state.steps[StepKey(step)] = replace(whole, compensation_status=CompensationStatus.NOT_NEEDED)
