"""What a run is decided by: its version's definition, or none, when that cannot be read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.catalog.errors import VersionUnknownError, VersionUnreadableError
from sagas.catalog.load import load_version
from sagas.core.decider import TERMINATED_FIRST, Decision, decide, leave
from sagas.core.evolve import replay
from sagas.core.orders import refusal, refused
from sagas.core.redaction import NOTHING, Redaction
from sagas.core.without_definition import decide_without_definition, refusal_without_definition
from sagas.engine.hiding import opened_order, opened_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sagas.core import messages as m
    from sagas.core.definition import Definition
    from sagas.core.state import RunState


@dataclass(frozen=True, slots=True)
class Law:
    """The definition; or None, and in words why nobody here can read it."""

    definition: Definition | None
    why: str = ""

    @property
    def redaction(self) -> Redaction:
        """What is redacted in its runs, as far as anybody here can know."""
        return NOTHING if self.definition is None else self.definition.redaction

    def refusal(self, state: RunState, order: m.TakeOrder) -> str | None:
        """Return why an order does not apply; None when it does."""
        if self.definition is None:
            return refusal_without_definition(state, order, self.why)
        return refusal(self.definition, state, order)

    def leave(self, state: RunState, orders: Iterable[m.TakeOrder], now: datetime) -> Decision:
        """Return what becomes of `orders`, which wait in the inbox, when the run is terminated."""
        if self.definition is None:
            left = [refused(state, order, TERMINATED_FIRST) for order in orders]
            return Decision(tuple(left), replay(((event, now) for event in left), state))
        opened = [opened_order(order) for order in orders]
        return leave(self.definition, opened_state(self.redaction, state), opened, now)

    def end(self, state: RunState, order: m.TakeOrder) -> Decision:
        """Return what follows from an order to terminate, which needs no definition."""
        if self.definition is None:
            return decide_without_definition(state, [order], order.now, self.why)
        return decide(self.definition, state, order)

    def foresee(self, state: RunState, orders: Iterable[m.TakeOrder]) -> RunState:
        """Return the state once `orders`, which wait in the inbox, are applied.

        The state itself when the run rests for want of its code, and they with it.
        """
        if self.definition is None or state.is_unreadable:
            return state
        state = opened_state(self.redaction, state)
        for order in orders:
            state = decide(self.definition, state, opened_order(order)).state
        return state


def law_of(version_id: UUID) -> Law:
    """Return what runs of one version are decided by."""
    try:
        return Law(load_version(version_id))
    except (VersionUnknownError, VersionUnreadableError) as error:
        return Law(None, str(error))
