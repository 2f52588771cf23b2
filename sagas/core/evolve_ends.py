"""The part of `evolve` that is about the ends of a run."""

from __future__ import annotations

from datetime import datetime

from sagas.core import messages as m
from sagas.core.state import RunState
from sagas.core.vocabulary import RunStatus


def run_completed(state: RunState, event: m.RunCompleted, at: datetime) -> None:
    """Every step is done."""
    state.status = RunStatus.COMPLETED
    state.output = event.output
    state.finished_at = at
    if event.output_error:
        state.reason = {"cause": "output", "message": event.output_error}


def run_reopened(state: RunState, _event: m.RunReopened, _at: datetime) -> None:
    """The run is undone after all."""
    state.status = RunStatus.RUNNING
    state.finished_at = None


def run_compensated(state: RunState, _event: m.RunCompensated, at: datetime) -> None:
    """All is undone."""
    state.status = RunStatus.COMPENSATED
    state.finished_at = at


def run_partially_compensated(state: RunState, _event: m.RunPartiallyCompensated, at: datetime) -> None:
    """All is undone but for what stays."""
    state.status = RunStatus.PARTIALLY_COMPENSATED
    state.finished_at = at


def run_terminated(state: RunState, event: m.RunTerminated, at: datetime) -> None:
    """The run stops where it stands."""
    state.status = RunStatus.TERMINATED
    state.is_turning = False
    state.attention = ()
    state.to_react = ()
    state.reason = {"cause": "terminate", "by": event.by, "message": event.message}
    state.started_at = state.started_at or at
    state.finished_at = at
