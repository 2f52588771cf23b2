"""Callbacks: a service says, by the token it was given, what an attempt came to (rules 16, 20 and 21 of the law).

Like any order it is checked against the stored state with what waits in the inbox,
and stored there as a report; whoever drives the run applies it. Each attempt is
heard once: a callback for one that has said its outcome already changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.db import transaction

from sagas.core import messages as m
from sagas.core.late_reports import counts
from sagas.core.outcome import Succeeded
from sagas.core.problem import Problem, check_payload
from sagas.core.vocabulary import NO_ITEM, OutcomeKind, RunStatus, Verb
from sagas.engine import inbox, stored
from sagas.engine.callback_token import read_token
from sagas.engine.clock import Clock
from sagas.engine.errors import CallbackUnknownError, InputInvalidError
from sagas.engine.hiding import sealed_order, sealed_report
from sagas.engine.law import law_of
from sagas.models import JournalEntry, SagaRun

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.outcome import Outcome
    from sagas.core.state import RunState
    from sagas.core.vocabulary import AttemptKey
    from sagas.engine.law import Law
    from sagas.models import Order

_clock = Clock()


class Heard(StrEnum):
    """What becomes of a callback."""

    COUNTED = "counted"  # it ends its attempt, or settles its step
    KEPT = "kept"  # it comes too late to change anything, and stands in the journal
    KNOWN = "known"  # the attempt's outcome was known already; nothing was written
    ENDED = "ended"  # the run has ended


@dataclass(frozen=True, slots=True)
class Callback:
    """What became of one callback, and in words why it changes nothing."""

    heard: Heard
    why: str = ""


def call_back(token: str, outcome: Outcome) -> Callback:
    """Take what a service says of an attempt.

    Raises:
        CallbackUnknownError: nobody was given this token, or what it is about is gone.
        InputInvalidError: what it brings cannot be kept.
    """
    named = read_token(token)
    if named is None:
        raise CallbackUnknownError
    if problems := _problems(outcome):
        raise InputInvalidError(problems)
    run_id, attempt, edition = named
    late = m.LateReport(attempt, edition, outcome)
    with transaction.atomic():
        rows = SagaRun.objects.select_related("saga", "version").select_for_update(of=("self",))
        run = rows.filter(id=run_id).first()
        if run is None:
            raise CallbackUnknownError
        return _take(run, late)


def _take(run: SagaRun, late: m.LateReport) -> Callback:
    law, waiting = law_of(run.version_id), waiting_orders(run)
    state = law.foresee(stored.load_one(run), [stored.as_command(order, order.at) for order in waiting])
    if state.step(late.key).half(late.attempt.phase).number < late.attempt.number:
        raise CallbackUnknownError  # it was taken back, with the database
    has_spoken = is_known(run.id, late.attempt, waiting)
    if RunStatus(run.status).is_final:
        if not has_spoken:
            _store(run, law, state, late)
        return Callback(Heard.ENDED, f"The run has ended: it is {str(run.status).replace('_', ' ')}.")
    if has_spoken:
        return Callback(Heard.KNOWN, "The outcome of this attempt is known already.")
    _store(run, law, state, late)
    if counts(state, late):
        return Callback(Heard.COUNTED)
    return Callback(Heard.KEPT, "The run has gone on without this attempt: what it came to is kept as evidence.")


def _store(run: SagaRun, law: Law, state: RunState, late: m.LateReport) -> None:
    now = _clock.now()
    by = state.step(late.key).half(late.attempt.phase).accepted_by or _service(law, late.attempt)
    order = m.TakeOrder(number=run.inbox_last + 1, verb=Verb.REPORT, by=by, now=now, step=str(late.key), late=late)
    if law.definition is None:  # nobody here can say what of it is redacted
        order = sealed_report(order)
    inbox.put(run, sealed_order(law.redaction, order), now)


def _service(law: Law, attempt: AttemptKey) -> str:
    """Return who calls back, as far as anybody here can say."""
    step = None if law.definition is None else law.definition.by_name.get(attempt.step)
    half = None if step is None else step.half(attempt.phase)
    return f"try {attempt.number} of {attempt.step_key}" if half is None else getattr(half.action, "service", "")


def is_known(run_id: UUID, attempt: AttemptKey, waiting: list[Order]) -> bool:
    """Whether the attempt has had a definite outcome, or has been reported of before."""
    reports = (stored.as_command(order, order.at).late for order in waiting)
    if any(one is not None and one.attempt == attempt for one in reports):
        return True
    entries = JournalEntry.objects.filter(
        run_id=run_id,
        kind__in=("attempt_ended", "late_report_received"),
        data__step=attempt.step,
        data__number=attempt.number,
    )
    if attempt.item != NO_ITEM:
        entries = entries.filter(data__item=attempt.item)
    return any(
        entry.data["phase"] == attempt.phase
        and entry.data.get("item", NO_ITEM) == attempt.item
        and (entry.kind == "late_report_received" or entry.data["outcome"] != OutcomeKind.UNKNOWN)
        for entry in entries
    )


def waiting_orders(run: SagaRun) -> list[Order]:
    """Return what waits in the inbox of a run, whose row the caller has locked."""
    if run.inbox_last == run.inbox_done:
        return []
    return stored.load_orders([run.id], {run.id: run.inbox_done})[run.id]


def _problems(outcome: Outcome) -> tuple[Problem, ...]:
    """Return what of a callback cannot be kept."""
    if isinstance(outcome, Succeeded):
        name, value = "output", outcome.output
    else:
        name, value = "error/details", outcome.error.details
    return tuple(
        Problem(problem.message, path=problem.path, pointer=f"/{name}{problem.pointer}", code=problem.code)
        for problem in check_payload(value)
    )
