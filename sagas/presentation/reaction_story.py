"""What only choreographed runs have, of a simulated one, as plain text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.vocabulary import NO_ITEM, StepKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagas.core.simulation import Simulation
    from sagas.core.vocabulary import Json


def told(entry: Mapping[str, Json]) -> str:
    """Say one line of the trace; empty for those that say no more than the ones beside them."""
    name = str(StepKey(entry.get("step", ""), entry.get("item", NO_ITEM)))
    match entry["kind"]:
        case "event_received":
            return _received(entry)
        case "event_claimed":
            return f"{name}: its event had come before"
        case "undo_expected":
            undo = ", ".join(_names(entry.get("undo") or ()))
            return f"to be undone: {undo}" if undo else ""
        case "reaction_undone":
            return f"{name}: undone by {entry['by']}"
        case "undo_came_first":
            return f"{entry['reaction']}: undone before it was seen to be done"
        case "reaction_overdue":
            return f"{name}: later than usual"
        case "run_reopened":
            return "the run is opened again"
    return ""


def _received(entry: Mapping[str, Json]) -> str:
    event = entry.get("event") or {}
    emitter = str(StepKey(entry["emitter"], entry.get("emitter_item", NO_ITEM))) if entry.get("emitter") else ""
    said = f"{event.get('type', 'an event')} from {emitter or event.get('source', 'outside')}"
    if entry.get("is_late"):
        return f"{said}, after the end"
    reacting = ", ".join(_names(entry.get("keys") or ()))
    return f"{said}, to which {reacting} reacts" if reacting else said


def _names(keys: Sequence[Json]) -> list[str]:
    """Return step runs by name, from how the journal writes them down."""
    return [str(StepKey(*key)) for key in keys]


def undone(simulation: Simulation) -> list[str]:
    """Return what was undone and by which reaction, in that order; of an orchestration by its own compensation."""
    if not simulation.undone_by:
        return simulation.undone
    return [f"{step} by {by}" for step, by in zip(simulation.undone, simulation.undone_by, strict=True)]


def missing(simulation: Simulation) -> list[str]:
    """Return which events are missing, from whom, and what they would tell of."""
    return [
        f"{' or '.join(one.events)} from {' or '.join(one.services)}" + (f" ({one.reaction})" if one.reaction else "")
        for one in simulation.missing
    ]
