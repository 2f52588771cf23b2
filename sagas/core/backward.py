"""Backward: the turn, and compensations along the reversed order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sagas.core import items
from sagas.core import messages as m
from sagas.core.forward import is_asking, may_retry, schedule_retry
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, OutcomeKind, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.draft import Draft
    from sagas.core.state import RunState

COMPENSATION_FAILED = "compensation_failed"
DONE_UNDOING = frozenset({CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED})
UNDONE = DONE_UNDOING | {CompensationStatus.GIVEN_UP}
_NOT_TO_UNDO = frozenset({CompensationStatus.NONE, CompensationStatus.NOT_NEEDED})
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def turn_round_when_drained(draft: Draft) -> None:
    """Begin compensation once no action is in flight and nobody is asked about one."""
    state = draft.state
    if any(phase is not Phase.COMPENSATION for _, phase in state.open) or is_asking(draft):
        return
    by_name = draft.definition.by_name
    keys = happened(state, draft.definition)
    undo = tuple(key for key in keys if by_name[key.step].compensation is not None)
    not_needed = tuple(key for key in keys if by_name[key.step].compensation is None)
    draft.emit(m.TurnedRound(undo=undo, not_needed=not_needed))
    draft.undo_candidates.update(StepKey(key.step) for key in undo)


def happened(state: RunState, definition: Definition) -> list[StepKey]:
    """Return what happened or may have, in the order of starting: of a list, its items."""
    return sorted(
        (
            key
            for key, step in state.steps.items()
            if step.status in {StepStatus.SUCCEEDED, StepStatus.IN_DOUBT} and not state.is_list(key)
        ),
        key=lambda key: (state.step(key).started_at or _LONG_AGO, definition.rank[key.step], key.item),
    )


def start_ready(draft: Draft) -> None:
    """Start every compensation that nothing is left to be undone before, newest step first."""
    rank = draft.definition.rank
    for key in sorted(draft.undo_candidates, key=lambda one: (-rank[one.step], -one.item)):
        if draft.state.is_list(key):
            _start_items(draft, key)
            continue
        is_pending = draft.step(key).compensation_status is CompensationStatus.PENDING
        has_room = key.item == NO_ITEM or items.has_room_to_undo(draft, key.step)
        if is_pending and has_room and not _is_held(draft, key):
            start(draft, key)


def _start_items(draft: Draft, key: StepKey) -> None:
    """Start the compensations of a list while there is room for more, the last item first."""
    if draft.state.lists[key.step].is_undo_waiting and not _is_held(draft, key):
        while (item := items.next_to_undo(draft, key.step)) is not None:
            start(draft, item)


def _is_held(draft: Draft, key: StepKey) -> bool:
    """Whether something that depended on `key` still has to be undone first.

    A list with a failed compensation and some that wait is under way again by
    now: whoever asks comes after it in the order of starting.
    """
    return any(
        not (
            draft.step(other).compensation_status in UNDONE
            or (
                draft.step(other).compensation_status is CompensationStatus.FAILED
                and not draft.definition.stops_on_compensation_failure
            )
        )
        for other in _nearest(draft, key, draft.definition.successors)
    )


def _nearest(draft: Draft, key: StepKey, arrows: dict[str, tuple[str, ...]]) -> list[StepKey]:
    """Follow `arrows` from `key` to the first steps on each way that have something to undo.

    To all of them when a failed compensation does not hold the others: one that
    was passed over may be retried later, behind one that is done.
    """
    goes_on = not draft.definition.stops_on_compensation_failure
    found: list[StepKey] = []
    seen: set[str] = set()
    todo = list(arrows[key.step])
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        other = StepKey(name)
        has_nothing = draft.step(other).compensation_status in _NOT_TO_UNDO
        if not has_nothing:
            found.append(other)
        if has_nothing or goes_on:
            todo.extend(arrows[name])
    return found


def start(draft: Draft, key: StepKey) -> None:
    """Start an attempt of the compensation; it fails when its input has no value."""
    error = draft.start_attempt(key, Phase.COMPENSATION)
    if error is not None:
        fail(draft, key, OutcomeKind.FAILED, error)


def after_attempt(draft: Draft, key: StepKey, outcome: Outcome) -> None:
    """Decide what follows from an attempt of a compensation."""
    match outcome:
        case Succeeded():
            consider_earlier(draft, key)
        case Rejected():
            fail(draft, key, OutcomeKind.REJECTED, outcome.error)
        case Failed() | Unknown():
            policy = draft.half_of(key, Phase.COMPENSATION).retry
            if may_retry(policy, draft.step(key).compensation, outcome):
                schedule_retry(draft, key, Phase.COMPENSATION, policy, outcome)
            else:
                fail(draft, key, outcome.kind, outcome.error)


def fail(draft: Draft, key: StepKey, outcome: OutcomeKind, error: Error) -> None:
    """The compensation gave up: a person must decide; what it held may go on if the saga says so."""
    draft.emit(
        m.CompensationFailed(step=key.step, item=key.item, outcome=outcome, code=error.code, message=error.message)
    )
    draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.COMPENSATION, code=COMPENSATION_FAILED))
    if not draft.definition.stops_on_compensation_failure:
        consider_earlier(draft, key)


def consider_earlier(draft: Draft, key: StepKey) -> None:
    """Nothing is left to undo of `key`: see whether what came before it can be undone now, or the next item."""
    if key.item != NO_ITEM:
        draft.undo_candidates.add(StepKey(key.step))
    draft.undo_candidates.update(_nearest(draft, key, draft.definition.predecessors))


def is_overtaken(definition: Definition, state: RunState, key: StepKey) -> bool:
    """Whether something that `key` depended on is being undone right now, after `key` was passed over."""
    open_steps = {other.step for other, phase in state.open if phase is Phase.COMPENSATION}
    seen: set[str] = set()
    todo = list(definition.predecessors[key.step])
    while todo:
        name = todo.pop()
        if name in open_steps:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(definition.predecessors[name])
    return False


def end_when_done(draft: Draft) -> None:
    """End the run when every compensation that was needed is done."""
    state = draft.state
    if state.undo_done != state.undo_total or state.attention:
        return
    stays = tuple(
        key
        for key, step in sorted(state.steps.items())
        if step.compensation_status is CompensationStatus.GIVEN_UP and not state.is_list(key)
    )
    draft.emit(m.RunPartiallyCompensated(stays=stays) if stays else m.RunCompensated())
