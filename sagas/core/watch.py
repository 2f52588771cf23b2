"""What the monitor of a choreographed run remembers: which events came, and what they say of its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from sagas.core.limits import EVENTS_KEPT_MAX
from sagas.core.vocabulary import Json

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Reacting:
    """Why a step of a choreographed run began, and when it should be done."""

    event: Json  # {id, source, type, data, …}, as received
    undoes: str = ""
    late_at: datetime | None = None  # when its own event is usually there
    is_late: bool = False

    @property
    def event_id(self) -> str:
        """The id of the event that it reacts to."""
        return str(self.event["id"])


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that came before the reaction which it answers had begun."""

    id: str
    type: str
    source: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What the events of a run say so far."""

    received: int = 0  # those that came after the end included
    late: int = 0  # those
    is_completed: bool = False
    is_compensated: bool = False
    begun: Mapping[str, int] = field(default_factory=dict)  # how often each reaction began
    kept: tuple[Kept, ...] = ()  # oldest first, a limited number
    undone_first: tuple[str, ...] = ()  # reactions that were undone before they were seen to be done

    def after(self, **changes: Json) -> Watch:
        """Return it with some facts changed."""
        return replace(self, **changes)

    def keeping(self, event: Json) -> tuple[Kept, ...]:
        """Return what is kept, with `event`; the oldest makes way."""
        one = Kept(str(event["id"]), str(event["type"]), str(event.get("source", "")), str(event.get("cause", "")))
        return (*self.kept, one)[-EVENTS_KEPT_MAX:]

    def without(self, event_id: str) -> tuple[Kept, ...]:
        """Return what is kept, without one event."""
        return tuple(one for one in self.kept if one.id != event_id)


def encode_watch(watch: Watch | None) -> Json:
    """Return the stored form."""
    if watch is None:
        return None
    return {
        "received": watch.received,
        "late": watch.late,
        "is_completed": watch.is_completed,
        "is_compensated": watch.is_compensated,
        "begun": dict(watch.begun),
        "kept": [[one.id, one.type, one.source, one.cause] for one in watch.kept],
        "undone_first": list(watch.undone_first),
    }


def decode_watch(data: Json) -> Watch | None:
    """Return it from its stored form."""
    if data is None:
        return None
    return Watch(
        received=data["received"],
        late=data["late"],
        is_completed=data["is_completed"],
        is_compensated=data["is_compensated"],
        begun=dict(data["begun"]),
        kept=tuple(Kept(*row) for row in data["kept"]),
        undone_first=tuple(data["undone_first"]),
    )
