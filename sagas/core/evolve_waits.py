"""The part of `evolve` that is about waits and signals."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sagas.core import evolve_reactions
from sagas.core import messages as m
from sagas.core.state import RunState, Signal
from sagas.core.vocabulary import Phase, StepKey, StepStatus, WaitingFor


def wait_started(state: RunState, event: m.WaitStarted, at: datetime) -> None:
    """The step waits."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    half = replace(
        step.action,
        waits_for=event.waits_for,
        due_at=event.until,
        started_at=at,
        has_input=True,
        input=event.about,
    )
    state.steps[key] = replace(
        step,
        status=StepStatus.WAITING,
        action=half,
        error=None,
        started_at=step.started_at or at,
        ended_at=None,
    )
    state.open |= {(key, Phase.ACTION)}
    state.started_at = state.started_at or at
    evolve_reactions.begun(state, key)


def wait_ended(state: RunState, event: m.WaitEnded, at: datetime) -> None:
    """What the step waited for has come; a signal is taken out of those that are kept."""
    key = StepKey(event.step, event.item)
    step = state.step(key)
    if step.action.waits_for is WaitingFor.SIGNAL:
        _take(state, step.action.input["signal"])
    state.steps[key] = replace(
        step,
        status=StepStatus.SUCCEEDED,
        action=replace(step.action, waits_for=None, due_at=None),
        output=event.output,
        error=None,
        ended_at=at,
    )
    state.open -= {(key, Phase.ACTION)}
    state.steps_done += step.counts
    state.is_past_pivot |= event.passes_pivot


def _take(state: RunState, name: str) -> None:
    place = next((place for place, one in enumerate(state.signals) if one.name == name), None)
    if place is not None:
        state.signals = state.signals[:place] + state.signals[place + 1 :]


def signal_received(state: RunState, event: m.SignalReceived, _at: datetime) -> None:
    """A signal is kept until a step takes it."""
    state.signals = (*state.signals, Signal(event.name, event.payload, event.by))
