"""Forward: starting steps, joining the outcomes of their attempts, turning round."""

from __future__ import annotations

from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from sagas.core import items, probing, reactions, waiting
from sagas.core import messages as m
from sagas.core.expressions import ExpressionError
from sagas.core.outcome import (
    CODE_MISSING,
    EXPRESSION_ERROR,
    Error,
    Failed,
    Outcome,
    Rejected,
    Succeeded,
    Unknown,
)
from sagas.core.problem import found_text
from sagas.core.retry import LOST_IN_A_ROW_MAX, RETRY_AFTER_S_MAX, is_spent, wait_s
from sagas.core.scope import Scope
from sagas.core.vocabulary import Direction, OutcomeKind, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.definition import RetryPolicy
    from sagas.core.draft import Draft
    from sagas.core.state import HalfState

OUTCOME_UNKNOWN = "outcome_unknown"
PAST_PIVOT = "failed_past_pivot"


def start_ready(draft: Draft) -> None:
    """Start every candidate whose predecessors are all satisfied; a skipped one makes way for those after it."""
    definition = draft.definition
    waiting = draft.candidates | set(items.under_way(draft.state))
    todo = [(definition.rank[name], name) for name in waiting]
    heapify(todo)
    while todo and not draft.state.is_turning:
        _, name = heappop(todo)
        waiting.discard(name)
        key = StepKey(name)
        if draft.step(key).status is StepStatus.PENDING and all(
            _is_satisfied(draft, one) for one in definition.by_name[name].after
        ):
            _begin(draft, key)
        if draft.state.is_list(key):
            _go_on(draft, name)
        if draft.step(key).status is StepStatus.SKIPPED or draft.state.is_list(key):
            for following in definition.successors[name]:
                if following not in waiting:
                    waiting.add(following)
                    heappush(todo, (definition.rank[following], following))


def _go_on(draft: Draft, name: str) -> None:
    """Start items while there is room for more, and end the list when the last one has ended."""
    while not draft.state.is_turning and (key := items.next_to_start(draft, name)) is not None:
        start(draft, key)
    if not draft.state.is_turning:
        items.join(draft, name)


def _begin(draft: Draft, key: StepKey) -> None:
    """Start a step for the first time, unless its condition says to go on without it."""
    when = draft.definition.by_name[key.step].when
    if when is None:
        start(draft, key)
        return
    try:
        value = when.render(draft.scope(key, Phase.ACTION))
    except ExpressionError as error:
        fail(draft, key, OutcomeKind.FAILED, Error(EXPRESSION_ERROR, f"`when`: {error}"))
        return
    if value is True:
        start(draft, key)
    elif value is False:
        draft.emit(m.StepSkipped(step=key.step, item=key.item, is_condition=True))
    else:
        message = f"`when` must be true or false; it is {found_text(value)}."
        fail(draft, key, OutcomeKind.FAILED, Error(EXPRESSION_ERROR, message))


def _is_satisfied(draft: Draft, name: str) -> bool:
    """Whether nothing has to be waited for any more: a step that was skipped early passes on what it waited for."""
    todo, seen = [name], {name}
    while todo:
        one = todo.pop()
        status = draft.step(StepKey(one)).status
        if status is StepStatus.SKIPPED:
            before = [other for other in draft.definition.by_name[one].after if other not in seen]
            todo += before
            seen.update(before)
        elif status is not StepStatus.SUCCEEDED:
            return False
    return True


def start(draft: Draft, key: StepKey) -> None:
    """Start an attempt of the action, or to wait, or make the list; a definite failure when that has no value."""
    wait = draft.definition.by_name[key.step].wait
    if items.is_whole(draft.definition, key):
        error = items.list_up(draft, key)
    else:
        error = draft.start_attempt(key, Phase.ACTION) if wait is None else waiting.start(draft, key, wait)
    if error is not None:
        fail(draft, key, OutcomeKind.FAILED, error)


def after_attempt(draft: Draft, key: StepKey, outcome: Outcome, *, was_unsettled: bool) -> None:
    """Decide what follows from an attempt of an action: the next step, a retry, or the step's end."""
    match outcome:
        case Succeeded():
            after_success(draft, key)
        case Rejected() if was_unsettled and not outcome.is_explicit:
            doubt(draft, key, outcome.error)
        case Rejected():
            fail(draft, key, OutcomeKind.REJECTED, outcome.error)
        case Unknown() if probing.may_ask(draft, key):
            probing.ask(draft, key)
        case Failed() | Unknown():
            retry_or_end(draft, key, outcome)


def retry_or_end(draft: Draft, key: StepKey, outcome: Failed | Unknown) -> None:
    """The action is tried again by its policy, but not while attempts are drained; else the step ends."""
    policy = draft.half_of(key, Phase.ACTION).retry
    step = draft.step(key)
    is_over = step.losses >= LOST_IN_A_ROW_MAX or step.action.late is OutcomeKind.REJECTED
    if draft.state.is_turning or is_over or not may_retry(policy, step.action, outcome):
        end_by_join(draft, key, outcome.error)
    else:
        schedule_retry(draft, key, Phase.ACTION, policy, outcome)


def after_success(draft: Draft, key: StepKey) -> None:
    """The action happened: consider what follows it; a turn that was asked for is dropped when it was the pivot."""
    if draft.definition.choreography is not None:
        reactions.succeeded(draft, key)
        return
    draft.candidates.update(draft.definition.successors[key.step])
    if draft.state.is_past_pivot and draft.state.is_turning:
        draft.emit(m.TurnDropped(step=key.step))
        draft.candidates.update(draft.definition.by_name)
        _ask_about_failures(draft)


