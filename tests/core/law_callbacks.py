"""Services that take an attempt on and call back, in the enumeration of the law."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from sagas.core import due
from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.definition import Action, CommandAction, Definition, HttpAction
from sagas.core.outcome import Succeeded
from sagas.core.state import RunState
from sagas.core.vocabulary import AttemptKey, Phase, Verb, WaitingFor
from tests.core.law_late import DEFINITE

BY = "inventory"
CALLS: dict[str, tuple[Action, float]] = {  # by kind of step: what it calls, and its time-out
    "H": (HttpAction("inventory", "POST", is_async=True), 0.0),  # up as soon as somebody looks
    "K": (CommandAction("inventory", "reserve"), 3600.0),  # up in an hour, or a minute after a turn
    "J": (HttpAction("inventory", "POST", is_async=True), 3600.0),  # the pivot
}
CALLED_BACK = "HK"  # of these, those with a compensation, which is called back about as well
T0 = datetime(2026, 1, 1, tzinfo=UTC)
DRAIN = timedelta(seconds=60)


def _calls_back(definition: Definition, attempt: AttemptKey) -> bool:
    half = definition.by_name[attempt.step].half(attempt.phase)
    return half is not None and isinstance(half.action, HttpAction | CommandAction)


def accept(definition: Definition, attempt: AttemptKey, now: datetime) -> Iterator[m.AcceptAttempt]:
    """A service may take an attempt on; it never takes a probe on."""
    if attempt.phase is not Phase.PROBE and _calls_back(definition, attempt):
        yield m.AcceptAttempt(attempt, BY, now, waits_for=WaitingFor.CALLBACK)


def callbacks(definition: Definition, state: RunState, now: datetime) -> Iterator[m.TakeOrder]:
    """What a service may say of what it has in hand, also before its answer to the request is written."""
    for key, phase in sorted(state.open):
        half = state.step(key).half(phase)
        attempt = AttemptKey(key.step, key.item, phase, half.number)
        if phase is Phase.PROBE or not half.is_out or not _calls_back(definition, attempt):
            continue
        for outcome in DEFINITE:
            late = m.LateReport(attempt, half.edition, outcome)
            yield m.TakeOrder(state.inbox_done + 1, Verb.REPORT, BY, now, step=str(key), late=late)


def next_moment(state: RunState) -> datetime | None:
    """Return when time alone moves a half on; None when it moves none."""
    halves = [state.step(key).half(phase) for key, phase in state.open]
    moments = [half.due_at for half in halves if half.due_at and (half.is_called_back or not state.is_paused)]
    return min(moments, default=None)


def misjudged(state: RunState, journal: Iterable[tuple[m.Event, datetime]]) -> list[str]:
    """Return what is wrong with how long callbacks are waited for."""
    turned_at = max((at for event, at in journal if isinstance(event, m.TurnRequested)), default=None)
    found = [
        f"L1 {key} is due, though nothing of it is under way"
        for key, step in state.steps.items()
        for phase in (Phase.ACTION, Phase.COMPENSATION)
        if step.half(phase).due_at is not None and (key, phase) not in state.open
    ]
    for key, phase in state.open:
        half = state.step(key).half(phase)
        if not half.is_called_back:
            continue
        until = (half.started_at or T0) + timedelta(seconds=half.timeout_s)
        if half.due_at is None:
            found.append(f"L1 {key} waits for a callback for ever")
            continue
        if half.due_at > until:
            found.append(f"R2 {key} waits for a callback beyond its time-out")
        if state.is_turning and phase is Phase.ACTION and turned_at and half.due_at > turned_at + DRAIN:
            found.append(f"R2 {key} waits for a callback more than a minute after the turn")
        if not state.is_turning and half.due_at != until:
            found.append(f"R2 {key} is not given its whole time to call back")
        look_at = due.due_at(state)
        if not state.is_unreadable and (look_at is None or look_at > half.due_at):
            found.append(f"L1 nobody is told when {key} has waited long enough")
    return found


def is_stale_heard(definition: Definition, after: RunState, command: m.Command) -> list[str]:
    """Return what is wrong with the answer to a request whose outcome was called back before it was written."""
    late = command.late if isinstance(command, m.TakeOrder) else None
    if late is None or late.attempt.phase is Phase.PROBE:
        return []
    if after.step(late.key).half(late.attempt.phase).is_out:
        return []
    answers: tuple[m.Command, ...] = (
        m.AcceptAttempt(late.attempt, BY, command.now, waits_for=WaitingFor.CALLBACK),
        m.ReportOutcome(late.attempt, Succeeded(), command.now),
    )
    if any(decide(definition, after, answer).events for answer in answers):
        return ["S4 an answer counted although the attempt had ended by its callback"]
    return []
