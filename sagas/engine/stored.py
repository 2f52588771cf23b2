"""Between the state of the law and the rows of the tables."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sagas.core import messages as m
from sagas.core.codec import decode_half, decode_reacting, encode_half, encode_reacting
from sagas.core.due import waiting_for
from sagas.core.forward import OUTCOME_UNKNOWN
from sagas.core.late_codec import decode_late
from sagas.core.limits import COMPILED_KEPT_MAX
from sagas.core.list_state import ListState
from sagas.core.state import UNTRIED, Attention, RunState, Signal, StepState
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    OutcomeKind,
    Phase,
    RunStatus,
    StepKey,
    StepStatus,
    Verb,
)
from sagas.core.watch import decode_watch, encode_watch
from sagas.models import Order, SagaRun, SagaVersion, StepRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

logger = logging.getLogger(__name__)

_ACTIVE = frozenset({StepStatus.RUNNING, StepStatus.WAITING, StepStatus.RETRYING})
_UNDOING = frozenset({CompensationStatus.RUNNING, CompensationStatus.WAITING, CompensationStatus.RETRYING})


def attach_versions(runs: Iterable[SagaRun]) -> None:
    """Give each run its version and its saga as if they had been selected with it: they never change."""
    for run in runs:
        run.version = _version(run.version_id)
        run.saga = run.version.saga


@lru_cache(maxsize=COMPILED_KEPT_MAX)
def _version(version_id: UUID) -> SagaVersion:
    return SagaVersion.objects.select_related("saga").defer("source", "document").get(id=version_id)


def load(runs: Sequence[SagaRun]) -> dict[UUID, RunState]:
    """Return the stored state of each run that can be read; the others are logged.

    Rows must come with `saga` and `version` selected.
    """
    steps: dict[UUID, list[StepRun]] = defaultdict(list)
    touched = [run.id for run in runs if run.started_at is not None]
    if touched:
        for row in StepRun.objects.filter(run_id__in=touched).order_by("id"):
            steps[row.run_id].append(row)
    states: dict[UUID, RunState] = {}
    for run in runs:
        try:
            states[run.id] = _run_state(run, steps[run.id])
        except Exception:  # rows written by other hands or other code; one run's trouble is not the others'
            logger.exception("What is stored of run %s cannot be read", run.id)
    return states


def load_one(run: SagaRun) -> RunState:
    """Return the stored state of one run, selected as for `load`.

    Raises:
        ValueError, KeyError, TypeError: the rows were written by other hands or other code.
    """
    return _run_state(run, list(StepRun.objects.filter(run=run).order_by("id")))


def _step_state(row: StepRun) -> StepState:
    halves = row.halves
    return StepState(
        status=StepStatus(row.status),
        compensation_status=CompensationStatus(row.compensation_status),
        action=decode_half(halves.get("action", {})),
        compensation=decode_half(halves.get("compensation", {})),
        probe=decode_half(halves.get("probe", {})),
        output=row.output,
        error=row.error,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reacting=decode_reacting(halves["reacting"]) if "reacting" in halves else None,
    )


def _lists(steps: dict[StepKey, StepState]) -> dict[str, ListState]:
    """Count the items of each list, and put the outputs of one that is done together: the rows hold each once."""
    lists: dict[str, ListState] = {}
    for key, whole in list(steps.items()):
        if key.item != NO_ITEM or whole.action.items_total is None:
            continue
        lists[key.step] = ListState.of(key.step, whole.action.items_total, steps)
        if whole.status is StepStatus.SUCCEEDED:
            items = (steps.get(StepKey(key.step, number)) for number in range(whole.action.items_total))
            steps[key] = replace(whole, output=[None if item is None else item.output for item in items])
    return lists


def _run_state(run: SagaRun, rows: Sequence[StepRun]) -> RunState:
    steps = {StepKey(row.step, row.item): _step_state(row) for row in rows}
    lists = _lists(steps)
    is_open = {
        (key, Phase.PROBE if step.is_probing else Phase.ACTION) for key, step in steps.items() if step.status in _ACTIVE
    }
    is_open |= {(key, Phase.COMPENSATION) for key, step in steps.items() if step.compensation_status in _UNDOING}
    is_open -= {(StepKey(name), phase) for name in lists for phase in (Phase.ACTION, Phase.COMPENSATION)}
    return RunState(
        run=str(run.id),
        saga=run.saga.name,
        version=run.version.number,
        status=RunStatus(run.status),
        direction=Direction(run.direction),
        is_turning=run.is_turning,
        is_past_pivot=run.is_past_pivot,
        is_overdue=run.is_overdue,
        is_hanging=run.is_hanging,
        is_paused=run.is_paused,
        input=run.input,
        output=run.output,
        key=run.key,
        labels=run.labels,
        amount=run.amount,
        created_by=run.created_by,
        parent="" if run.parent_id is None else str(run.parent_id),
        parent_step=run.parent_step,
        depth=run.depth,
        reason=run.reason,
        steps=steps,
        open=is_open,
        lists=lists,
        attention=tuple(
            Attention(one["step"], Phase(one["phase"]), one["code"], one["item"], one.get("message", ""))
            for one in run.attention
        ),
        signals=tuple(Signal(**one) for one in run.signals),
        steps_total=run.steps_total,
        steps_done=run.steps_done,
        undo_total=run.undo_total,
        undo_done=run.undo_done,
        sequence=run.sequence,
        revision=run.revision - (run.inbox_last - run.inbox_done),
        inbox_done=run.inbox_done,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        deadline_at=run.deadline_at,
        watch=decode_watch(run.watch),
        to_react=_to_react(run, steps) if run.watch is not None and run.finished_at is None else (),
    )


def _to_react(run: SagaRun, steps: dict[StepKey, StepState]) -> tuple[StepKey, ...]:
    """Return the reactions that are to begin, in the order of their events; those that wait for a person are not."""
    held = {(one["step"], one["item"]) for one in run.attention}
    return tuple(
        key
        for key, step in steps.items()
        if step.reacting is not None and step.status is StepStatus.PENDING and key not in held
    )


def load_orders(run_ids: Sequence[UUID], after: dict[UUID, int]) -> dict[UUID, list[Order]]:
    """Return the orders of each run numbered above `after[run]`, in their order."""
    found: dict[UUID, list[Order]] = defaultdict(list)
    for order in Order.objects.filter(run_id__in=run_ids).order_by("run_id", "number"):
        if order.number > after[order.run_id]:
            found[order.run_id].append(order)
    return found


def as_command(order: Order, now: datetime, dice: float = 0.5) -> m.TakeOrder:
    """Return the command of a stored order."""
    return m.TakeOrder(
        number=order.number,
        verb=Verb(order.verb),
        by=order.by,
        now=now,
        reason=order.reason,
        step=order.details.get("step"),
        arguments=order.details.get("with"),
        has_arguments="with" in order.details,
        phase=Phase(order.details.get("phase", Phase.ACTION)),
        outcome=OutcomeKind(order.details.get("outcome", OutcomeKind.SUCCEEDED)),
        output=order.details.get("output"),
        reference=order.details.get("reference", ""),
        signal=order.details.get("signal", ""),
        child=_child_end(order.details.get("child")),
        late=decode_late(order.details["late"]) if "late" in order.details else None,
        dice=dice,
    )


def _child_end(said: dict[str, Any] | None) -> m.ChildEnd | None:
    return None if said is None else m.ChildEnd(**{**said, "status": RunStatus(said["status"])})


def run_columns(before: RunState, after: RunState) -> dict[str, Any]:
    """Return what the fenced UPDATE sets of a run, and `was` and `revised`, which it compares and adds."""
    orders_consumed = after.inbox_done - before.inbox_done
    waits = waiting_for(after)
    return {
        "was": before.sequence,
        "revised": after.revision - before.revision - orders_consumed,
        "status": str(after.status),
        "direction": str(after.direction),
        "is_turning": after.is_turning,
        "is_past_pivot": after.is_past_pivot,
        "is_overdue": after.is_overdue,
        "is_hanging": after.is_hanging,
        "is_paused": after.is_paused,
        "is_outcome_unknown": any(one.code == OUTCOME_UNKNOWN for one in after.attention),
        "waiting_for": str(waits) if waits else "",
        "attention": [
            {"step": one.step, "item": one.item, "phase": str(one.phase), "code": one.code}
            | ({"message": one.message} if one.message else {})
            for one in after.attention
        ],
        "signals": [{"name": one.name, "payload": one.payload, "by": one.by} for one in after.signals],
        "reason": after.reason,
        "output": after.output,
        "sequence": after.sequence,
        "steps_done": after.steps_done,
        "undo_total": after.undo_total,
        "undo_done": after.undo_done,
        "current_step": _current_step(after),
        "inbox_done": after.inbox_done,
        "started_at": after.started_at,
        "finished_at": after.finished_at,
        "watch": encode_watch(after.watch),
    }


def _current_step(state: RunState) -> str:
    if state.open:
        return str(min(state.open)[0])
    if state.attention:
        return str(state.attention[0].key)
    return str((state.reason or {}).get("step", ""))


def step_columns(key: StepKey, step: StepState) -> dict[str, Any]:
    """Return the whole row of one step run, but for its run. The output of a list is in the rows of its items."""
    is_in_items = step.action.items_total is not None and step.status is StepStatus.SUCCEEDED
    known = {"action": step.action, "compensation": step.compensation, "probe": step.probe}
    halves = {name: data for name, half in known.items() if half is not UNTRIED and (data := encode_half(half))}
    if step.reacting is not None:
        halves["reacting"] = encode_reacting(step.reacting)
    return {
        "step": key.step,
        "item": key.item,
        "status": str(step.status),
        "compensation_status": str(step.compensation_status),
        "waits_for": str(step.action.waits_for or ""),
        "attempts": step.action.number,
        "compensation_attempts": step.compensation.number,
        "output": None if is_in_items else step.output,
        "error": step.error,
        "halves": halves,
        "next_attempt_at": step.action.due_at or step.compensation.due_at or step.probe.due_at,
        "started_at": step.started_at,
        "ended_at": step.ended_at,
    }


def touched_steps(events: Iterable[m.Event], before: RunState, after: RunState) -> set[StepKey]:
    """Return the step runs that `events` changed; of a list as a whole only when it is not what it was `before`."""
    wholes = map(StepKey, after.lists)
    keys: set[StepKey] = {key for key in wholes if after.step(key) is not before.step(key)}
    for event in events:
        match event:
            case m.TurnedRound() | m.UndoExpected():
                keys.update(event.undo, event.not_needed)
            case m.EventReceived():
                keys.update(event.keys)
            case m.TurnRequested() | m.TurnDropped():  # callbacks are waited for less long, or as long as before
                keys.update(key for key, _ in before.open if after.step(key) is not before.step(key))
            case (
                m.AttemptStarted()
                | m.AttemptAccepted()
                | m.AttemptEnded()
                | m.RetryScheduled()
                | m.WaitStarted()
                | m.WaitEnded()
                | m.StepFailed()
                | m.StepInDoubt()
                | m.CompensationFailed()
                | m.EditionStarted()
                | m.StepSettled()
                | m.StepSkipped()
                | m.CompensationSettled()
                | m.CompensationGivenUp()
                | m.LateReportReceived()
                | m.ReactionUndone()
                | m.ReactionOverdue()
            ):
                keys.add(StepKey(event.step, event.item))
    return keys