def _ask_about_failures(draft: Draft) -> None:
    """There is no way back any more: what failed beside a sub-saga that passed its pivot needs a person."""
    asked = {one.key for one in draft.state.attention if one.phase is Phase.ACTION}
    for key, step in sorted(draft.state.steps.items()):
        if key in asked or draft.state.is_list(key) or step.status not in {StepStatus.FAILED, StepStatus.IN_DOUBT}:
            continue
        code = PAST_PIVOT if step.status is StepStatus.FAILED else OUTCOME_UNKNOWN
        draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=code))


def may_retry(policy: RetryPolicy, half: HalfState, outcome: Failed | Unknown) -> bool:
    """Whether the half is tried again by itself after `outcome`."""
    if isinstance(outcome, Failed) and not outcome.is_retriable:
        return False
    return not is_spent(policy, half.counted) and half.lost_in_a_row < LOST_IN_A_ROW_MAX


def schedule_retry(draft: Draft, key: StepKey, phase: Phase, policy: RetryPolicy, outcome: Failed | Unknown) -> None:
    """Write down when the next attempt is due; after one that does not count, at once or as that one asks."""
    half = draft.step(key).half(phase)
    wait = min(outcome.retry_after_s or 0.0, RETRY_AFTER_S_MAX)
    if outcome.is_counted:
        wait = wait_s(policy, half.counted, dice=draft.dice, retry_after_s=outcome.retry_after_s)
    draft.emit(m.RetryScheduled(step=key.step, item=key.item, phase=phase, at=draft.now + timedelta(seconds=wait)))


def end_by_join(draft: Draft, key: StepKey, error: Error) -> None:
    """End the step by what all its attempts say together."""
    if draft.step(key).action.is_unsettled:
        doubt(draft, key, error)
    else:
        fail(draft, key, OutcomeKind.FAILED, error)


def fail(draft: Draft, key: StepKey, outcome: OutcomeKind, error: Error) -> None:
    """The action ended in a definite failure."""
    if draft.definition.choreography is not None:
        reactions.failed(draft, key, outcome, error)
        return
    draft.emit(m.StepFailed(step=key.step, item=key.item, outcome=outcome, code=error.code, message=error.message))
    if draft.state.is_past_pivot:
        draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=PAST_PIVOT))
    elif error.code in CODE_MISSING and not draft.state.is_turning:
        # code that is missing is no reason to undo what was done: a person puts it back, or turns the run round
        draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=error.code))
    else:
        _request_turn(draft, "step_failed", key, outcome, error)


def doubt(draft: Draft, key: StepKey, error: Error) -> None:
    """Nobody can say whether the action happened."""
    draft.emit(m.StepInDoubt(step=key.step, item=key.item, code=error.code, message=error.message))
    must_ask = draft.definition.by_name[key.step].is_pivot or draft.state.is_past_pivot
    is_code_missing = error.code in CODE_MISSING and not draft.state.is_turning
    must_ask |= draft.definition.choreography is not None
    if must_ask or is_code_missing or draft.definition.asks_when_in_doubt:
        draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=OUTCOME_UNKNOWN))
    else:
        _request_turn(draft, "in_doubt", key, OutcomeKind.UNKNOWN, error)


def _request_turn(draft: Draft, cause: str, key: StepKey, outcome: OutcomeKind, error: Error) -> None:
    if draft.state.is_turning:
        return
    draft.emit(
        m.TurnRequested(
            cause=cause, step=key.step, item=key.item, outcome=str(outcome), code=error.code, message=error.message
        )
    )
    drain(draft)


def drain(draft: Draft) -> None:
    """A turn was asked for: a wait ends, a pending retry ends its step by the join, missing code is missed no more."""
    for one in draft.state.attention:
        if one.code in CODE_MISSING:
            draft.emit(m.AttentionCleared(step=one.step, item=one.item, phase=one.phase))
    for key, phase in sorted(draft.state.open):
        half = draft.step(key).half(phase)
        if half.is_wait:
            waiting.leave_out(draft, key, "turn")
        elif phase is Phase.ACTION and not half.is_out:
            last = draft.step(key).error or {}
            end_by_join(draft, key, Error(last.get("code", ""), last.get("message", "")))


def is_asking(draft: Draft) -> bool:
    """Whether a person has yet to say what became of an action: a turn waits for that."""
    return any(one.phase is Phase.ACTION and one.code == OUTCOME_UNKNOWN for one in draft.state.attention)


def turn_at_deadline(draft: Draft) -> None:
    """Turn round when the deadline went by before the pivot; after it, it only shows as overdue."""
    state = draft.state
    if not state.is_overdue or state.direction is Direction.BACKWARD or state.is_turning or state.is_past_pivot:
        return
    if not is_asking(draft):
        draft.emit(m.TurnRequested(cause="deadline", message="the deadline of the run went by"))
        drain(draft)


def complete_when_done(draft: Draft) -> None:
    """End the run when every step is satisfied."""
    state = draft.state
    if state.steps_done < len(draft.definition.steps) or state.attention or state.is_turning:
        return
    template = draft.definition.output
    if template is None:
        draft.emit(m.RunCompleted())
        return
    try:
        draft.emit(m.RunCompleted(output=template.render(Scope(draft.definition, state))))
    except ExpressionError as error:  # all work is done and stays done; only its summary is missing
        draft.emit(m.RunCompleted(output_error=f"{EXPRESSION_ERROR}: {error}"))
