"""The failure matrix on a page: each thing that can go wrong, how the run ends, and what that leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from sagas.core.simulation import SimulatedStatus
from sagas.presentation import reaction_story
from sagas.presentation.format import duration
from sagas.presentation.simulation import CASES, leftover_with_why
from sagas.presentation.status import PAUSED, RUN_LOOKS, Look, Tone

if TYPE_CHECKING:
    from sagas.core.failure_matrix import Row

_LOOKS = {
    SimulatedStatus.PAUSED: PAUSED,
    SimulatedStatus.WAITING: Look("waiting", _("Waits for ever"), Tone.FAILURE, "hourglass"),
    SimulatedStatus.STILL_RETRYING: Look("still_retrying", _("Retries for ever"), Tone.RETRY, "triangle"),
    SimulatedStatus.CUT_SHORT: Look("cut_short", _("Cut short by a limit"), Tone.NEUTRAL, "circle-dashed"),
}


@dataclass(frozen=True, slots=True)
class FailureLine:
    """One line of the matrix, in words."""

    step: str  # empty: nothing goes wrong; of an event from outside, its type
    title: str
    case: str
    look: Look
    undone: tuple[str, ...]
    leftovers: tuple[str, ...]
    missing: tuple[str, ...]
    worst: str  # empty: no end
    worst_look: Look | None  # where it ends otherwise when all takes as long as it can


def failure_line(row: Row) -> FailureLine:
    """Say one line of the matrix."""
    run = row.simulation
    step = run.definition.by_name.get(row.step)
    return FailureLine(
        step=row.step,
        title=row.step if step is None else step.title,
        case=CASES[row.case],
        look=_look(run.status),
        undone=tuple(reaction_story.undone(run)),
        leftovers=tuple(map(leftover_with_why, run.leftovers)),
        missing=tuple(reaction_story.missing(run)),
        worst="" if row.worst_s is None else duration(row.worst_s),
        worst_look=None if row.worst_status is run.status else _look(row.worst_status),
    )


def _look(status: SimulatedStatus) -> Look:
    return _LOOKS.get(status) or RUN_LOOKS[status.value]
