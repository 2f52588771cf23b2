"""How every status looks: one table of label, tone, icon. Templates, CSS and pictures follow it.

A tone is one of seven colour families; the icon's silhouette and the word say
the same without colour. A value nobody knows is shown grey, by its raw name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from sagas.core.vocabulary import FINAL, CompensationStatus, OutcomeKind, RunStatus, StepStatus, WaitingFor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.functional import _StrPromise


class Tone(StrEnum):
    """The seven colour families of `static/css/site.css`."""

    NEUTRAL = "neutral"
    PROGRESS = "progress"
    SUCCESS = "success"
    RETRY = "retry"
    COMPENSATION = "compensation"
    FAILURE = "failure"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Look:
    """What a person sees of one status."""

    value: str
    label: _StrPromise | str
    tone: Tone
    icon: str
    is_final: bool = False


UNKNOWN_ICON = "circle-question-mark"

_RUN_ROWS = {
    RunStatus.PENDING: (_("Queued"), Tone.NEUTRAL, "circle-dashed"),
    RunStatus.RUNNING: (_("Running"), Tone.PROGRESS, "circle-dot"),
    RunStatus.COMPENSATING: (_("Compensating"), Tone.COMPENSATION, "undo-2"),
    RunStatus.NEEDS_ATTENTION: (_("Needs attention"), Tone.CRITICAL, "diamond"),
    RunStatus.COMPLETED: (_("Completed"), Tone.SUCCESS, "circle-check"),
    RunStatus.COMPENSATED: (_("Compensated"), Tone.COMPENSATION, "square-arrow-left"),
    RunStatus.PARTIALLY_COMPENSATED: (_("Partially compensated"), Tone.FAILURE, "square-minus"),
    RunStatus.TERMINATED: (_("Terminated"), Tone.NEUTRAL, "ban"),
}
_STEP_ROWS = {
    StepStatus.PENDING: (_("Not reached"), Tone.NEUTRAL, "circle-dashed"),
    StepStatus.RUNNING: (_("Running"), Tone.PROGRESS, "circle-dot"),
    StepStatus.WAITING: (_("Waiting"), Tone.PROGRESS, "hourglass"),
    StepStatus.RETRYING: (_("Retrying"), Tone.RETRY, "triangle"),
    StepStatus.SUCCEEDED: (_("Succeeded"), Tone.SUCCESS, "circle-check"),
    StepStatus.FAILED: (_("Failed"), Tone.FAILURE, "octagon-x"),
    StepStatus.IN_DOUBT: (_("Outcome unknown"), Tone.RETRY, "triangle-alert"),
    StepStatus.SKIPPED: (_("Skipped"), Tone.NEUTRAL, "arrow-right-to-line"),
}
_COMPENSATION_ROWS = {
    CompensationStatus.NONE: (_("Not started"), Tone.NEUTRAL, "circle-dashed"),
    CompensationStatus.PENDING: (_("Undo waits"), Tone.NEUTRAL, "circle-dashed"),
    CompensationStatus.RUNNING: (_("Undoing"), Tone.COMPENSATION, "undo-2"),
    CompensationStatus.WAITING: (_("Undo waiting"), Tone.COMPENSATION, "hourglass"),
    CompensationStatus.RETRYING: (_("Undo retrying"), Tone.RETRY, "triangle"),
    CompensationStatus.SUCCEEDED: (_("Undone"), Tone.COMPENSATION, "square-arrow-left"),
    CompensationStatus.FAILED: (_("Undo failed"), Tone.CRITICAL, "diamond"),
    CompensationStatus.SETTLED: (_("Settled by hand"), Tone.COMPENSATION, "user-check"),
    CompensationStatus.GIVEN_UP: (_("Given up"), Tone.FAILURE, "square-minus"),
    CompensationStatus.NOT_NEEDED: (_("Nothing to undo"), Tone.NEUTRAL, "minus"),
}
_OUTCOME_ROWS = {
    OutcomeKind.SUCCEEDED: (_("Succeeded"), Tone.SUCCESS, "circle-check"),
    OutcomeKind.REJECTED: (_("Rejected"), Tone.FAILURE, "octagon-x"),
    OutcomeKind.FAILED: (_("Failed"), Tone.FAILURE, "octagon-x"),
    OutcomeKind.UNKNOWN: (_("Outcome unknown"), Tone.RETRY, "triangle-alert"),
}
RUN_LOOKS: Mapping[str, Look] = {
    status.value: Look(status.value, *row, is_final=status in FINAL) for status, row in _RUN_ROWS.items()
}
STEP_LOOKS: Mapping[str, Look] = {status.value: Look(status.value, *row) for status, row in _STEP_ROWS.items()}
COMPENSATION_LOOKS: Mapping[str, Look] = {
    status.value: Look(status.value, *row) for status, row in _COMPENSATION_ROWS.items()
}
OUTCOME_LOOKS: Mapping[str, Look] = {kind.value: Look(kind.value, *row) for kind, row in _OUTCOME_ROWS.items()}
PAUSED = Look("paused", _("Paused"), Tone.NEUTRAL, "pause")
RESTING = Look("waiting", _("Waiting"), Tone.PROGRESS, "hourglass")
DRAINING = Look("turning", _("Turning round"), Tone.COMPENSATION, "undo-2")

ICONS = tuple(
    sorted(
        {
            UNKNOWN_ICON,
            PAUSED.icon,
            *(
                look.icon
                for looks in (RUN_LOOKS, STEP_LOOKS, COMPENSATION_LOOKS, OUTCOME_LOOKS)
                for look in looks.values()
            ),
        }
    )
)


_WAITS = {kind.value for kind in WaitingFor} - {WaitingFor.RETRY.value}  # one that retries is at work


def _look(looks: Mapping[str, Look], value: str) -> Look:
    return looks.get(value) or Look(value, value.replace("_", " ") or "?", Tone.NEUTRAL, UNKNOWN_ICON)


def run_look(value: str, *, is_paused: bool = False, waiting_for: str = "") -> Look:
    """Return the look of a run: its status, or what says more while nobody else is needed.

    That is *paused* while a person holds it, and *waiting* while it goes forward and all it does is
    wait for what `waiting_for` says (a word of `WaitingFor`).
    """
    found = _look(RUN_LOOKS, value)
    if is_paused and not found.is_final and value != RunStatus.NEEDS_ATTENTION.value:
        return PAUSED
    return RESTING if value == RunStatus.RUNNING.value and waiting_for in _WAITS else found


def step_look(value: str, outcome: str = "") -> Look:
    """Return the look of the forward half of a step; `outcome` is its last attempt's."""
    return _with_outcome(_look(STEP_LOOKS, value), outcome)


def compensation_look(value: str, outcome: str = "") -> Look:
    """Return the look of the backward half of a step; `outcome` is its last attempt's."""
    return _with_outcome(_look(COMPENSATION_LOOKS, value), outcome)


def _with_outcome(look: Look, outcome: str) -> Look:
    """Say of what has failed that it was rejected: that is an answer, no breakdown."""
    is_rejected = look.value == StepStatus.FAILED.value and outcome == OutcomeKind.REJECTED.value
    return replace(look, label=_("%(status)s · rejected") % {"status": look.label}) if is_rejected else look


def outcome_look(value: str) -> Look:
    """Return the look of an attempt's outcome."""
    return _look(OUTCOME_LOOKS, value)
