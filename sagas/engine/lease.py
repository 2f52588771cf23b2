"""The right to drive a run: claimed in batches, renewed all at once, recognised by its token."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import connection

from sagas.models import SagaRun

if TYPE_CHECKING:
    from collections.abc import Iterable


def length() -> timedelta:
    """How long a lease lasts without being renewed."""
    return timedelta(seconds=getattr(settings, "SAGAWEB_LEASE_S", 5.0))


def claim(limit: int, *, now: datetime) -> dict[UUID, int]:
    """Claim up to `limit` due runs, the longest due first; return the new token of each.

    One statement, so two pumps never both win a run. Each win raises the run's
    token by one, and every later write carries it (`journal.append`): a worker
    that slept past its lease can still run, but can no longer write. Until it is
    renewed or let go, the run becomes due again when the lease ends, so a dead
    worker's runs need no sweeper. A run that has ended is due only for an order
    that came too late; it gets a token to write that with, and no lease.
    """
    until = now + length()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_CLAIM_POSTGRESQL, [now, limit, until, until])
            return dict(cursor.fetchall())
        cursor.execute(_CLAIM_SQLITE, [_text(until), _text(until), _text(now), limit])
        return {UUID(row[0]): row[1] for row in cursor.fetchall()}


def next_due() -> datetime | None:
    """Return when the earliest run is due, whoever parked it; one that is held, when its lease ends.

    One entry of the partial index over `due_at`.
    """
    return SagaRun.objects.filter(due_at__isnull=False).order_by("due_at").values_list("due_at", flat=True).first()


def renew(held: Iterable[tuple[UUID, int]], *, now: datetime) -> set[UUID]:
    """Renew what is held (id, token); return the ids that somebody else has claimed since.

    A run let go meanwhile stays let go. A row that is being written this moment
    is passed over (waiting for it could deadlock with a group commit); there are
    several renewals in a lease.
    """
    pairs = dict(held)
    text = json.dumps([[run_id.hex, token] for run_id, token in pairs.items()])
    until = now + length()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_RENEW_POSTGRESQL, [text, until, until])
            renewed = {row[0] for row in cursor.fetchall()}
        else:
            cursor.execute(_RENEW_SQLITE, [_text(until), _text(until), text])
            renewed = {UUID(row[0]) for row in cursor.fetchall()}
    missed = pairs.keys() - renewed
    tokens = SagaRun.objects.filter(id__in=missed).values_list("id", "token") if missed else ()
    return {run_id for run_id, token in tokens if token != pairs[run_id]}


def inboxes(run_ids: Iterable[UUID]) -> list[tuple[UUID, int]]:
    """Return the number of the last order of each run. Asked of all runs in hand several times a second."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_INBOXES_POSTGRESQL, [list(run_ids)])
            return list(cursor.fetchall())
        cursor.execute(_INBOXES_SQLITE, [json.dumps([run_id.hex for run_id in run_ids])])
        return [(UUID(run_id), number) for run_id, number in cursor.fetchall()]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


_RUN = SagaRun._meta.db_table

_CLAIM_POSTGRESQL = f"""
    WITH due AS (
        SELECT id FROM {_RUN} WHERE due_at IS NOT NULL AND due_at <= %s
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE {_RUN} AS run SET token = token + 1,
        lease_until = CASE WHEN run.finished_at IS NULL THEN %s END, due_at = %s
    FROM due WHERE run.id = due.id RETURNING run.id, run.token"""  # noqa: S608 - our own table's name

_CLAIM_SQLITE = f"""
    UPDATE {_RUN} SET token = token + 1, lease_until = CASE WHEN finished_at IS NULL THEN %s END, due_at = %s
    WHERE id IN (
        SELECT id FROM {_RUN} WHERE due_at IS NOT NULL AND due_at <= %s ORDER BY due_at LIMIT %s
    ) RETURNING id, token"""  # noqa: S608 - our own table's name

_RENEW_POSTGRESQL = f"""
    WITH held AS (
        SELECT run.id FROM {_RUN} AS run
        JOIN (SELECT (value->>0)::uuid AS id, (value->>1)::bigint AS token FROM json_array_elements(%s::json)) AS mine
        ON run.id = mine.id AND run.token = mine.token
        WHERE run.lease_until IS NOT NULL FOR UPDATE OF run SKIP LOCKED
    )
    UPDATE {_RUN} AS run SET lease_until = %s, due_at = %s FROM held WHERE run.id = held.id
    RETURNING run.id"""  # noqa: S608 - our own table's name

_RENEW_SQLITE = f"""
    UPDATE {_RUN} SET lease_until = %s, due_at = %s
    FROM (SELECT value->>0 AS id, value->>1 AS token FROM json_each(%s)) AS held
    WHERE {_RUN}.id = held.id AND {_RUN}.token = held.token AND {_RUN}.lease_until IS NOT NULL
    RETURNING {_RUN}.id"""  # noqa: S608 - our own table's name

_INBOXES_POSTGRESQL = f"SELECT id, inbox_last FROM {_RUN} WHERE id = ANY(%s)"  # noqa: S608 - our own table's name

_INBOXES_SQLITE = f"""
    SELECT id, inbox_last FROM {_RUN} WHERE id IN (SELECT value FROM json_each(%s))"""  # noqa: S608 - as above
