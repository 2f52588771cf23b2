"""Which values of a run nobody is to see: the places that `redact` names, and wherever else they stand.

A step names places in its own input and output. A value that a plain path carries
(`${input.card}`) is the same value at both ends, so it is hidden at both: back where
it came from, and on wherever it goes. What an expression makes of a value
(`${size(input.card)}`) is another value, and its own step's business.

A place is a root, such as `pay.with`, and the keys that lead on from there. `*` is
every key, and every item of a list; a list that a key meets is gone through item by
item. Where a value is not shaped as the path has it, all that is there is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sagas.core.sealed import MASK, Hidden
from sagas.core.vocabulary import Json, Phase

Keys: TypeAlias = tuple[str, ...]
Place: TypeAlias = tuple[str, Keys]

EACH = "*"
INPUT, OUTPUT = "input", "output"  # of the run
EVENT = "event"  # any event of a choreographed run, with its `data`

PLAIN = re.compile(r"\$\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}", re.ASCII)
READ = re.compile(  # in computed expressions and in text
    r"(?<![\w.])(input|item|event|step\.input|step\.output|steps\.\w+\.output)((?:\.[A-Za-z_]\w*)*)", re.ASCII
)


def input_of(step: str, phase: Phase) -> str:
    """Return the root of what a half is called with; a Python probe is called with what the action was."""
    return f"{step}.with" if phase is Phase.ACTION else f"{step}.{phase}.with"


def output_of(step: str, phase: Phase) -> str:
    """Return the root of what a half gives back."""
    return f"{step}.compensation.output" if phase is Phase.COMPENSATION else f"{step}.output"


def items_of(step: str) -> str:
    """Return the root of the list of a step under `for_each`."""
    return f"{step}.items"


def signal_of(name: str) -> str:
    """Return the root of what a signal brings."""
    return f"signal {name}"


@dataclass(frozen=True, slots=True)
class Redaction:
    """The hidden places of one definition, by their root. False when there are none."""

    places: Mapping[str, tuple[Keys, ...]] = field(default_factory=dict)
    count: int = 0  # of all places; above `REDACTED_MAX` they are not all there

    def __bool__(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.places)

    def is_of(self, step: str) -> bool:
        """Whether anything that a step is given or gives back is hidden."""
        return any(root.startswith(f"{step}.") for root in self.places)

    def changed(self, root: str, value: Json, change: Callable[[Json], Json]) -> Json:
        """Return `value`, which stands at `root`, with `change` done to each hidden part; null stays null."""
        for keys in self.places.get(root, ()):
            value = _changed(value, keys, change)
        return value

    def masked(self, root: str, value: Json) -> Json:
        """Return `value` as it may be shown."""
        return self.changed(root, value, lambda _: MASK)

    def hides(self, root: str, keys: Keys) -> bool:
        """Whether all of a place is hidden."""
        return any(begins(keys, hidden) for hidden in self.places.get(root, ()))

    def touches(self, root: str, keys: Keys) -> bool:
        """Whether some of a place is hidden, or all."""
        return any(begins(keys, hidden) or begins(hidden, keys) for hidden in self.places.get(root, ()))

    def reads_hidden(self, text: str, step: str = "") -> Iterator[str]:
        """Yield what an expression or a text, which belongs to `step`, reads of hidden values, as it is written."""
        for found in READ.finditer(text) if "${" in text else ():
            root = root_of(found[1], step)
            if root and self.touches(root, keys_of(found[2])):
                yield found[0]


NOTHING = Redaction()


def leaves(source: Json, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield every text in a value with the keys that lead there; items of a list by their number."""
    if isinstance(source, str):
        yield keys, source
    elif isinstance(source, dict):
        for key, part in source.items():
            yield from leaves(part, (*keys, key))
    elif isinstance(source, list):
        for number, part in enumerate(source):
            yield from leaves(part, (*keys, str(number)))


def root_of(name: str, step: str) -> str:
    """Return the root that a name in an expression of `step` stands for; empty for names of nothing hidden."""
    match name.split("."):
        case ["input" | "event"]:
            return name
        case ["steps", other, "output"]:
            return output_of(other, Phase.ACTION)
        case ["step", "input"]:
            return input_of(step, Phase.ACTION)
        case ["step", "output"]:
            return output_of(step, Phase.ACTION)
        case ["item"]:
            return items_of(step)
    return ""


def keys_of(links: str) -> Keys:
    """Return `.a.b` as keys."""
    return tuple(links.split(".")[1:])


def begins(keys: Keys, start: Keys) -> bool:
    """Whether the place `keys` is at or below `start`."""
    return len(keys) >= len(start) and all(
        one == other or EACH in {one, other} for one, other in zip(keys, start, strict=False)
    )


def _changed(value: Json, keys: Keys, change: Callable[[Json], Json]) -> Json:
    if value is None or isinstance(value, Hidden):
        return value
    if not keys:
        return change(value)
    key, rest = keys[0], keys[1:]
    if isinstance(value, dict):
        return {name: _changed(part, rest, change) if key in {name, EACH} else part for name, part in value.items()}
    if isinstance(value, list):
        if key.isdecimal():
            return [_changed(part, rest, change) if number == int(key) else part for number, part in enumerate(value)]
        below = rest if key == EACH else keys
        return [_changed(part, below, change) for part in value]
    return change(value)
