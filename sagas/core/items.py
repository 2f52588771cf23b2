"""The items of a `for_each` step: making the list, which one is next, and what they come to together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.expressions import ExpressionError
from sagas.core.limits import ITEMS_MAX
from sagas.core.outcome import EXPRESSION_ERROR, Error
from sagas.core.problem import found_text
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, Direction, Json, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.draft import Draft
    from sagas.core.list_state import ListState
    from sagas.core.state import RunState

NOT_FINISHED = "not_finished"  # the run turned or ended before every item was begun
_LEFT_TO_DO = frozenset({StepStatus.RUNNING, StepStatus.FAILED, StepStatus.IN_DOUBT})


def is_whole(definition: Definition, key: StepKey) -> bool:
    """Whether `key` is a step under `for_each` as a whole: what is carried out are its items."""
    return key.item == NO_ITEM and definition.by_name[key.step].for_each is not None


def names_of(state: RunState, key: StepKey) -> dict[str, Json]:
    """Return what expressions of an item see beside all else."""
    listed = state.step(StepKey(key.step)).action.input
    return {"item": listed[key.item], "index": key.item}


# ---- forward ---------------------------------------------------------------


def list_up(draft: Draft, key: StepKey) -> Error | None:
    """Make the list, once; the error when there is none."""
    for_each = draft.definition.by_name[key.step].for_each
    if for_each is None:
        raise AssertionError(f"{key} is no list")
    try:
        value = for_each.render(draft.scope(key, Phase.ACTION))
    except ExpressionError as error:
        return Error(EXPRESSION_ERROR, f"`for_each`: {error}")
    if not isinstance(value, list):
        return Error(EXPRESSION_ERROR, f"`for_each` must give a list; it is {found_text(value)}.")
    if len(value) > ITEMS_MAX:
        return Error(EXPRESSION_ERROR, f"`for_each` gives {len(value)} items; at most {ITEMS_MAX} are allowed.")
    draft.emit(m.ItemsListed(step=key.step, items=value))
    return None


def under_way(state: RunState) -> list[str]:
    """Return the steps whose list is known and not worked off."""
    return [name for name in state.lists if state.step(StepKey(name)).status in _LEFT_TO_DO]


def next_to_start(draft: Draft, name: str) -> StepKey | None:
    """Return the item that may start now: none while one has failed, or while as many as may be are under way.

    An item that needs a person keeps its place, so an order to retry never
    makes more of them run than `max_parallel`.
    """
    known = draft.state.lists[name]
    if known.next >= known.total or known.actions[StepStatus.FAILED]:
        return None
    if known.taken >= draft.definition.by_name[name].max_parallel:
        return None
    return StepKey(name, known.next)


def join(draft: Draft, name: str, *, is_over: bool = False) -> None:
    """End the step as a whole once no item is under way and none will start by itself.

    Args:
        draft: the decision.
        name: the step.
        is_over: no item starts any more, whatever becomes of those that did; then
            nothing is looked up in the definition, which nobody may be able to read.
    """
    known = draft.state.lists[name]
    if known.open:
        return
    found = _joined(draft, name, known, is_over=is_over)
    if found is None or draft.step(StepKey(name)).status is found[0]:
        return
    status, error = found
    draft.emit(
        m.ItemsJoined(
            step=name, status=status, done=known.done, total=known.total, code=error.code, message=error.message
        )
    )
    if status is StepStatus.SUCCEEDED and not is_over:
        draft.candidates.update(draft.definition.successors[name])


def _joined(draft: Draft, name: str, known: ListState, *, is_over: bool) -> tuple[StepStatus, Error] | None:
    """Return what the items come to: failed before in doubt before succeeded; None when more of them will start."""
    if known.actions[StepStatus.FAILED]:
        return StepStatus.FAILED, _first(draft.state, name, StepStatus.FAILED)
    has_begun_all = known.next >= known.total
    if known.actions[StepStatus.IN_DOUBT]:
        if is_over or has_begun_all or known.taken >= draft.definition.by_name[name].max_parallel:
            return StepStatus.IN_DOUBT, _first(draft.state, name, StepStatus.IN_DOUBT)
        return None
    if has_begun_all:
        return StepStatus.SUCCEEDED, Error("", "")
    if not is_over:
        return None
    message = f"The run stopped after {known.done} of {known.total} items."
    return StepStatus.FAILED, Error(NOT_FINISHED, message)


def _first(state: RunState, name: str, status: StepStatus) -> Error:
    """Return the error of the first item with this status, with its number."""
    count = state.lists[name].actions[status]
    keys = (StepKey(name, number) for number in range(state.lists[name].total))
    key = next(key for key in keys if state.step(key).status is status)
    error = state.step(key).error or {}
    what = "failed" if status is StepStatus.FAILED else "is in doubt"
    more = f" ({count} items in all)" if count > 1 else ""
    return Error(error.get("code", ""), f"Item {key.item} {what}{more}: {error.get('message', '')}")


def join_all(draft: Draft, *, is_over: bool = False) -> None:
    """Join every list that has come to a stop; `is_over` also where the run itself goes on."""
    is_over = is_over or draft.state.is_turning or draft.state.direction is Direction.BACKWARD
    for name in under_way(draft.state):
        join(draft, name, is_over=is_over)


# ---- backward --------------------------------------------------------------


def next_to_undo(draft: Draft, name: str) -> StepKey | None:
    """Return the item whose compensation may start now, the last one first.

    None while as many as may be are under way; and none after one has failed,
    unless the saga goes on without it.
    """
    known = draft.state.lists[name]
    stops = draft.definition.stops_on_compensation_failure
    if known.undo_next < 0 or not has_room_to_undo(draft, name):
        return None
    if stops and known.compensations[CompensationStatus.FAILED]:
        return None
    return StepKey(name, known.undo_next)


def has_room_to_undo(draft: Draft, name: str) -> bool:
    """Whether fewer compensations of items are under way than may be at once."""
    return draft.state.lists[name].undoing < draft.definition.by_name[name].max_parallel


# ---- what people call them -------------------------------------------------


def misnamed(definition: Definition, state: RunState, step: str | None) -> str | None:
    """Return why `step` (`pay`, or `pay[3]`) names nothing; None when it does, or when none is named."""
    if step is None:
        return None
    key = StepKey.parse(step)
    if key is None or key.step not in definition.by_name:
        return f"The saga has no step named {step!r}."
    if key.item == NO_ITEM or key in state.steps:
        return None
    if definition.choreography is not None:
        return f"Reaction {key.step} was not done so often: there is no {key}."
    if definition.by_name[key.step].for_each is None:
        return f"Step {key.step} is no list: it has no item {key.item}."
    known = state.lists.get(key.step)
    if known is None:
        return f"The list of step {key.step} is not known yet: it has no item {key.item}."
    if key.item >= known.total:
        numbers = f"the last one is {key.step}[{known.total - 1}]" if known.total else "it is empty"
        return f"Step {key.step} has no item {key.item}: {numbers}."
    return None
