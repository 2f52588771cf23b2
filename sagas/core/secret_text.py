"""Texts that tell a hidden value although nobody meant to: error messages, and what is wrong with an input."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from sagas.core.redaction import EVENT, INPUT, OUTPUT, Redaction, input_of, items_of, output_of, signal_of
from sagas.core.sealed import MASK, Hidden
from sagas.core.vocabulary import NO_ITEM, Json, Phase

if TYPE_CHECKING:
    from sagas.core.messages import Event
    from sagas.core.state import RunState

SHORTEST = 4  # shorter values stand in every other sentence
CUT_SHORTEST = 8  # of a value at the end of a text that was cut

_TELLING = ("message", "details", "output_error")  # fields of events that hold what somebody else wrote
Telling = TypeVar("Telling", bound="Event")


def without_secrets(event: Telling, redaction: Redaction, state: RunState) -> Telling:
    """Return an event whose texts tell nothing of what is hidden in the run's state."""
    said = {one.name: value for one in fields(event) if one.name in _TELLING and (value := getattr(event, one.name))}
    if not said:
        return event
    secrets = secrets_of(redaction, state)
    if not secrets:
        return event
    return replace(event, **{name: scrubbed(value, secrets) for name, value in said.items()})


def secrets_of(redaction: Redaction, state: RunState) -> tuple[str, ...]:
    """Return the hidden values of a run as they may stand in a text, the longest first."""
    found: set[str] = set()
    for root, value in _roots(state):
        found |= secrets_in(redaction, root, value)
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def secrets_in(redaction: Redaction, root: str, value: Json) -> set[str]:
    """Return the hidden parts of one value as they may stand in a text."""
    found: set[str] = set()

    def collect(part: Json) -> Json:
        found.update(_texts(part))
        return part

    redaction.changed(root, value, collect)
    return found


def scrubbed(value: Json, secrets: Iterable[str]) -> Json:
    """Return a text, or the texts in a value, with `•••` where a secret stands."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
            if (length := _cut(value, secret)) is not None:
                value = value[:-length] + MASK
        return value
    if isinstance(value, dict):
        return {key: scrubbed(part, secrets) for key, part in value.items()}
    if isinstance(value, list):
        return [scrubbed(part, secrets) for part in value]
    if value is None or isinstance(value, bool):
        return value
    return MASK if str(value) in secrets else value


def _cut(text: str, secret: str) -> int | None:
    """Return how much of the beginning of `secret` stands at the end of `text`, as it does when that was cut."""
    start = text.rfind(secret[:CUT_SHORTEST]) if len(secret) > CUT_SHORTEST else -1
    return len(text) - start if start >= 0 and secret.startswith(text[start:]) else None


def _texts(part: Json) -> Iterator[str]:
    todo = [part]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
        elif one is not None and not isinstance(one, bool | Hidden):
            text = str(one)
            if len(text) >= SHORTEST:
                yield from {text, json.dumps(text)[1:-1], repr(text)[1:-1]}


def _roots(state: RunState) -> Iterator[tuple[str, Json]]:
    yield INPUT, state.input
    yield OUTPUT, state.output
    for signal in state.signals:
        yield signal_of(signal.name), signal.payload
    for key, step in state.steps.items():
        is_list = key.item == NO_ITEM and step.action.items_total is not None
        yield items_of(key.step) if is_list else input_of(key.step, Phase.ACTION), step.action.input
        if step.reacting is not None:
            yield EVENT, step.reacting.event
        yield input_of(key.step, Phase.COMPENSATION), step.compensation.input
        yield input_of(key.step, Phase.PROBE), step.probe.input
        yield output_of(key.step, Phase.ACTION), step.output
        yield output_of(key.step, Phase.ACTION), step.action.late_output
        yield output_of(key.step, Phase.COMPENSATION), step.compensation.late_output
