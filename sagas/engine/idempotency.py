"""A start that may be asked for twice: the key and the run exist together or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from sagas.engine.errors import RequestKeyBusyError, RequestKeyReusedError
from sagas.models import IdempotencyKey
from sagas.sealing import digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sagas.core.vocabulary import Json
    from sagas.engine.commands import Started

KEPT = timedelta(days=7)
PURGED_PER_START_MAX = 50  # keeps the table small without a sweeper, and each start short
TRIES_MAX = 3  # a lost race shows the winner at once; more would mean that keys vanish meanwhile


@dataclass(frozen=True, slots=True)
class Replay:
    """Which run a start gave, and whether this very request made it."""

    run_id: UUID
    is_new: bool


def starting_once(owner: str, key: str | None, body: Json, start: Callable[[], Started]) -> Replay:
    """Start a run, or give the run that this owner's key started within 7 days.

    Args:
        owner: the namespace of the key, `token:<id>` or `user:<id>`.
        key: at most 200 characters that a database can hold; None starts without.
        body: what was asked for; the same key must come with the same.
        start: what starts the run, in the same transaction.

    Raises:
        RequestKeyReusedError, RequestKeyBusyError, and what `start` raises.
    """
    if key is None:
        started = start()
        return Replay(started.run.id, started.is_new)
    hashes = digests(json.dumps(body, sort_keys=True, separators=(",", ":")))
    for _ in range(TRIES_MAX):
        try:
            with transaction.atomic():
                return _find(owner, key, hashes) or _start(owner, key, hashes[0], start)
        except _RaceLostError:
            continue
    raise RequestKeyBusyError("The same key is being used by many requests at once; try again.")


class _RaceLostError(Exception):
    """Another request with this key committed first; the run made here is rolled back."""


def _find(owner: str, key: str, hashes: tuple[str, ...]) -> Replay | None:
    seen = IdempotencyKey.objects.filter(owner=owner, key=key, created_at__gt=timezone.now() - KEPT).first()
    if seen is None:
        return None
    if seen.request_hash not in hashes:
        raise RequestKeyReusedError(key, seen.run_id)
    return Replay(seen.run_id, is_new=False)


def _start(owner: str, key: str, digest: str, start: Callable[[], Started]) -> Replay:
    old = timezone.now() - KEPT
    IdempotencyKey.objects.filter(owner=owner, key=key, created_at__lte=old).delete()
    stale = IdempotencyKey.objects.filter(created_at__lte=old).select_for_update(skip_locked=True)
    IdempotencyKey.objects.filter(pk__in=list(stale.values_list("pk", flat=True)[:PURGED_PER_START_MAX])).delete()
    started = start()
    try:
        with transaction.atomic():
            IdempotencyKey.objects.create(owner=owner, key=key, request_hash=digest, run=started.run)
    except IntegrityError:
        raise _RaceLostError from None
    return Replay(started.run.id, started.is_new)
