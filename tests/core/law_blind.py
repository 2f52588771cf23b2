"""A worker that cannot read the version, in the enumeration of the law."""

from __future__ import annotations

from sagas.core import messages as m
from sagas.core.decider import Decision, decide
from sagas.core.definition import Definition
from sagas.core.state import RunState
from sagas.core.without_definition import decide_without_definition


class BlindLook(m.Look):
    """It has the run in hand."""


def decided(definition: Definition, state: RunState, command: m.Command) -> Decision:
    """Return what follows from `command`, whoever has the run in hand."""
    if isinstance(command, BlindLook):
        return decide_without_definition(state, (), command.now, "it cannot be read")
    return decide(definition, state, command)
