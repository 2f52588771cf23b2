"""Waits of a simulated run as plain text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.definition import Approval, Timer
from sagas.presentation.format import length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagas.core.definition import Step
    from sagas.core.simulation import Simulation
    from sagas.core.vocabulary import Json


def started(entry: Mapping[str, Json]) -> str:
    """Say what a step begins to wait for, from a line of the trace."""
    about = entry.get("about") or {}
    wait_s = entry["until_s"] - entry["at_s"] if "until_s" in entry else None
    match entry["waits_for"]:
        case "timer":
            return f"sleeps {length(wait_s or 0)}"
        case "signal":
            what = f"waits for the signal {about.get('signal')}"
        case "event":
            what = f"left to its service, which is to publish {' or '.join(about.get('events', ()))}"
        case _:
            what = f"asks {about.get('group')}: {about.get('prompt')}"
    return what if wait_s is None else f"{what} ({length(wait_s)} at most)"


def ended(step: Step) -> str:
    """Say that what a step waited for has come."""
    match step.wait:
        case Timer():
            return "slept long enough"
        case Approval():
            return "approved"
        case None:
            return "its service has told that it is done"
    return "the signal came"


def still_waiting(simulation: Simulation) -> Iterator[str]:
    """Yield the steps that wait at the end, each with what for."""
    for key, phase in sorted(simulation.state.open):
        half = simulation.state.step(key).half(phase)
        if half.waits_for is not None:
            about = half.input or {}
            if half.is_called_back:
                yield f"{key} ({half.accepted_by} to call back)"
                continue
            what = f"the signal {about['signal']}" if "signal" in about else f"an answer of {about.get('group')}"
            yield f"{key} ({what})"
