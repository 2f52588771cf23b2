"""Reactions of a choreographed run: what follows from an event, and from the end of a reaction.

Nobody coordinates: a reaction looks at its event and nothing else. What this
module decides besides is only what is *told* of the run: which event answers
which reaction, what is to be undone, what is undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.evolve_reactions import instance
from sagas.core.limits import EVENT_DEPTH_MAX, EVENTS_PER_RUN_MAX, PAYLOAD_BYTES_MAX
from sagas.core.outcome import Error
from sagas.core.problem import check_payload
from sagas.core.secret_text import scrubbed, secrets_of
from sagas.core.vocabulary import (
    NO_ITEM,
    CompensationStatus,
    Direction,
    Json,
    OutcomeKind,
    Phase,
    StepKey,
    StepStatus,
    WaitingFor,
)

if TYPE_CHECKING:
    from sagas.core.choreography import Choreography, Reaction
    from sagas.core.draft import Draft
    from sagas.core.state import RunState, StepState
    from sagas.core.watch import Kept

EVENT_LOOP = "event_loop"
UNANSWERED = "rejected_unanswered"
SPENT = "reaction_failed"
OVERDUE = "overdue"
REFUSED_BY_EVENT = "rejected_by_event"
_HAPPENED = frozenset({StepStatus.SUCCEEDED, StepStatus.IN_DOUBT})
_UNDONE = frozenset({CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED, CompensationStatus.GIVEN_UP})


def choreography_of(draft: Draft) -> Choreography:
    """Return what the document says of events."""
    found = draft.definition.choreography
    if found is None:
        raise AssertionError(f"{draft.definition.saga} is no choreography")
    return found


# ---- an event comes --------------------------------------------------------


def receive(draft: Draft, event: Json, *, order: int = 0, emitter: StepKey | None = None) -> None:
    """Take an event of this run: reactions to it are to begin, one that it answers ends, and it may end the run.

    An event that comes after the end is delivered like any other: it opens the run
    again when something reacts to it, or when it says that the run is undone after
    all. A run that was terminated stays so.
    """
    chart, state = choreography_of(draft), draft.state
    kind, watch = str(event["type"]), state.watch
    reactions = chart.reacting.get(kind, ())
    is_over = state.status.is_final
    if watch is not None and watch.received >= EVENTS_PER_RUN_MAX:
        reactions = ()
    ends = kind in chart.compensated_on and not (watch is not None and watch.is_compensated)
    opens = is_over and str(state.status) != "terminated" and bool(reactions or ends)
    if opens:
        draft.emit(m.RunReopened())
    is_late = is_over and not opens
    answered = None if is_late or emitter is not None else _answered(draft, kind, event)
    is_kept = not is_late and emitter is None and answered is None and _is_answer(chart, kind)
    keys = () if is_late else _next_instances(draft.state, reactions)
    is_held = bool(keys) and event.get("depth", 0) > EVENT_DEPTH_MAX
    draft.emit(
        m.EventReceived(
            event=event,
            order=order,
            emitter=emitter.step if emitter else "",
            emitter_item=emitter.item if emitter else NO_ITEM,
            keys=keys,
            undoes=tuple(one.undoes for one in reactions) if keys else (),
            within_s=tuple(one.within_s or 0.0 for one in reactions) if keys else (),
            completes=kind in chart.completes_on and not is_late,
            compensates=kind in chart.compensated_on and not is_late,
            is_kept=is_kept,
            is_late=is_late,
            is_held=is_held,
        )
    )
    if is_late:
        return
    if kind in chart.compensated_on or any(one.undoes for one in reactions):
        _expect_undo(draft, kind, emitter)
    for key in keys if is_held else ():
        message = f"More than {EVENT_DEPTH_MAX} events follow from each other: they seem to go round."
        draft.emit(
            m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=EVENT_LOOP, message=message)
        )
    if answered is not None:
        _answer(draft, answered, kind, event)


def _next_instances(state: RunState, reactions: tuple[Reaction, ...]) -> tuple[StepKey, ...]:
    begun = state.watch.begun if state.watch is not None else {}
    return tuple(instance(one.name, begun.get(one.name, 0)) for one in reactions)


def _is_answer(chart: Choreography, kind: str) -> bool:
    """Whether a service that acts by itself may have emitted it."""
    return any(one.is_external for one in chart.emitting.get(kind, ()))


def _answered(draft: Draft, kind: str, event: Json) -> StepKey | None:
    """Return the reaction that waits for this event: the one that it names as its cause before the oldest one."""
    state = draft.state
    answering = {one.name for one in choreography_of(draft).emitting.get(kind, ())}
    waiting = [
        key
        for key, _ in (state.open if answering else ())
        if key.step in answering and state.step(key).action.waits_for is WaitingFor.EVENT
    ]
    if not waiting:
        return None
    cause = event.get("cause")
    return min(waiting, key=lambda key: (_cause_of(state.step(key)) != cause, key.item, key.step))


def _cause_of(step: StepState) -> str:
    return step.reacting.event_id if step.reacting is not None else ""


def _answer(draft: Draft, key: StepKey, kind: str, event: Json) -> None:
    """A service that acts by itself has said what became of a reaction."""
    reaction = choreography_of(draft).by_name[key.step]
    if kind == reaction.succeeded:
        draft.emit(m.WaitEnded(step=key.step, item=key.item, by=str(event.get("source", ""))))
        after_done(draft, key)
    else:
        message = f"{reaction.service or 'The service'} answered with {kind}."
        draft.emit(
            m.StepFailed(
                step=key.step, item=key.item, outcome=OutcomeKind.REJECTED, code=REFUSED_BY_EVENT, message=message
            )
        )


def claim_kept(draft: Draft, key: StepKey) -> None:
    """Give a reaction that has just begun to be waited for the event that came before, when there is one."""
    reaction, watch = choreography_of(draft).by_name[key.step], draft.state.watch
    if watch is None or not watch.kept:
        return
    mine = [one for one in watch.kept if one.type in reaction.emits]
    cause = _cause_of(draft.step(key))
    found: Kept | None = min(mine, key=lambda one: (one.cause != cause, one.cause != ""), default=None)
    if found is not None:
        draft.emit(m.EventClaimed(id=found.id, step=key.step, item=key.item))
        _answer(draft, key, found.type, {"source": found.source})


# ---- a reaction ends -------------------------------------------------------


def after_done(draft: Draft, key: StepKey) -> None:
    """A reaction succeeded: what it undoes is undone; or it may be what is to be undone."""
    chart = choreography_of(draft)
    reaction = chart.by_name[key.step]
    if reaction.undoes:
        _undone(draft, reaction)
        return
    watch = draft.state.watch
    if key.step in chart.undoing and watch is not None and key.step in watch.undone_first:
        _expect(draft, [key])
        draft.emit(m.ReactionUndone(step=key.step, item=key.item, by=chart.undoing[key.step][0].name))
    elif draft.state.direction is Direction.BACKWARD:
        _expect(draft, [key])


def _undone(draft: Draft, by: Reaction) -> None:
    """The oldest time that the other reaction was done and is not undone yet is undone now."""
    done = [key for key in _done(draft.state) if key.step == by.undoes]
    left = [key for key in done if draft.step(key).compensation_status not in _UNDONE]
    if not left:
        draft.emit(m.UndoCameFirst(reaction=by.undoes))
        return
    _expect(draft, [left[0]])
    draft.emit(m.ReactionUndone(step=left[0].step, item=left[0].item, by=by.name))


def succeeded(draft: Draft, key: StepKey) -> None:
    """An action of ours succeeded: say so, then what follows."""
    reaction = choreography_of(draft).by_name[key.step]
    after_done(draft, key)
    if reaction.succeeded:
        _emit(draft, key, reaction.succeeded, draft.step(key).output)


def failed(draft: Draft, key: StepKey, outcome: OutcomeKind, error: Error) -> None:
    """An action of ours ended in a definite failure: a refusal is told to the others, all else to a person."""
    reaction = choreography_of(draft).by_name[key.step]
    draft.emit(m.StepFailed(step=key.step, item=key.item, outcome=outcome, code=error.code, message=error.message))
    if outcome is OutcomeKind.REJECTED and reaction.rejected:
        message = scrubbed(error.message, secrets_of(draft.definition.redaction, draft.state))
        _emit(draft, key, reaction.rejected, {"reason": {"code": error.code, "message": message}})
        return
    code = UNANSWERED if outcome is OutcomeKind.REJECTED else SPENT
    draft.emit(m.AttentionNeeded(step=key.step, item=key.item, phase=Phase.ACTION, code=code))


def _emit(draft: Draft, key: StepKey, kind: str, said: Json) -> None:
    """Emit an event, which this run receives at once; it leaves with the outcome, in one transaction."""
    step = draft.step(key)
    if step.reacting is None:
        raise AssertionError(f"{key} reacts to nothing")
    cause = step.reacting.event
    edition = "" if step.action.edition == 1 else f"#{step.action.edition}"
    event = {
        "id": f"{draft.state.run}:{key}:{kind}{edition}",
        "source": f"/sagas/{draft.definition.saga}/{choreography_of(draft).by_name[key.step].service or key.step}",
        "type": kind,
        "time": draft.now.isoformat(),
        "data": emitted_data(cause.get("data"), said),
        "cause": str(cause["id"]),
        "depth": int(cause.get("depth", 0)) + 1,
    }
    if "subject" in cause:
        event["subject"] = cause["subject"]
    receive(draft, event, emitter=key)


def emitted_data(before: Json, said: Json) -> Json:
    """Return the data of an event that a reaction emits: what it reacted to, with what it gave back put over that.

    Without what it reacted to where both together are more than an event may hold.
    """
    if said is None:
        return before
    if not isinstance(before, dict):
        return said
    data = before | (said if isinstance(said, dict) else {"output": said})
    return said if check_payload(data, bytes_max=PAYLOAD_BYTES_MAX) else data


# ---- what is to be undone --------------------------------------------------


def _done(state: RunState) -> list[StepKey]:
    """Return the reactions that happened or may have, the undoing ones aside, in the order of their times."""
    return sorted(
        (
            key
            for key, step in state.steps.items()
            if step.reacting is not None and not step.reacting.undoes and step.status in _HAPPENED
        ),
        key=lambda key: (key.item, key.step),
    )


def _expect_undo(draft: Draft, kind: str, emitter: StepKey | None) -> None:
    _expect(draft, _done(draft.state), kind, emitter)


def _expect(draft: Draft, keys: list[StepKey], kind: str = "", emitter: StepKey | None = None) -> None:
    """Note that these are to be undone, those that something undoes; the run goes backward from here."""
    undoing = choreography_of(draft).undoing
    fresh = [key for key in keys if draft.step(key).compensation_status is CompensationStatus.NONE]
    is_turn = draft.state.direction is Direction.FORWARD
    if not fresh and not is_turn:
        return
    draft.emit(
        m.UndoExpected(
            undo=tuple(key for key in fresh if key.step in undoing),
            not_needed=tuple(key for key in fresh if key.step not in undoing),
            type=kind,
            emitter=emitter.step if emitter is not None else "",
            is_turn=is_turn,
        )
    )


def left_to_undo(state: RunState) -> list[StepKey]:
    """Return what is to be undone and is not yet."""
    return [key for key, step in state.steps.items() if step.compensation_status is CompensationStatus.PENDING]
