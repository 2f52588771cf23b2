"""Journal format 1: events to JSON and back; the stored form of the engine's own half states.

An event is stored as its kind (class name in snake_case) and its fields that
differ from their defaults. Unknown fields are ignored on reading, so a journal
written by a newer release with more fields still replays.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sagas.core import messages as m
from sagas.core.state import HalfState
from sagas.core.vocabulary import Json, StepKey
from sagas.core.watch import Reacting

JOURNAL_FORMAT = 1


def kind_of(event_type: type) -> str:
    """Return the stored name of an event class.

    >>> kind_of(m.AttemptStarted)
    'attempt_started'
    """
    return _KINDS[event_type]


def encode(event: m.Event) -> tuple[str, dict[str, Json]]:
    """Return the kind and the data of one event."""
    data: dict[str, Json] = {}
    event_type: type = type(event)
    for name, default, write, _ in _plan(event_type):
        value = getattr(event, name)
        if value is not default and value != default:
            data[name] = write(value) if write is not None else value
    return _KINDS[event_type], data


def decode(kind: str, data: dict[str, Json]) -> m.Event:
    """Return the event of one stored entry.

    Raises:
        KeyError: this release does not know the kind.
    """
    event_type = _TYPES[kind]
    known = {
        name: read(data[name]) if read is not None else data[name]
        for name, _, _, read in _plan(event_type)
        if name in data
    }
    event: m.Event = event_type(**known)
    return event


def encode_half(half: HalfState) -> dict[str, Json]:
    """Return the stored form of one half: its fields that differ from their defaults."""
    data: dict[str, Json] = {}
    for name, default, write, _ in _plan(HalfState):
        value = getattr(half, name)
        if value is not default and value != default:
            data[name] = write(value) if write is not None else value
    return data


def decode_half(data: dict[str, Json]) -> HalfState:
    """Return one half from its stored form."""
    return HalfState(
        **{
            name: read(data[name]) if read is not None else data[name]
            for name, _, _, read in _plan(HalfState)
            if name in data
        }
    )


Convert = Callable[[Any], Any]
FieldPlan = tuple[str, Any, Convert | None, Convert | None]  # name, default, write, read


def encode_reacting(reacting: Reacting) -> dict[str, Json]:
    """Return the stored form of why a step of a choreographed run began."""
    written = ((name, getattr(reacting, name), write) for name, _, write, _ in _plan(Reacting))
    return {name: write(value) if write is not None else value for name, value, write in written if value is not None}


def decode_reacting(data: dict[str, Json]) -> Reacting:
    """Return it from its stored form."""
    plan = (one for one in _plan(Reacting) if one[0] in data)
    return Reacting(**{name: read(data[name]) if read is not None else data[name] for name, _, _, read in plan})


@cache
def _plan(of: type) -> tuple[FieldPlan, ...]:
    hints = typing.get_type_hints(of)
    return tuple((one.name, _default(one), *_converters(hints[one.name])) for one in fields(of))


def _default(one: Field[Any]) -> Any:
    return one.default if one.default is not MISSING else MISSING


def _converters(hint: Any) -> tuple[Convert | None, Convert | None]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = [one for one in typing.get_args(hint) if one is not type(None)] or [Any]
    if hint is datetime:
        return datetime.isoformat, _read_moment
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str, hint
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[0] is StepKey:
        return _write_keys, _read_keys
    if typing.get_origin(hint) is tuple:
        return list, tuple
    return None, None


def _read_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _write_keys(keys: tuple[StepKey, ...]) -> list[list[Json]]:
    return [list(key) for key in keys]


def _read_keys(rows: list[list[Json]]) -> tuple[StepKey, ...]:
    return tuple(StepKey(*row) for row in rows)


_TYPES: dict[str, type] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", event_type.__name__).lower(): event_type for event_type in typing.get_args(m.Event)
}
_KINDS: dict[type, str] = {event_type: kind for kind, event_type in _TYPES.items()}
