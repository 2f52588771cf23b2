"""Moving a choreographed run on: reactions begin, what is late is said, and the run ends as its events say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import forward, reactions
from sagas.core import messages as m
from sagas.core.reactions import OVERDUE, choreography_of
from sagas.core.vocabulary import Phase, Verb, WaitingFor

if TYPE_CHECKING:
    from sagas.core.draft import Draft
    from sagas.core.vocabulary import StepKey

NOBODY_COMMANDS = "Nobody commands a choreography: publish an event to which its services react."
_NOT_OF_CHOREOGRAPHY = frozenset({Verb.CANCEL, Verb.SKIP, Verb.GIVE_UP, Verb.SIGNAL, Verb.APPROVE})


def refusal(verb: Verb) -> str | None:
    """Return why an order is never given to a choreographed run; None when it may be."""
    return NOBODY_COMMANDS if verb in _NOT_OF_CHOREOGRAPHY else None


def look(draft: Draft) -> None:
    """Say of reactions that they take longer than usual."""
    for key, _ in sorted(draft.state.open):
        reacting = draft.step(key).reacting
        if reacting is None or reacting.is_late or reacting.late_at is None or reacting.late_at > draft.now:
            continue
        draft.emit(m.ReactionOverdue(step=key.step, item=key.item))


def progress(draft: Draft) -> None:
    """Begin what is to begin, and end the run when its events say so and nothing is under way."""
    while draft.state.to_react and not draft.state.is_paused:
        _begin(draft, draft.state.to_react[0])
    _ask_about_deadline(draft)
    _end(draft)


def _begin(draft: Draft, key: StepKey) -> None:
    reaction = choreography_of(draft).by_name[key.step]
    if not reaction.is_external:
        forward.start(draft, key)
        return
    draft.emit(
        m.WaitStarted(step=key.step, item=key.item, waits_for=WaitingFor.EVENT, about={"events": list(reaction.emits)})
    )
    if reaction.emits:
        reactions.claim_kept(draft, key)
    else:  # nothing will ever tell what became of it
        draft.emit(m.StepSkipped(step=key.step, item=key.item, cause="not_observed"))


def _ask_about_deadline(draft: Draft) -> None:
    state = draft.state
    if state.is_overdue and not any(one.code == OVERDUE for one in state.attention):
        draft.emit(m.AttentionNeeded(step="", phase=Phase.ACTION, code=OVERDUE))


def _end(draft: Draft) -> None:
    state, watch = draft.state, draft.state.watch
    if watch is None or state.open or state.to_react or not (watch.is_completed or watch.is_compensated):
        return
    if any(one.code != OVERDUE for one in state.attention):
        return
    if watch.is_compensated and (reactions.left_to_undo(state) or watch.undone_first):
        return
    if state.attention:
        draft.emit(m.AttentionCleared(step="", phase=Phase.ACTION))
    draft.emit(m.RunCompensated() if watch.is_compensated else m.RunCompleted())
