"""A run in one line: its look, one line of reason, and a strip of cells, one for each step and each undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.late_reports import HANGING
from sagas.core.vocabulary import Phase, RunStatus, StepStatus, WaitingFor
from sagas.presentation.status import Look, compensation_look, run_look, step_look
from sagas.queries.plan import title_of

if TYPE_CHECKING:
    from datetime import timedelta

    from sagas.models import SagaRun
    from sagas.queries.runs import RunRow

CELL = 16  # a cell and the space behind it, in pixels
LANE_GAP = 8  # between forward and backward


@dataclass(frozen=True, slots=True)
class Cell:
    """One step in the strip: its place and its look."""

    x: int
    look: Look


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One row of a list of runs."""

    run: SagaRun
    look: Look
    cells: tuple[Cell, ...]
    width: int
    label: str
    where: str
    reason: str
    took: timedelta | None


def shown(row: RunRow) -> ShownRow:
    """Return how a run is shown in a list."""
    run = row.run
    cells = [Cell(place * CELL, step_look(value)) for place, value in enumerate(row.forward)]
    start = len(cells) * CELL + LANE_GAP
    cells += [Cell(start + place * CELL, compensation_look(value)) for place, value in enumerate(row.backward)]
    return ShownRow(
        run=run,
        look=run_look(run.status, is_paused=run.is_paused, waiting_for=run.waiting_for),
        cells=tuple(cells),
        width=cells[-1].x + CELL if cells else CELL,
        label=_label(row),
        where=_where(row),
        reason=_reason(row),
        took=(run.finished_at - run.created_at) if run.finished_at else None,
    )


def _label(row: RunRow) -> str:
    run = row.run
    text = _("%(done)s of %(count)s steps done") % {"done": run.steps_done, "count": run.steps_total}
    if run.undo_total:
        text += _(", %(done)s of %(count)s undone") % {"done": run.undo_done, "count": run.undo_total}
    return text


def _where(row: RunRow) -> str:
    """Name what matters: the step that is being undone, else where it failed, else where it is."""
    run = row.run
    attention = next((one.get("step") for one in run.attention or () if isinstance(one, dict)), None)
    if row.undoing and not run.finished_at:
        return _("Undoing %s") % title_of(row.undoing)
    if attention:
        return title_of(str(attention))
    reason = run.reason if isinstance(run.reason, dict) else {}
    if run.status == RunStatus.COMPLETED.value:
        return ""
    return title_of(str(reason.get("step") or run.current_step or ""))


def _reason(row: RunRow) -> str:
    run = row.run
    needed = next((one for one in run.attention or () if isinstance(one, dict)), None)
    if needed and not needed.get("step"):
        return _("its version cannot be read")
    if needed:
        step = title_of(str(needed.get("step", "")))
        if needed.get("code") == HANGING:
            return _("“%s” happened after its undo") % step
        is_undo = needed.get("phase") == Phase.COMPENSATION.value
        template = _("the undo of “%s” failed") if is_undo else _("decide about “%s”")
        return template % step
    if run.is_hanging:
        return _("something happened after all, and stays")
    reason = run.reason if isinstance(run.reason, dict) else {}
    if reason.get("cause") == "cancel":
        return _("cancelled by %s") % reason.get("by", "?")
    if reason.get("cause") == "terminate":
        return _("terminated by %s") % reason.get("by", "?")
    if reason.get("cause") == "deadline":
        return _("deadline passed")
    if reason.get("message") or reason.get("code"):
        return str(reason.get("message") or reason.get("code"))
    is_outside = run.waiting_for == WaitingFor.SERVICE.value
    if StepStatus.RETRYING.value in row.forward and not run.is_paused and not is_outside:
        return waits_words(WaitingFor.RETRY.value)
    return waits_words(run.waiting_for)


def waits_words(waiting_for: str) -> str:
    """Say what a run waits for, a word of `WaitingFor`; empty when it does not wait."""
    match waiting_for:
        case "retry":
            return _("waiting to retry")
        case "approval":
            return _("waits for an answer")
        case "signal":
            return _("waits for a signal")
        case "timer":
            return _("sleeping")
        case "child":
            return _("waits for a sub-saga")
        case "service":
            return _("waits before a service")
        case "event":
            return _("waits for an event")
        case "callback":
            return _("waits to be called back")
    return _("waits: %s") % waiting_for if waiting_for else ""
