"""What the future of a state depends on: states that are alike in this are walked on from once."""

from __future__ import annotations

from sagas.core.evolve_callbacks import last_moment
from sagas.core.state import HalfState, RunState


def essence(state: RunState) -> object:
    """Return what the future of a state depends on: neither how long its journal is nor what its errors say."""
    return (
        state.status,
        state.direction,
        state.is_turning,
        state.is_past_pivot,
        state.is_overdue,
        state.is_paused,
        state.is_hanging,
        state.attention,
        tuple(one.name for one in state.signals),
        frozenset(
            (key, run.status, run.compensation_status, *map(_half_essence, (run.action, run.compensation, run.probe)))
            for key, run in state.steps.items()
        ),
    )


def _half_essence(half: HalfState) -> object:
    return (
        half.number > 0,
        half.edition,
        half.counted,
        half.lost_in_a_row,
        half.is_awaiting,
        half.is_unsettled,
        half.sole_unknown > 0,  # which one it is stands in the watch
        half.late,
        half.due_at is not None,
        half.is_called_back and half.due_at != last_moment(half),
        half.has_input,
        half.waits_for,
        half.accepted_by,
    )
