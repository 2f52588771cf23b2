"""Starting a run: one short transaction. Orders to a run that exists are in `orders.py`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from sagas import wakeups
from sagas.catalog.errors import VersionUnreadableError
from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.codec import encode
from sagas.core.document import check_input
from sagas.core.facts import Facts, facts_of
from sagas.core.problem import Problem
from sagas.core.redaction import INPUT
from sagas.core.vocabulary import Json
from sagas.core.watch import Watch, encode_watch
from sagas.engine import deliveries
from sagas.engine.clock import Clock
from sagas.engine.errors import (
    InputInvalidError,
    KeyReusedError,
    SagaArchivedError,
    SagaUnknownError,
    SagaUnreadableError,
)
from sagas.engine.hiding import sealed_entry
from sagas.models import JournalEntry, Saga, SagaRun, SagaVersion
from sagas.models.identity import uuid7
from sagas.sealing import digests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sagas.core.definition import Definition
    from sagas.core.redaction import Redaction

_clock = Clock()
_INTEGER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Within:
    """Where a sub-saga belongs: the run, its step, and how many runs the child stands within."""

    run_id: UUID
    step: str
    depth: int


@dataclass(frozen=True, slots=True)
class Started:
    """A run, and whether this call made it."""

    run: SagaRun
    is_new: bool


def start_run(
    saga: str,
    input: Json,  # noqa: A002 - the word of the law
    *,
    by: str = "python",
    key: str | None = None,
    labels: Mapping[str, str] | None = None,
    version: int | None = None,
    within: Within | None = None,
) -> Started:
    """Start a run, or return the one that this key already started with the same input.

    Inside the caller's transaction the run exists if and only if that commits.

    Args:
        saga: the saga's name.
        input: JSON that fits the definition's input schema, at most 256 KiB.
        by: who starts it, for the journal.
        key: the business key, unique per saga; the definition's `key` expression when None.
        labels: up to ten searchable attributes, added to the definition's.
        version: a published version's number; the latest when None.
        within: the run that this one is a sub-saga of.

    Raises:
        SagaUnknownError, SagaArchivedError, SagaUnreadableError, InputInvalidError, KeyReusedError.
    """
    row = find_version(saga, version)
    definition = read_definition(row)
    if definition.choreography is not None:
        events = " or ".join(definition.choreography.starts_on)
        message = f"A run of {saga} begins with an event: send {events} to events/."
        raise InputInvalidError((Problem(message, pointer="/saga", code="choreography"),))
    problems = check_input(definition, input)
    if problems:
        raise InputInvalidError(tuple(problems), within="/input")
    run_id = uuid7()
    facts = facts_of(definition, str(run_id), input, key=key, labels=labels)
    if facts.problems:
        raise InputInvalidError(facts.problems)
    hashes = input_hashes(definition.redaction, input)
    if facts.key and (known := _find_started(row.saga_id, facts.key)) is not None:
        return _same(known, facts.key, hashes)
    try:
        with transaction.atomic():
            run = insert_run(row, definition, run_id, input, facts, by, within=within)
            wakeups.ring()
    except IntegrityError:
        known = _find_started(row.saga_id, facts.key)
        if known is None:
            raise
        return _same(known, facts.key, hashes)
    return Started(run, is_new=True)


def read_definition(version: SagaVersion) -> Definition:
    """Return what a version says.

    Raises:
        SagaUnreadableError: the code that is here cannot read it.
    """
    try:
        return load_version(version.id)
    except VersionUnreadableError as error:
        raise SagaUnreadableError(str(error)) from error


def find_version(saga: str, number: int | None) -> SagaVersion:
    """Return a published version with its saga: the latest when `number` is None.

    Raises:
        SagaUnknownError, SagaArchivedError.
    """
    found = Saga.objects.filter(name=saga).select_related("latest").first() if "\0" not in saga else None
    if found is None or found.latest is None:
        raise SagaUnknownError(f"There is no published saga named {saga!r}.")
    if found.archived_at is not None:
        raise SagaArchivedError(f"The saga {saga!r} is archived: it takes no new runs.")
    version: SagaVersion | None = found.latest
    if number is not None and number != found.latest.number:
        in_range = 0 < number <= _INTEGER_MAX >> 32
        version = SagaVersion.objects.filter(saga=found, number=number).first() if in_range else None
    if version is None:
        raise SagaUnknownError(f"The saga {saga!r} has no version {number}.")
    version.saga = found
    return version


def _find_started(saga_id: int, key: str) -> SagaRun | None:
    return SagaRun.objects.select_related("saga", "version").filter(saga_id=saga_id, start_key=key).first()


def _same(run: SagaRun, key: str, hashes: tuple[str, ...]) -> Started:
    if run.input_hash not in hashes:
        raise KeyReusedError(key, run.id)
    return Started(run, is_new=False)


def input_hashes(redaction: Redaction, value: Json) -> tuple[str, ...]:
    """Return the hash to store of an input, and all others by which the same input may have been stored before.

    It is the SHA-256 of the canonical form, in hex. From that a short secret could be
    guessed, so where the input is redacted a key goes into it.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    plain, keyed = hashlib.sha256(text.encode()).hexdigest(), digests(text)
    return (*keyed, plain) if redaction.places.get(INPUT) else (plain, *keyed)


def insert_run(
    version: SagaVersion,
    definition: Definition,
    run_id: UUID,
    value: Json,
    facts: Facts,
    by: str,
    *,
    within: Within | None = None,
    rerun_of: UUID | None = None,
    start_key: str | None = None,
) -> SagaRun:
    """Write a new run and the first line of its journal; all that is given was checked before.

    `start_key` is what makes the start idempotent; the business key when None.

    Raises:
        IntegrityError: there is a run of this saga under that start key.
    """
    now = _clock.now()
    started = m.RunStarted(
        run=str(run_id),
        saga=definition.saga,
        version=version.number,
        input=value,
        by=by,
        key=facts.key,
        labels=facts.labels,
        amount=facts.amount,
        deadline_at=None if definition.deadline_s is None else now + timedelta(seconds=definition.deadline_s),
        steps=definition.steps_total,
        parent="" if within is None else str(within.run_id),
        parent_step="" if within is None else within.step,
        depth=0 if within is None else within.depth,
        rerun_of="" if rerun_of is None else str(rerun_of),
        is_choreographed=definition.choreography is not None,
    )
    return _write_start(started, version, now, run_id, start_key or facts.key or None, definition.redaction)


def _write_start(
    started: m.RunStarted,
    version: SagaVersion,
    now: datetime,
    run_id: UUID,
    start_key: str | None,
    redaction: Redaction,
) -> SagaRun:
    kind, data = encode(started)
    data = sealed_entry(redaction, started, data)
    run = SagaRun.objects.create(
        id=run_id,
        saga=version.saga,
        version=version,
        key=started.key,
        start_key=start_key,
        labels=started.labels,
        amount=started.amount,
        input=data["input"],
        input_hash=input_hashes(redaction, started.input)[0],
        created_by=started.by,
        parent_id=started.parent or None,
        parent_step=started.parent_step,
        depth=started.depth,
        rerun_of_id=started.rerun_of or None,
        sequence=1,
        revision=1,
        steps_total=started.steps,
        watch=encode_watch(Watch()) if started.is_choreographed else None,
        due_at=now,
        created_at=now,
        updated_at=now,
        deadline_at=started.deadline_at,
    )
    JournalEntry.objects.create(run=run, sequence=1, kind=kind, data=data, at=now)
    deliveries.note_start(run, version.saga.name, now)
    return run
