"""A choreography, compiled: who reacts to which event, and how a run of it is told to have ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.definition import Template
    from sagas.core.vocabulary import Json

STYLES = ("orchestration", "choreography")  # the first one is meant where nothing is said
CORRELATION_NAMES = ("event.data", "event.type", "event.source", "event.id", "event.subject", "event.time")


def style_of(document: Json) -> str:
    """Return the style of a document, as it says."""
    return str(document.get("style", STYLES[0])) if isinstance(document, dict) else STYLES[0]


def is_choreography(document: Json) -> bool:
    """Whether services react to events here, and nobody commands."""
    return style_of(document) == STYLES[1]


def event_names(event: Mapping[str, Json]) -> dict[str, Json]:
    """Return what expressions see of an event."""
    return {name: event.get(name.removeprefix("event.")) for name in CORRELATION_NAMES}


class EarlyKind(StrEnum):
    """What becomes of an event that has no run yet."""

    START = "start"
    BUFFER = "buffer"  # kept quietly for a while, then parked
    PARK = "park"  # kept, and shown to people
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Early:
    """What becomes of one type of event that has no run yet."""

    kind: EarlyKind = EarlyKind.PARK
    buffer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one service does on any of the events in `on`; its step in the definition says what is called."""

    name: str
    service: str
    on: tuple[str, ...]
    succeeded: str = ""  # the type of the event that it emits then; empty: none
    rejected: str = ""
    undoes: str = ""  # the reaction that this one undoes
    is_external: bool = False  # the service does it by itself; only watched
    within_s: float | None = None  # usual delay until it emits

    @property
    def emits(self) -> tuple[str, ...]:
        """The types it may emit."""
        return tuple(kind for kind in (self.succeeded, self.rejected) if kind)


@dataclass(frozen=True)
class Choreography:
    """What a document of the style `choreography` says besides its reactions' actions."""

    starts_on: tuple[str, ...]
    correlate: Template
    completes_on: tuple[str, ...]
    compensated_on: tuple[str, ...]
    reactions: tuple[Reaction, ...]
    publishes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # service → types from outside the reactions
    early: Mapping[str, Early] = field(default_factory=dict)  # by type
    early_default: Early = Early()

    @cached_property
    def by_name(self) -> dict[str, Reaction]:
        """Reactions by their name."""
        return {one.name: one for one in self.reactions}

    @cached_property
    def reacting(self) -> dict[str, tuple[Reaction, ...]]:
        """For each type of event, who reacts to it, in document order."""
        found: dict[str, list[Reaction]] = {}
        for one in self.reactions:
            for kind in one.on:
                found.setdefault(kind, []).append(one)
        return {kind: tuple(ones) for kind, ones in found.items()}

    @cached_property
    def emitting(self) -> dict[str, tuple[Reaction, ...]]:
        """For each type of event, which reactions may emit it."""
        found: dict[str, list[Reaction]] = {}
        for one in self.reactions:
            for kind in one.emits:
                found.setdefault(kind, []).append(one)
        return {kind: tuple(ones) for kind, ones in found.items()}

    @cached_property
    def undoing(self) -> dict[str, tuple[Reaction, ...]]:
        """For each reaction that something undoes, what does."""
        found: dict[str, list[Reaction]] = {}
        for one in self.reactions:
            if one.undoes:
                found.setdefault(one.undoes, []).append(one)
        return {name: tuple(ones) for name, ones in found.items()}

    @cached_property
    def publishers(self) -> dict[str, tuple[str, ...]]:
        """For each type of event, the services that publish it: from outside, and as what a reaction emits."""
        found: dict[str, dict[str, None]] = {}
        for service, kinds in self.publishes.items():
            for kind in kinds:
                found.setdefault(kind, {})[service] = None
        for kind, ones in self.emitting.items():
            found.setdefault(kind, {}).update((one.service or one.name, None) for one in ones)
        return {kind: tuple(names) for kind, names in found.items()}

    @cached_property
    def types(self) -> frozenset[str]:
        """Every type of event that the document names."""
        named = {*self.starts_on, *self.completes_on, *self.compensated_on, *self.reacting, *self.emitting}
        return frozenset(named.union(*self.publishes.values()))

    @cached_property
    def others(self) -> tuple[str, ...]:
        """The types published from outside that begin no run, as the document lists them."""
        return tuple(kind for kinds in self.publishes.values() for kind in kinds if kind not in self.starts_on)

    def following(self, kinds: Iterable[str]) -> frozenset[str]:
        """Return these types, and every one that may follow from them."""
        todo = list(kinds)
        found: set[str] = set()
        while todo:
            kind = todo.pop()
            if kind not in found:
                found.add(kind)
                todo.extend(emitted for one in self.reacting.get(kind, ()) for emitted in one.emits)
        return frozenset(found)

    def early_of(self, kind: str) -> Early:
        """Return what becomes of an event of this type that has no run yet."""
        return self.early.get(kind, self.early_default)
