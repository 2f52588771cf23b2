"""The one writer: many runs' transitions in one transaction, each under its fencing token.

A transition is written only if the run's token is still the writer's and the
journal still ends where the writer believes. Else nothing of that run is
written, and the caller is told. Journal, run row and step rows go together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from django.db import DataError, IntegrityError, connection, transaction

from sagas.core.codec import encode
from sagas.core.due import due_at
from sagas.core.sealed import Hidden, as_stored
from sagas.engine import deliveries, emitted, relatives
from sagas.engine.hiding import sealed_entry, sealed_run, sealed_step
from sagas.engine.stored import run_columns, step_columns, touched_steps
from sagas.models import JournalEntry, SagaRun, StepRun

if TYPE_CHECKING:
    from sagas.core.messages import Event
    from sagas.core.redaction import Redaction
    from sagas.core.state import RunState


@dataclass(frozen=True, slots=True)
class Append:
    """One run's transition, to be written or refused as a whole.

    `keeps_lease` is false when the writer lets the run go: the lease ends and
    the next look is at `due_at(after)`, or now when an order has come meanwhile
    (after the one numbered `inbox_seen`, for a writer that leaves orders where they are):
    also when the run has ended, since whoever gave the order is told that it came too late.
    """

    run_id: UUID
    token: int
    before: RunState
    after: RunState
    events: tuple[tuple[Event, datetime], ...]  # each with its time
    redaction: Redaction  # what of all this is sealed before it is written
    at: datetime
    keeps_lease: bool
    inbox_seen: int = 0


class RunDataError(Exception):
    """The database refuses the data of one run; the others of its group are written."""

    def __init__(self, refused: set[UUID], written: set[UUID]) -> None:
        super().__init__(f"{len(refused)} run(s) hold data that the database refuses")
        self.refused = refused
        self.written = written


def append(batch: Sequence[Append]) -> set[UUID]:
    """Write a group in one transaction; return the ids that were written, the others had lost their token.

    Raises:
        RunDataError: found by bisection; all others of the group are written.
        django.db.OperationalError: the connection broke; nobody knows whether the group is written.
    """
    try:
        with transaction.atomic():
            return write(batch)
    except (DataError, IntegrityError) as error:
        if len(batch) == 1:
            raise RunDataError({batch[0].run_id}, set()) from error
    refused: set[UUID] = set()
    written: set[UUID] = set()
    for part in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
        try:
            written |= append(part)
        except RunDataError as error:
            refused |= error.refused
            written |= error.written
    raise RunDataError(refused, written)


def write(batch: Sequence[Append]) -> set[UUID]:
    """Write a group inside the caller's transaction (an atomic action's, or `append`'s)."""
    runs = _text([_run_row(one) for one in batch])
    is_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute(_WRITE_ALL, [runs, _entry_rows(batch), _step_rows(batch)])
            written = {row[0] for row in cursor.fetchall()}
            kept = [one for one in batch if one.run_id in written]
        else:
            cursor.execute(_SQLITE_RUNS, [runs])
            written = {UUID(row[0]) for row in cursor.fetchall()}
            kept = [one for one in batch if one.run_id in written]
            if any(one.events for one in kept):
                cursor.execute(_SQLITE_ENTRIES, [_entry_rows(kept)])
                cursor.execute(_SQLITE_STEPS, [_step_rows(kept)])
    relatives.tell(kept)
    emitted.note(kept)
    deliveries.note(kept)
    return written


def _run_row(one: Append) -> dict[str, Any]:
    is_final = one.after.status.is_final
    return sealed_run(one.redaction, run_columns(one.before, one.after)) | {
        "id": one.run_id.hex,
        "token": one.token,
        "updated_at": one.at,
        "keeps_lease": one.keeps_lease,
        "inbox_seen": max(one.inbox_seen, one.after.inbox_done),
        "is_final": is_final,
        "due_at": None if is_final else due_at(one.after),
    }


def _entry_rows(batch: Iterable[Append]) -> str:
    rows = []
    for one in batch:
        run = one.run_id.hex
        for number, (event, at) in enumerate(one.events, start=one.before.sequence + 1):
            kind, data = encode(event)
            data = sealed_entry(one.redaction, event, data)
            rows.append({"run_id": run, "sequence": number, "kind": kind, "data": data, "at": at})
    return _text(rows)


def _step_rows(batch: Iterable[Append]) -> str:
    rows = []
    for one in batch:
        run = one.run_id.hex
        keys = touched_steps((event for event, _ in one.events), one.before, one.after)
        steps = ((key, sealed_step(one.redaction, key, one.after.step(key))) for key in keys)
        rows += [{"run_id": run, **step_columns(key, step)} for key, step in steps]
    return _text(rows)


def _text(rows: list[dict[str, Any]]) -> str:
    option = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    return orjson.dumps(rows, default=_as_json, option=option).decode()


def _as_json(value: object) -> Any:
    """Hidden values as they are sealed; times as both databases compare them.

    That is UTC, six digits, no zone (the SQL adds it on PostgreSQL).
    """
    if isinstance(value, Hidden):
        return as_stored(value)
    if isinstance(value, str):  # a word of a closed vocabulary
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    raise TypeError(f"{type(value).__name__} is not JSON")


# ---- SQL ---------------------------------------------------------------------
# One list of columns and kinds makes both dialects. Every group travels as one JSON text.

_RUN = SagaRun._meta.db_table
_STEP = StepRun._meta.db_table
_ENTRY = JournalEntry._meta.db_table

