"""Lines of the journal on a run as a whole: it pauses, is overdue, ends. As in `events.py`, whose rules hold here."""

from __future__ import annotations

from dataclasses import dataclass

from sagas.core.vocabulary import Json, StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted:
    """Every step succeeded or was skipped."""

    output: Json = None
    output_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReopened:
    """The run had ended. The run it belongs to is undone, and this one with it; or an event came after the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompensated:
    """Everything that was done is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPartiallyCompensated:
    """The run was undone but for what a person gave up, which stays behind."""

    stays: tuple[StepKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTerminated:
    """The run was stopped with no undo. `stays` lists what happened, or may have, and is not undone."""

    stays: tuple[StepKey, ...] = ()
    by: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPaused:
    """Nothing new is dispatched, in either direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed:
    """The run goes on from where it was paused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The run's deadline went by."""
