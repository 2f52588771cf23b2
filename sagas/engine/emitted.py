"""Events that reactions of ours emit: stored in the transaction of the outcome, so that none is lost or made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from sagas.core import messages as m
from sagas.core.redaction import EVENT
from sagas.core.vocabulary import StepKey
from sagas.engine import deliveries
from sagas.models import EventOrigin, EventRoute, RouteState, SagaEvent, SagaRun
from sagas.sealing import seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sagas.core.vocabulary import Json
    from sagas.engine.journal import Append


def note(batch: Sequence[Append]) -> None:
    """Store what reactions of these transitions emitted; each was received by its own run in the same entry.

    Whom else it is for is looked at by the courier: it waits there until then.
    """
    found = list(_emitted(batch))
    if not found:
        return
    sagas = dict(SagaRun.objects.filter(id__in={one.run_id for one, _, _ in found}).values_list("id", "saga_id"))
    rows = [_row(one.redaction.changed(EVENT, entry.event, seal), entry, at) for one, entry, at in found]
    SagaEvent.objects.bulk_create(rows)
    EventRoute.objects.bulk_create(
        EventRoute(
            event=row,
            saga_id=sagas[one.run_id],
            run_id=one.run_id,
            state=RouteState.DELIVERED.value,
            correlation=one.after.key,
            at=at,
        )
        for row, (one, _, at) in zip(rows, found, strict=True)
    )
    deliveries.note_events(rows)


def _emitted(batch: Iterable[Append]) -> Iterable[tuple[Append, m.EventReceived, datetime]]:
    for one in batch:
        if one.after.watch is None:
            continue
        for event, at in one.events:
            if isinstance(event, m.EventReceived) and event.emitter:
                yield one, event, at


def _row(event: Json, entry: m.EventReceived, at: datetime) -> SagaEvent:
    return SagaEvent(
        source=event["source"],
        event_id=event["id"],
        type=event["type"],
        subject=event.get("subject", ""),
        time=at,
        data=event["data"],
        cause=event.get("cause", ""),
        depth=event.get("depth", 0),
        origin=EventOrigin.REACTION.value,
        emitter=str(StepKey(entry.emitter, entry.emitter_item)),
        is_to_publish=bool(getattr(settings, "SAGAWEB_EVENTS_URL", "")),
        received_at=at,
    )
