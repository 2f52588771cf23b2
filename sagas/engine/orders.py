"""Orders to a run: checked, stored and answered in one short transaction; whoever drives the run applies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from sagas.core import messages as m
from sagas.core.definition import Approval, Definition
from sagas.core.preview import CancelPlan, plan_cancel
from sagas.core.problem import Problem, check_payload, found_text, nearest
from sagas.core.vocabulary import INTERNAL, Json, OutcomeKind, Phase, Verb
from sagas.engine import inbox, journal, stored
from sagas.engine.clock import Clock
from sagas.engine.errors import InputInvalidError, OrderRefusedError, RevisionStaleError, RunUnknownError
from sagas.engine.hiding import sealed_order
from sagas.engine.law import Law, law_of
from sagas.models import SagaRun

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sagas.core.state import RunState
    from sagas.models import Order

NEEDS_REASON = frozenset({Verb.SKIP, Verb.SETTLE, Verb.GIVE_UP, Verb.TERMINATE})
NEEDS_STEP = frozenset({Verb.SKIP, Verb.SETTLE, Verb.APPROVE})
REFERENCE_LENGTH_MAX = 200  # a ticket's number or an address, shown on one line

_FIELDS = {Verb.SIGNAL: ("payload", "reason"), Verb.APPROVE: ("with", "comment")}  # what callers name them

_clock = Clock()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a run, beside the verb.

    Attributes:
        reason: why; required to skip, settle, give up and terminate.
        step: which step, `pay` or `pay[3]`; required to skip, settle and approve; all that apply when None.
        arguments: the edited input of that step (retry), with `has_arguments`.
        phase: which half is settled.
        outcome: what became of it: succeeded, or rejected (it did not happen); of an approval, yes or no.
        output: what a settled or skipped step gives to those after it.
        reference: where the evidence is; required to settle a compensation.
        signal: the name of a signal; `arguments` is what it brings.
    """

    reason: str = ""
    step: str | None = None
    arguments: Json = None
    has_arguments: bool = False
    phase: Phase = Phase.ACTION
    outcome: OutcomeKind = OutcomeKind.SUCCEEDED
    output: Json = None
    reference: str = ""
    signal: str = ""


NOTHING_MORE = Ask()


def give_order(run_id: UUID, verb: Verb, *, by: str, ask: Ask = NOTHING_MORE, revision: int | None = None) -> SagaRun:
    """Store an order for a run, and return the run; whoever drives it applies the order.

    The order is checked against the stored state with the orders that came
    before it, so that two people never both win. *Terminate* is not left to
    others: it ends the run here, and whoever drives it finds its token old.

    Args:
        run_id: the run.
        verb: what to do.
        by: who asks, for the journal.
        ask: to what, and why.
        revision: what the caller saw; refused when the run has moved since.

    Raises:
        RunUnknownError, RevisionStaleError, OrderRefusedError, InputInvalidError.
    """
    if verb in INTERNAL:
        raise ValueError(f"Runs give the order {verb} to each other; nobody else does")
    if problems := _problems(verb, ask):
        raise InputInvalidError(problems)
    with transaction.atomic():
        run = _lock(run_id)
        if revision is not None and revision != run.revision:
            raise RevisionStaleError(revision, run.revision)
        law, waiting = law_of(run.version_id), _waiting(run)
        now = _clock.now()
        order = m.TakeOrder(
            number=run.inbox_last + 1,
            verb=verb,
            by=by,
            now=now,
            reason=ask.reason,
            step=ask.step,
            arguments=ask.arguments,
            has_arguments=ask.has_arguments,
            phase=ask.phase,
            outcome=ask.outcome,
            output=ask.output,
            reference=ask.reference,
            signal=ask.signal,
        )
        if verb is Verb.SIGNAL and law.definition is not None and ask.signal not in law.definition.signals:
            raise InputInvalidError((_unknown_signal(law.definition, ask.signal),))
        state = _foreseen(run, law, waiting)
        why = law.refusal(state, order)
        if why is not None:
            raise OrderRefusedError(why, status=run.status, allowed=_allowed(law, state, now))
        inbox.put(run, sealed_order(law.redaction, order), now)
        if verb is Verb.TERMINATE:
            _end_here(run, law, order, waiting)
    return run


def _problems(verb: Verb, ask: Ask) -> tuple[Problem, ...]:
    brought, why = _FIELDS.get(verb, ("with", "reason"))
    said = {
        brought: ask.arguments, "output": ask.output, why: ask.reason, "step": ask.step, "reference": ask.reference,
    }  # fmt: skip
    problems = [
        Problem(problem.message, path=problem.path, pointer=f"/{name}{problem.pointer}", code=problem.code)
        for name, value in said.items()
        for problem in check_payload(value)
    ]
    is_undo = verb is Verb.SETTLE and ask.phase is Phase.COMPENSATION
    required = (
        ("step", ask.step, verb in NEEDS_STEP, "Say which step."),
        ("reason", ask.reason, verb in NEEDS_REASON, "Say why: it is written down."),
        ("reference", ask.reference, is_undo, "Say where the evidence is: a ticket, a booking, an address."),
    )
    problems += [
        Problem(message, pointer=f"/{name}", code="required")
        for name, value, is_needed, message in required
        if is_needed and not (value or "").strip()
    ]
    if len(ask.reference) > REFERENCE_LENGTH_MAX:
        message = f"A reference has at most {REFERENCE_LENGTH_MAX} characters."
        problems.append(Problem(message, pointer="/reference", code="too_long"))
    if verb in {Verb.SETTLE, Verb.APPROVE} and ask.outcome not in {OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED}:
        problems.append(Problem("An outcome is settled as `succeeded` or `rejected`.", pointer="/outcome"))
    return tuple(problems)


