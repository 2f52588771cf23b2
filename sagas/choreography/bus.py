"""Events of ours that leave by the exchange: written down with the outcome they tell of, published at least once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core.cloud_event import SPEC_VERSION
from sagas.core.sealed import holds_hidden
from sagas.models import SagaEvent
from sagas.sealing import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagas.core.vocabulary import Json


def to_publish(limit: int) -> list[SagaEvent]:
    """Return events that reactions of ours emitted and that are not published yet, oldest first, sealed parts opened.

    One that cannot be opened here waits until its key is back: `•••` is no data.
    """
    rows = list(SagaEvent.objects.filter(is_to_publish=True).order_by("id")[:limit])
    for row in rows:
        row.data = opened(row.data)
    return [row for row in rows if not holds_hidden(row.data)]


def published(rows: Sequence[SagaEvent]) -> None:
    """Note that the broker has these."""
    SagaEvent.objects.filter(id__in=[row.id for row in rows]).update(is_to_publish=False)


def as_cloud_event(row: SagaEvent) -> dict[str, Json]:
    """Return an event in structured mode."""
    event: dict[str, Json] = {
        "specversion": SPEC_VERSION,
        "id": row.event_id,
        "source": row.source,
        "type": row.type,
        "datacontenttype": "application/json",
        "data": row.data,
    }
    if row.subject:
        event["subject"] = row.subject
    if row.time is not None:
        event["time"] = row.time.isoformat()
    if row.cause:
        event["causationid"] = row.cause
    return event