_RUN_FIELDS = {
    "status": "text",
    "direction": "text",
    "is_turning": "boolean",
    "is_past_pivot": "boolean",
    "is_overdue": "boolean",
    "is_hanging": "boolean",
    "is_paused": "boolean",
    "is_outcome_unknown": "boolean",
    "waiting_for": "text",
    "attention": "jsonb",
    "signals": "jsonb",
    "reason": "jsonb",
    "output": "jsonb",
    "sequence": "integer",
    "steps_done": "integer",
    "undo_total": "integer",
    "undo_done": "integer",
    "current_step": "text",
    "inbox_done": "integer",
    "started_at": "timestamp",
    "updated_at": "timestamp",
    "finished_at": "timestamp",
    "watch": "jsonb",
}
_RUN_GUARDS = {
    "id": "uuid",
    "token": "bigint",
    "was": "integer",
    "revised": "integer",
    "keeps_lease": "boolean",
    "inbox_seen": "integer",
    "is_final": "boolean",
    "due_at": "timestamp",
}
_ENTRY_FIELDS = {"run_id": "uuid", "sequence": "integer", "kind": "text", "data": "jsonb", "at": "timestamp"}
_STEP_KEY = {"run_id": "uuid", "step": "text", "item": "integer"}
_STEP_FIELDS = {
    "status": "text",
    "compensation_status": "text",
    "waits_for": "text",
    "attempts": "integer",
    "compensation_attempts": "integer",
    "output": "jsonb",
    "error": "jsonb",
    "halves": "jsonb",
    "next_attempt_at": "timestamp",
    "started_at": "timestamp",
    "ended_at": "timestamp",
}


def _record(fields: dict[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in fields.items())


def _value(alias: str, name: str, kind: str) -> str:
    return f"""{alias}."{name}" AT TIME ZONE 'UTC'""" if kind == "timestamp" else f'{alias}."{name}"'


def _sqlite_value(name: str, kind: str) -> str:
    return f"NULLIF(value->'{name}', 'null')" if kind == "jsonb" else f"value->>'{name}'"


def _names(fields: dict[str, str]) -> str:
    return ", ".join(f'"{name}"' for name in fields)


def _update(now: str, due: str, assignments: str, source: str) -> str:
    return f"""
        UPDATE {_RUN} SET {assignments},
            revision = {_RUN}.revision + d.revised,
            lease_until = CASE WHEN d.keeps_lease THEN COALESCE({_RUN}.lease_until, {_RUN}.due_at) END,
            due_at = CASE WHEN d.keeps_lease THEN {_RUN}.due_at
                          WHEN {_RUN}.inbox_last > d.inbox_seen THEN {now}
                          WHEN d.is_final THEN NULL
                          ELSE {due} END
        FROM {source} AS d
        WHERE {_RUN}.id = d.id AND {_RUN}.token = d.token AND {_RUN}.sequence = d.was
        RETURNING {_RUN}.id"""  # noqa: S608 - names of our own tables and columns only


def _postgresql() -> str:
    assignments = ", ".join(f'"{name}" = {_value("d", name, kind)}' for name, kind in _RUN_FIELDS.items())
    update = _update("clock_timestamp()", _value("d", "due_at", "timestamp"), assignments, "d")
    entries = ", ".join(_value("e", name, kind) for name, kind in _ENTRY_FIELDS.items())
    steps = ", ".join(_value("s", name, kind) for name, kind in (_STEP_KEY | _STEP_FIELDS).items())
    return f"""
        WITH d AS (SELECT * FROM json_to_recordset(%s::json) AS x({_record(_RUN_GUARDS | _RUN_FIELDS)})),
        u AS ({update}),
        j AS (INSERT INTO {_ENTRY} ({_names(_ENTRY_FIELDS)})
              SELECT {entries} FROM json_to_recordset(%s::json) AS e({_record(_ENTRY_FIELDS)})
              JOIN u ON u.id = e.run_id),
        w AS (INSERT INTO {_STEP} ({_names(_STEP_KEY | _STEP_FIELDS)})
              SELECT {steps} FROM json_to_recordset(%s::json) AS s({_record(_STEP_KEY | _STEP_FIELDS)})
              JOIN u ON u.id = s.run_id
              ON CONFLICT (run_id, step, item) DO UPDATE SET {_excluded(_STEP_FIELDS)})
        SELECT id FROM u"""  # noqa: S608 - names of our own tables and columns only


def _excluded(fields: dict[str, str]) -> str:
    return ", ".join(f'"{name}" = excluded."{name}"' for name in fields)


def _sqlite(table: str, fields: dict[str, str]) -> str:
    values = ", ".join(_sqlite_value(name, kind) for name, kind in fields.items())
    return f"INSERT INTO {table} ({_names(fields)}) SELECT {values} FROM json_each(%s) WHERE true"  # noqa: S608


def _sqlite_update() -> str:
    fields = ", ".join(f'{_sqlite_value(name, kind)} AS "{name}"' for name, kind in (_RUN_GUARDS | _RUN_FIELDS).items())
    assignments = ", ".join(f'"{name}" = d."{name}"' for name in _RUN_FIELDS)
    now = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
    return _update(now, "d.due_at", assignments, f"(SELECT {fields} FROM json_each(%s))")  # noqa: S608


_WRITE_ALL = _postgresql()
_SQLITE_RUNS = _sqlite_update()
_SQLITE_ENTRIES = _sqlite(_ENTRY, _ENTRY_FIELDS)
_SQLITE_STEPS = (
    f"{_sqlite(_STEP, _STEP_KEY | _STEP_FIELDS)} "
    f"ON CONFLICT (run_id, step, item) DO UPDATE SET {_excluded(_STEP_FIELDS)}"
)
