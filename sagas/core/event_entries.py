"""The lines of the journal that only choreographed runs have. A part of `events.py`, whose rules hold here too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sagas.core.vocabulary import NO_ITEM, Json, StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReceived:
    """An event of this run came: from outside by the order numbered `order`, or from a reaction here, `emitter`.

    `event` is `{id, source, type, data, subject?, time?, cause?, depth?}`; `cause` is the
    id of the event that it follows from, `depth` how many there are before it.
    `keys` are the reactions to it that begin, `is_late` says that the run had ended and stays so.
    """

    event: Json
    order: int = 0
    emitter: str = ""
    emitter_item: int = NO_ITEM
    keys: tuple[StepKey, ...] = ()
    undoes: tuple[str, ...] = ()  # beside each of `keys`: the reaction that it undoes, or nothing
    within_s: tuple[float, ...] = ()  # beside each of `keys`: how long it usually takes, in seconds; 0: nobody said
    completes: bool = False
    compensates: bool = False
    is_kept: bool = False  # it may answer a reaction that has not begun yet
    is_late: bool = False
    is_held: bool = False  # the reactions wait for a person: it is one of a loop


@dataclass(frozen=True, slots=True, kw_only=True)
class EventClaimed:
    """An event that was kept is what this reaction, which began after it came, was to emit."""

    id: str
    step: str
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoExpected:
    """An event came after which what was done is undone: by reactions to events, which nobody commands."""

    undo: tuple[StepKey, ...] = ()
    not_needed: tuple[StepKey, ...] = ()
    type: str = ""  # of the event
    emitter: str = ""  # the reaction that emitted it
    is_turn: bool = False  # it is the first one


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionUndone:
    """A reaction that was done is undone, by another one."""

    step: str
    by: str
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoCameFirst:
    """A reaction undid what was not seen to be done yet; it counts as soon as that is."""

    reaction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionOverdue:
    """A reaction took longer than it usually does until its event."""

    step: str
    item: int = NO_ITEM


EventEntry: TypeAlias = EventReceived | EventClaimed | UndoExpected | ReactionUndone | UndoCameFirst | ReactionOverdue
