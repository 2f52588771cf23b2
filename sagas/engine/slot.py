"""A pump's place in its worker group: taken by compare-and-set, kept by a beat each second."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import F, Q

from sagas.models import PumpSlot

if TYPE_CHECKING:
    from datetime import datetime

STALE = timedelta(seconds=3)  # a holder that has not beaten for so long is taken for dead


def take(group: str, number: int, now: datetime) -> int | None:
    """Take the slot; return our token, or None when a live pump holds it."""
    row, _ = PumpSlot.objects.get_or_create(group=group, number=number)
    is_free = Q(beat_at__isnull=True) | Q(beat_at__lt=now - STALE)
    taken = PumpSlot.objects.filter(is_free, id=row.id, token=row.token).update(
        token=F("token") + 1, holder=f"{socket.gethostname()}:{os.getpid()}", beat_at=now, loop_at=now, held=0
    )
    return row.token + 1 if taken else None


def beat(group: str, number: int, token: int, *, now: datetime, loop_at: datetime, held: int, driven: int) -> bool:
    """Say that we are alive; False when the slot has been taken from us.

    Args:
        group: the worker group.
        number: the slot.
        token: what `take` returned.
        now: the time of the beat.
        loop_at: when the event loop last turned.
        held: runs in hand.
        driven: transitions committed since the last beat.
    """
    mine = PumpSlot.objects.filter(group=group, number=number, token=token)
    return bool(mine.update(beat_at=now, loop_at=loop_at, held=held, driven=F("driven") + driven))


def free(group: str, number: int, token: int) -> None:
    """Give the slot back."""
    PumpSlot.objects.filter(group=group, number=number, token=token).update(
        holder="", beat_at=None, loop_at=None, held=0
    )
