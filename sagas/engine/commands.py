"""Starts and orders: what a face may ask of the engine. Each is one short transaction."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F

from sagas import wakeups
from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.codec import encode
from sagas.core.decider import decide
from sagas.core.document import check_input, check_payload
from sagas.core.expressions import ExpressionError
from sagas.core.limits import KEY_LENGTH_MAX, LABELS_MAX
from sagas.core.orders import refusal
from sagas.core.problem import Problem
from sagas.core.scope import Scope
from sagas.core.state import RunState
from sagas.core.vocabulary import Json, Verb
from sagas.engine import stored
from sagas.engine.clock import Clock
from sagas.engine.errors import (
    InputInvalidError,
    KeyReusedError,
    OrderRefusedError,
    RevisionStaleError,
    RunUnknownError,
    SagaArchivedError,
    SagaUnknownError,
)
from sagas.models import JournalEntry, Order, Saga, SagaRun, SagaVersion
from sagas.models.identity import uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sagas.core.definition import Definition

_clock = Clock()
_INTEGER_MAX = 2**63 - 1


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

    Raises:
        SagaUnknownError, SagaArchivedError, InputInvalidError, KeyReusedError.
    """
    row = _find_version(saga, version)
    definition = load_version(row.id)
    problems = check_input(definition, input)
    if problems:
        raise InputInvalidError(tuple(problems), within="/input")
    run_id = uuid7()
    facts = _facts(definition, run_id, input, key, labels)
    digest = hashlib.sha256(json.dumps(input, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    if facts.key and (known := _find_started(row.saga_id, facts.key)) is not None:
        return _same(known, facts.key, digest)
    try:
        with transaction.atomic():
            run = _insert(row, definition, run_id, input, digest, facts, by)
            wakeups.ring()
    except IntegrityError:
        known = _find_started(row.saga_id, facts.key)
        if known is None:
            raise
        return _same(known, facts.key, digest)
    return Started(run, is_new=True)


def _find_version(saga: str, number: int | None) -> SagaVersion:
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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What expressions of the definition say of a new run."""

    key: str
    labels: dict[str, str]
    amount: int | None


def _facts(
    definition: Definition, run_id: UUID, value: Json, key: str | None, labels: Mapping[str, str] | None
) -> _Facts:
    scope = Scope(definition, RunState(run=str(run_id), saga=definition.saga, input=value))
    problems: list[Problem] = []

    def rendered(name: str, template: object) -> Json:
        try:
            return template.render(scope)  # type: ignore[attr-defined]
        except ExpressionError as error:
            problems.append(Problem(message=f"`{name}` has no value for this input: {error}", pointer="/input"))
            return None

    if key is None and definition.key is not None:
        key = _text(rendered("key", definition.key))
    found = {name: _text(rendered(f"labels.{name}", one)) for name, one in definition.labels.items()}
    found.update({name: _text(one) for name, one in (labels or {}).items()})
    amount = rendered("amount", definition.amount) if definition.amount is not None else None
    if amount is not None and (not isinstance(amount, int) or isinstance(amount, bool) or abs(amount) > _INTEGER_MAX):
        problems.append(Problem(message=f"`amount` must be a whole number, found {amount!r}.", pointer="/input"))
    if key is not None and len(key) > KEY_LENGTH_MAX:
        message = f"The key has {len(key)} characters; at most {KEY_LENGTH_MAX} are allowed."
        problems.append(Problem(message=message, pointer="/key"))
    if len(found) > LABELS_MAX:
        problems.append(Problem(message=f"{len(found)} labels; at most {LABELS_MAX} are allowed.", pointer="/labels"))
    problems += [
        Problem(message=problem.message, pointer=pointer)
        for pointer, one in (("/key", key), ("/labels", found))
        for problem in check_payload(one)
    ]
    if problems:
        raise InputInvalidError(tuple(problems))
    return _Facts(key or "", found, amount)


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _find_started(saga_id: int, key: str) -> SagaRun | None:
    return SagaRun.objects.select_related("saga", "version").filter(saga_id=saga_id, start_key=key).first()


def _same(run: SagaRun, key: str, digest: str) -> Started:
    if run.input_hash != digest:
        raise KeyReusedError(key, run.id)
    return Started(run, is_new=False)


def _insert(
    version: SagaVersion, definition: Definition, run_id: UUID, value: Json, digest: str, facts: _Facts, by: str
) -> SagaRun:
    now = _clock.now()
    deadline = None if definition.deadline_s is None else now + timedelta(seconds=definition.deadline_s)
    started = m.RunStarted(
        run=str(run_id),
        saga=definition.saga,
        version=version.number,
        input=value,
        by=by,
        key=facts.key,
        labels=facts.labels,
        amount=facts.amount,
        deadline_at=deadline,
        steps=len(definition.steps),
    )
    run = SagaRun.objects.create(
        id=run_id,
        saga=version.saga,
        version=version,
        key=facts.key,
        start_key=facts.key or None,
        labels=facts.labels,
        amount=facts.amount,
        input=value,
        input_hash=digest,
        created_by=by,
        sequence=1,
        revision=1,
        steps_total=len(definition.steps),
        due_at=now,
        created_at=now,
        updated_at=now,
        deadline_at=deadline,
    )
    kind, data = encode(started)
    JournalEntry.objects.create(run=run, sequence=1, kind=kind, data=data, at=now)
    return run


def give_order(
    run_id: UUID,
    verb: Verb,
    *,
    by: str,
    reason: str = "",
    step: str | None = None,
    arguments: Json = None,
    has_arguments: bool = False,
    revision: int | None = None,
) -> SagaRun:
    """Store an order for a run, and return the run; whoever drives it applies the order.

    The order is checked against the stored state with the orders that came
    before it, so that two people never both win.

    Args:
        run_id: the run.
        verb: what to do.
        by: who asks, for the journal.
        reason: why.
        step: which step (retry); all that wait when None.
        arguments: the edited input of that step, with `has_arguments`.
        has_arguments: whether `arguments` counts.
        revision: what the caller saw; refused when the run has moved since.

    Raises:
        RunUnknownError, RevisionStaleError, OrderRefusedError, InputInvalidError.
    """
    if problems := [*check_payload(arguments), *check_payload(reason), *check_payload(step)]:
        raise InputInvalidError(tuple(problems))
    with transaction.atomic():
        run = _lock(run_id)
        if revision is not None and revision != run.revision:
            raise RevisionStaleError(revision, run.revision)
        definition, state = load_version(run.version_id), _foreseen(run)
        now = _clock.now()
        order = m.TakeOrder(
            number=run.inbox_last + 1,
            verb=verb,
            by=by,
            now=now,
            reason=reason,
            step=step,
            arguments=arguments,
            has_arguments=has_arguments,
        )
        why = refusal(definition, state, order)
        if why is not None:
            raise OrderRefusedError(why, status=run.status, allowed=_allowed(definition, state, now))
        _store(run, order, now)
        wakeups.ring()
    return run


def _store(run: SagaRun, order: m.TakeOrder, now: datetime) -> None:
    details: dict[str, Json] = {}
    if order.step is not None:
        details["step"] = order.step
    if order.has_arguments:
        details["with"] = order.arguments
    Order.objects.create(
        run=run, number=order.number, verb=order.verb, details=details, by=order.by, reason=order.reason, at=now
    )
    has_live_lease = run.lease_until is not None and run.lease_until > now
    run.inbox_last = order.number
    run.revision += 1
    run.updated_at = now
    changes = {"inbox_last": F("inbox_last") + 1, "revision": F("revision") + 1, "updated_at": now}
    if not has_live_lease:
        changes["due_at"] = run.due_at = now
    SagaRun.objects.filter(id=run.id).update(**changes)


def allowed_orders(run: SagaRun) -> tuple[Verb, ...]:
    """Return the orders that the run's stored state allows now. `run` needs `saga` and `version` selected."""
    return _allowed(load_version(run.version_id), _foreseen(run), _clock.now())


def find_refusal(run: SagaRun, verb: Verb) -> str | None:
    """Return why the run's stored state does not allow an order now; None when it does."""
    order = m.TakeOrder(number=0, verb=verb, by="", now=_clock.now())
    return refusal(load_version(run.version_id), _foreseen(run), order)


def _allowed(definition: Definition, state: RunState, now: datetime) -> tuple[Verb, ...]:
    return tuple(
        verb for verb in Verb if refusal(definition, state, m.TakeOrder(number=0, verb=verb, by="", now=now)) is None
    )


def _lock(run_id: UUID) -> SagaRun:
    run = SagaRun.objects.select_related("saga", "version").select_for_update(of=("self",)).filter(id=run_id).first()
    if run is None:
        raise RunUnknownError(f"There is no run {run_id}.")
    return run


def _foreseen(run: SagaRun) -> RunState:
    """The state once the orders that wait in the inbox are applied."""
    state = stored.load([run])[run.id]
    if run.inbox_last == run.inbox_done:
        return state
    definition = load_version(run.version_id)
    for order in stored.load_orders([run.id], {run.id: run.inbox_done})[run.id]:
        state = decide(definition, state, stored.as_command(order, order.at)).state
    return state
