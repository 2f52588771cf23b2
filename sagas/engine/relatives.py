"""What runs tell each other: a child how it ended, a parent that it turns round or was terminated.

In the transaction that writes what is told, so that nothing of it is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sagas.core import messages as m
from sagas.core.redaction import NOTHING
from sagas.core.vocabulary import FINAL, Verb
from sagas.engine import inbox
from sagas.engine.hiding import sealed_order
from sagas.models import SagaRun

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagas.engine.journal import Append

_REASONS = {
    Verb.CANCEL: "The run that it belongs to turns round.",
    Verb.TERMINATE: "The run that it belongs to was terminated.",
}


def tell(written: Iterable[Append]) -> None:
    """Put into the inboxes of parents and children what these transitions mean to them."""
    for one in written:
        if one.after.parent and one.after.status.is_final and not one.before.status.is_final:
            _report(one)
        verb = _verb_for_children(one)
        if verb is not None:
            _order_children(one, verb)


def _report(one: Append) -> None:
    state = one.after
    parent = SagaRun.objects.select_for_update(of=("self",)).filter(id=UUID(state.parent)).first()
    if parent is None:
        return
    order = m.TakeOrder(
        number=parent.inbox_last + 1,
        verb=Verb.REPORT,
        by=f"run {state.run}",
        now=one.at,
        step=state.parent_step,
        child=m.ChildEnd(state.run, state.status, state.output, state.is_past_pivot),
    )
    inbox.put(parent, sealed_order(NOTHING, order), one.at)


def _verb_for_children(one: Append) -> Verb | None:
    kinds = {type(event) for event, _ in one.events}
    if m.RunTerminated in kinds:
        return Verb.TERMINATE
    is_late = m.AttemptAccepted in kinds and one.after.is_turning  # it was started while the turn was written
    return Verb.CANCEL if m.TurnRequested in kinds or is_late else None


def _order_children(one: Append, verb: Verb) -> None:
    rows = SagaRun.objects.select_for_update(of=("self",)).filter(parent_id=one.run_id)
    for child in rows.exclude(status__in=[status.value for status in FINAL]).order_by("id"):
        order = m.TakeOrder(
            number=child.inbox_last + 1, verb=verb, by=f"run {one.run_id}", now=one.at, reason=_REASONS[verb]
        )
        inbox.put(child, order, one.at)