def _unknown_signal(definition: Definition, name: str) -> Problem:
    known = sorted(definition.signals)
    near = nearest(name, known)
    waits_for = f"It waits for {', '.join(f'`{one}`' for one in known)}." if known else "It waits for none at all."
    guess = f" Did you mean `{near}`?" if near else ""
    message = f"The saga waits for no signal named {found_text(name)}. {waits_for}{guess}"
    return Problem(message, pointer="/name", code="signal_unknown")


def _end_here(run: SagaRun, law: Law, order: m.TakeOrder, waiting: list[Order]) -> None:
    """Terminate: take the run from whoever drives it, and write its end."""
    before = stored.load_one(run)
    left = law.leave(before, [stored.as_command(one, order.now) for one in waiting], order.now)
    decision = law.end(left.state, order)
    token = run.token + 1
    SagaRun.objects.filter(id=run.id).update(token=token)
    written = journal.write(
        [
            journal.Append(
                run_id=run.id,
                token=token,
                before=before,
                after=decision.state,
                events=tuple((event, order.now) for event in (*left.events, *decision.events)),
                redaction=law.redaction,
                at=order.now,
                keeps_lease=False,
            )
        ]
    )
    if not written:
        raise AssertionError(f"The journal of run {run.id} does not end where its row says")
    run.refresh_from_db(fields=["status", "revision", "sequence", "finished_at", "due_at", "lease_until", "token"])


def find_group(run_id: UUID, step: str) -> str | None:
    """Return whom an approval asks, a role or a group; None when no step of that name asks for one.

    Raises:
        RunUnknownError, OrderRefusedError: the version cannot be read here, so nobody can say whom it asks.
    """
    run = SagaRun.objects.select_related("saga", "version").filter(id=run_id).first()
    if run is None:
        raise RunUnknownError(f"There is no run {run_id}.")
    law = law_of(run.version_id)
    if law.definition is None:
        raise OrderRefusedError(law.why, status=run.status, allowed=allowed_orders(run))
    found = law.definition.by_name.get(step.partition("[")[0])
    return found.wait.group if found is not None and isinstance(found.wait, Approval) else None


def allowed_orders(run: SagaRun) -> tuple[Verb, ...]:
    """Return the orders that the run's stored state allows now, for some step. `run` needs `saga` and `version`."""
    law = law_of(run.version_id)
    return _allowed(law, _foreseen(run, law, _waiting(run)), _clock.now())


def find_refusal(run: SagaRun, verb: Verb) -> str | None:
    """Return why the run's stored state does not allow an order now; None when it does."""
    law = law_of(run.version_id)
    order = m.TakeOrder(number=0, verb=verb, by="", now=_clock.now())
    return law.refusal(_foreseen(run, law, _waiting(run)), order)


def foresee_cancel(run: SagaRun) -> CancelPlan:
    """Return what a cancel would do now. `run` needs `saga` and `version`; nothing is changed."""
    law = law_of(run.version_id)
    state, now = _foreseen(run, law, _waiting(run)), _clock.now()
    if law.definition is None:
        order = m.TakeOrder(number=0, verb=Verb.CANCEL, by="", now=now)
        return CancelPlan(refusal=law.refusal(state, order) or "")
    return plan_cancel(law.definition, state, now)


def _allowed(law: Law, state: RunState, now: datetime) -> tuple[Verb, ...]:
    return tuple(verb for verb in Verb if verb not in INTERNAL and _is_allowed(law, state, verb, now))


def _is_allowed(law: Law, state: RunState, verb: Verb, now: datetime) -> bool:
    """Whether the verb applies, to the run or to any one step of it."""
    asks = [m.TakeOrder(number=0, verb=verb, by="", now=now)]
    definition = law.definition
    if definition is None:
        pass  # what is about one step is refused whatever the step
    elif verb is Verb.SKIP:
        asks = [m.TakeOrder(number=0, verb=verb, by="", now=now, step=name) for name in definition.by_name]
    elif verb is Verb.SETTLE:
        asks = [
            m.TakeOrder(number=0, verb=verb, by="", now=now, step=str(key), phase=phase)
            for key in state.in_question
            for phase in (Phase.ACTION, Phase.COMPENSATION)
        ]
    elif verb is Verb.APPROVE:
        asks = [m.TakeOrder(number=0, verb=verb, by="", now=now, step=str(key)) for key, _ in state.open]
    elif verb is Verb.SIGNAL:
        asks = [m.TakeOrder(number=0, verb=verb, by="", now=now, signal=name) for name in definition.signals]
    return any(law.refusal(state, one) is None for one in asks)


def _lock(run_id: UUID) -> SagaRun:
    run = SagaRun.objects.select_related("saga", "version").select_for_update(of=("self",)).filter(id=run_id).first()
    if run is None:
        raise RunUnknownError(f"There is no run {run_id}.")
    return run


def _waiting(run: SagaRun) -> list[Order]:
    """Return the orders that nobody has applied yet."""
    if run.inbox_last == run.inbox_done:
        return []
    return stored.load_orders([run.id], {run.id: run.inbox_done})[run.id]


def _foreseen(run: SagaRun, law: Law, waiting: list[Order]) -> RunState:
    """Return the state once the orders that wait in the inbox are applied."""
    return law.foresee(stored.load_one(run), [stored.as_command(order, order.at) for order in waiting])
