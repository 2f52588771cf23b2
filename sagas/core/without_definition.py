"""A run whose version cannot be read: what the law says of it without a definition.

The code that the version needs is not there: a release that went back, a limit
that was tightened, a document that other hands wrote. Nothing is started and
nothing is given up: the run rests, and a person puts the code back and retries
it, or terminates it. Whoever has the definition in hand goes on from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core import orders as law_of_orders
from sagas.core.decider import Decision
from sagas.core.definition import Definition
from sagas.core.draft import Draft
from sagas.core.state import VERSION_UNREADABLE
from sagas.core.vocabulary import Phase, Verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sagas.core.state import RunState

_UNREAD = Definition(saga="", title="", steps=())  # nothing that is asked here looks into it


def decide_without_definition(state: RunState, orders: Sequence[m.TakeOrder], now: datetime, why: str) -> Decision:
    """Return what follows when the run is in hand and nobody can say what its definition is: a person is asked.

    Orders wait in the inbox for somebody who can read the version, but for two that
    need none: *terminate* ends the run, and a run that has ended is opened again to
    be undone. What was in flight is known as lost when the definition is back.

    Args:
        state: the run.
        orders: what waits in its inbox, oldest first.
        now: the time.
        why: why the version cannot be read, in words.
    """
    draft = Draft(_UNREAD, state, now, 0.5)
    ending = next((place for place, order in enumerate(orders) if order.verb is Verb.TERMINATE), -1)
    for place, order in enumerate(orders):
        if draft.state.status.is_final or place == ending:
            law_of_orders.take(draft, order)
        elif place < ending:
            draft.emit(law_of_orders.refused(draft.state, order, "The run was terminated."))
        else:
            break
    if not draft.state.status.is_final and not draft.state.is_unreadable:
        draft.emit(m.AttentionNeeded(step="", phase=Phase.ACTION, code=VERSION_UNREADABLE, message=why))
    return Decision(tuple(draft.events), draft.state)


def refusal_without_definition(state: RunState, order: m.TakeOrder, why: str) -> str | None:
    """Return why an order does not apply to a run whose version cannot be read; None when it does."""
    if state.status.is_final or order.verb is Verb.TERMINATE:
        return law_of_orders.refusal(_UNREAD, state, order)
    return f"{why} Put that code back and retry; until then the run can only be terminated."
