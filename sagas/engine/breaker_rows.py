"""Breakers as all pumps share them: one row a service, changed only by who saw what it stood at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.engine.breaker import Stand
from sagas.models.services import BreakerState, ServiceState

if TYPE_CHECKING:
    from uuid import UUID


def read_stand(service_id: UUID) -> Stand:
    """Return what the breaker of a service stands at; closed if the service was never called."""
    row = ServiceState.objects.filter(service_id=service_id).first()
    if row is None:
        return Stand()
    return Stand(BreakerState(row.breaker), row.opened_at, row.try_at, row.openings)


def change_stand(service_id: UUID, before: Stand, after: Stand) -> bool:
    """Write what a breaker stands at now, unless another pump changed it first.

    Args:
        service_id: Whose breaker it is.
        before: The stand as it was read.
        after: The stand it comes to.

    Returns:
        Whether it was written. If not, the caller reads the stand again and goes by that.
    """
    ServiceState.objects.bulk_create([ServiceState(service_id=service_id)], ignore_conflicts=True)
    # Open and half open are one stand, told apart by the time alone: what names it is when it opened.
    changed = ServiceState.objects.filter(
        service_id=service_id,
        opened_at=before.opened_at,
        try_at=before.try_at,
        openings=before.openings,
    ).update(breaker=after.state.value, opened_at=after.opened_at, try_at=after.try_at, openings=after.openings)
    return changed == 1
