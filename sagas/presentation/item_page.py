"""A page of the items of one list: what became of each, and where the pages beside it begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.limits import ITEMS_SHOWN_MAX
from sagas.core.vocabulary import CompensationStatus, StepKey
from sagas.presentation.lists import done_words, undone_words
from sagas.presentation.status import Look, compensation_look, step_look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagas.models import StepRun
    from sagas.queries.run_detail import StepDetail

_NOT_UNDOING = {CompensationStatus.NONE.value, CompensationStatus.NOT_NEEDED.value}


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One item that was begun."""

    key: str
    look: Look
    undo_look: Look | None
    message: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items from one number on. `before` and `after` are where the pages beside it begin; None: there are none."""

    rows: tuple[ShownItem, ...]
    words: str
    undo_words: str
    before: int | None
    after: int | None


def page(step: StepDetail, rows: Sequence[StepRun], first: int) -> ItemPage:
    """Return a page of a list.

    Args:
        step: the list as a whole, whose items are known.
        rows: its items from number `first` on, at most a page of them.
        first: the number.

    Raises:
        ValueError: it is no list.
    """
    if step.tally is None:
        raise ValueError(step.key)
    is_full = len(rows) == ITEMS_SHOWN_MAX
    return ItemPage(
        rows=tuple(_shown(row) for row in rows),
        words=done_words(step.tally),
        undo_words=undone_words(step.tally) if step.tally.undo_total else "",
        before=max(first - ITEMS_SHOWN_MAX, 0) if first else None,
        after=rows[-1].item + 1 if is_full and rows[-1].item + 1 < step.tally.total else None,
    )


def _shown(row: StepRun) -> ShownItem:
    error = row.error if isinstance(row.error, dict) else {}
    undo = row.compensation_status
    return ShownItem(
        key=str(StepKey(row.step, row.item)),
        look=step_look(row.status),
        undo_look=None if undo in _NOT_UNDOING else compensation_look(undo),
        message=str(error.get("message") or error.get("code") or ""),
    )
