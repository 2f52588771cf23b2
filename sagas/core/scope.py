"""The names an expression may use, looked up only when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sagas.core.vocabulary import Json, StepKey

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.state import RunState

_RUN_NAMES = ("input", "run.id", "run.key", "run.labels", "run.started_at")


class Scope(Mapping[str, Json]):
    """A flat map of dotted names; lazy, so that a long saga pays only for what a step reads."""

    def __init__(self, definition: Definition, state: RunState, extra: Mapping[str, Json] | None = None) -> None:
        """Look names up in `state`, and first in `extra` (`step.output`, `reason` …)."""
        self._definition = definition
        self._state = state
        self._extra = extra or {}

    def __getitem__(self, name: str) -> Json:
        """Return the value of one dotted name."""
        if name in self._extra:
            return self._extra[name]
        state = self._state
        match name:
            case "input":
                return state.input
            case "run.id":
                return state.run
            case "run.key":
                return state.key or None
            case "run.labels":
                return state.labels
            case "run.started_at":
                return None if state.created_at is None else state.created_at.isoformat()
        root, _, rest = name.partition(".")
        step_name, _, part = rest.partition(".")
        if root != "steps" or step_name not in self._definition.by_name:
            raise KeyError(name)
        step = state.step(StepKey(step_name))
        match part:
            case "output":
                return step.output
            case "status":
                return str(step.status)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over every name there is."""
        yield from _RUN_NAMES
        for step in self._definition.steps:
            yield f"steps.{step.name}.output"
            yield f"steps.{step.name}.status"
        yield from self._extra

    def __len__(self) -> int:
        """Count the names."""
        return len(_RUN_NAMES) + 2 * len(self._definition.steps) + len(self._extra)
