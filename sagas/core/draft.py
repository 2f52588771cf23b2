"""A decision in the making: the events so far and the state they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import items
from sagas.core import messages as m
from sagas.core.choreography import event_names
from sagas.core.evolve import advance
from sagas.core.expressions import ExpressionError
from sagas.core.outcome import EXPRESSION_ERROR, Error
from sagas.core.scope import Scope
from sagas.core.secret_text import without_secrets
from sagas.core.vocabulary import NO_ITEM, Json, Phase, StepKey, StepStatus

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.core.definition import Definition, Half
    from sagas.core.state import RunState, StepState


class Draft:
    """Collects events; each one moves the state on, so that the next thought sees it."""

    def __init__(self, definition: Definition, state: RunState, now: datetime, dice: float) -> None:
        """Begin a decision about `state` at `now`; `state` itself stays as it is."""
        self.definition = definition
        self.state = state.copy()
        self.now = now
        self.dice = dice
        self.events: list[m.Event] = []
        self.candidates: set[str] = set()  # steps that may have become ready
        self.undo_candidates: set[StepKey] = set()

    def emit(self, event: m.Event) -> None:
        """Write an event down; its texts tell nothing of what is redacted."""
        if redaction := self.definition.redaction:
            event = without_secrets(event, redaction, self.state)
        self.events.append(event)
        advance(self.state, event, self.now)

    def step(self, key: StepKey) -> StepState:
        """The step run as it is after the events so far."""
        return self.state.step(key)

    def half_of(self, key: StepKey, phase: Phase) -> Half:
        """What the definition says of one half."""
        half = self.definition.by_name[key.step].half(phase)
        if half is None:
            raise AssertionError(f"{key} has no {phase}")
        return half

    def start_attempt(self, key: StepKey, phase: Phase) -> Error | None:
        """Write an attempt down; the error when its input cannot be rendered."""
        half = self.half_of(key, phase)
        known = self.step(key).half(phase)
        is_first = not known.has_input
        rendered: Json = None
        if is_first:
            try:
                rendered = half.arguments.render(self.scope(key, phase))
            except ExpressionError as error:
                return Error(EXPRESSION_ERROR, str(error))
        self.emit(
            m.AttemptStarted(
                step=key.step,
                item=key.item,
                phase=phase,
                number=known.number + 1,
                edition=known.edition,
                timeout_s=half.timeout_s,
                is_first=is_first,
                is_atomic=half.is_atomic,
                input=rendered,
            )
        )
        return None

    def _names(self, key: StepKey) -> dict[str, Json]:
        """What expressions of a step run see of its own: the event that it reacts to, or its item of a list."""
        if (reacting := self.step(key).reacting) is not None:
            return event_names(reacting.event)
        return {} if key.item == NO_ITEM else items.names_of(self.state, key)

    def scope(self, key: StepKey, phase: Phase) -> Scope:
        """The names that expressions of this half may use."""
        names = self._names(key)
        if phase is Phase.ACTION:
            return Scope(self.definition, self.state, names)
        step = self.step(key)
        if phase is Phase.PROBE:
            return Scope(self.definition, self.state, names | {"step.input": step.action.input})
        return Scope(
            self.definition,
            self.state,
            names
            | {
                "step.output": step.output,
                "step.outcome": "unknown" if step.status is StepStatus.IN_DOUBT else "succeeded",
                "step.input": step.action.input,
                "reason": self.state.reason,
            },
        )
