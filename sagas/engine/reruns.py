"""Running a run again: a new run of the latest version, linked to the one it repeats."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from sagas import wakeups
from sagas.core.document import check_input
from sagas.core.facts import facts_of
from sagas.core.problem import Problem
from sagas.core.sealed import MASKED, holds_mask, unmasked
from sagas.core.vocabulary import FINAL, Json
from sagas.engine.commands import Started, find_version, insert_run, read_definition
from sagas.engine.errors import InputInvalidError, OrderRefusedError, RevisionStaleError, RunUnknownError
from sagas.engine.orders import allowed_orders
from sagas.models import Saga, SagaRun
from sagas.models.identity import uuid7
from sagas.sealing import opened

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.definition import Definition
    from sagas.core.facts import Facts
    from sagas.models import SagaVersion

TRIES_MAX = 5  # of a start key: each loss means that a start has brought that very key this moment
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


def refusal(run: SagaRun) -> str | None:
    """Return why a run cannot be run again; None when it can."""
    if run.watch is not None:
        return "The run is choreographed: it begins again with another event."
    if run.parent_id is not None:
        return "The run belongs to another one: run that one again."
    if run.status not in {status.value for status in FINAL}:
        return "The run has not ended: only one that has can be run again."
    return None


def rerun(
    run_id: UUID, *, by: str, value: Json = None, has_input: bool = False, revision: int | None = None
) -> Started:
    """Start a new run of the saga's latest version with the input of a run that has ended.

    It keeps the business key, for search; its start key is `<key>~2`, `~3` …

    Args:
        run_id: the run to repeat.
        by: who asks.
        value: another input, with `has_input`.
        has_input: whether `value` is given.
        revision: what the caller saw; refused when the run has moved since.

    Raises:
        RunUnknownError, RevisionStaleError, OrderRefusedError, InputInvalidError,
        SagaUnknownError, SagaArchivedError, SagaUnreadableError.
    """
    origin = SagaRun.objects.select_related("saga", "version").filter(id=run_id).first()
    if origin is None:
        raise RunUnknownError(f"There is no run {run_id}.")
    if revision is not None and revision != origin.revision:
        raise RevisionStaleError(revision, origin.revision)
    if why := refusal(origin):
        raise OrderRefusedError(why, status=origin.status, allowed=allowed_orders(origin))
    version = find_version(origin.saga.name, None)
    definition = read_definition(version)
    before = opened(origin.input)
    chosen = unmasked(value, before) if has_input else before
    if definition.redaction and holds_mask(chosen):
        raise InputInvalidError((Problem(MASKED, code="masked"),), within="/input")
    if problems := check_input(definition, chosen):
        raise InputInvalidError(tuple(problems), within="/input")
    new_id = uuid7()
    facts = facts_of(definition, str(new_id), chosen, key=origin.key)
    if facts.problems:
        raise InputInvalidError(facts.problems)
    return Started(_insert(origin, version, definition, new_id, chosen, facts, by), is_new=True)


def _insert(
    origin: SagaRun, version: SagaVersion, definition: Definition, new_id: UUID, value: Json, facts: Facts, by: str
) -> SagaRun:
    """Insert the new run under the next start key that is free."""
    for _ in range(TRIES_MAX - 1):
        try:
            with transaction.atomic():
                return _try(origin, version, definition, new_id, value, facts, by)
        except IntegrityError:
            continue
    with transaction.atomic():
        return _try(origin, version, definition, new_id, value, facts, by)


def _try(
    origin: SagaRun, version: SagaVersion, definition: Definition, new_id: UUID, value: Json, facts: Facts, by: str
) -> SagaRun:
    Saga.objects.select_for_update(no_key=True).get(id=origin.saga_id)  # reruns come one after the other
    run = insert_run(
        version, definition, new_id, value, facts, by, rerun_of=origin.id, start_key=_next_start_key(origin)
    )
    wakeups.ring()
    return run


def _next_start_key(origin: SagaRun) -> str | None:
    if not origin.key:
        return None
    prefix = f"{origin.key}~"
    taken = SagaRun.objects.filter(saga_id=origin.saga_id, start_key__startswith=prefix)
    found = (str(key).removeprefix(prefix) for key in taken.values_list("start_key", flat=True))
    numbers = [int(rest) for rest in found if _NUMBER.fullmatch(rest)]
    return f"{origin.key}~{max(numbers, default=1) + 1}"
