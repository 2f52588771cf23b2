"""The order of steps: what comes before what, given the `after` of each."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_TRUTH_OF = bytes.maketrans(b"01", b"\0\1")


class StepSet(AbstractSet[str]):
    """Names of steps, a bit for each: the sets of all steps of a long saga overlap nearly wholly."""

    __slots__ = ("_bits", "_place_of")

    def __init__(self, bits: int = 0, place_of: Mapping[str, int] | None = None) -> None:
        """Hold those names whose place has its bit set in `bits`."""
        self._bits = bits
        self._place_of = place_of or {}

    def __contains__(self, name: object) -> bool:
        """Whether `name` is one of them."""
        place = self._place_of.get(name) if isinstance(name, str) else None
        return place is not None and self._bits >> place & 1 == 1

    def __iter__(self) -> Iterator[str]:
        """Iterate over them in the order of the document."""
        digits = f"{self._bits:b}"[::-1].encode()  # a loop over the bits would take a hundred times as long
        return compress(self._place_of, digits.translate(_TRUTH_OF))

    def __len__(self) -> int:
        """Count them."""
        return self._bits.bit_count()

    @classmethod
    def _from_iterable(cls, names: Iterable[str]) -> AbstractSet[str]:  # type: ignore[override]
        """What `&` and `|` make of two of them."""
        return frozenset(names)


def find_cycle(after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return steps that wait for each other in a circle, each after the next one; empty when there are none.

    >>> find_cycle({"a": ["b"], "b": ["a"], "c": []})
    ('a', 'b')
    """
    done: set[str] = set()
    for start in after:
        path: list[str] = []
        todo = [(start, iter(after[start]))] if start not in done else []
        while todo:
            name, rest = todo[-1]
            if len(path) < len(todo):
                path.append(name)
            following = next((one for one in rest if one in after and one not in done), None)
            if following is None:
                done.add(name)
                path.pop()
                todo.pop()
            elif following in path:
                return tuple(path[path.index(following) :])
            else:
                todo.append((following, iter(after[following])))
    return ()


def ancestors(after: Mapping[str, Sequence[str]]) -> dict[str, StepSet]:
    """Return for each step all that come before it, directly or not.

    >>> sorted(ancestors({"a": [], "b": ["a"], "c": ["b"]})["c"])
    ['a', 'b']
    """
    place_of = {name: place for place, name in enumerate(after)}
    found: dict[str, int] = {}
    for start in after:
        todo, waiting = [start], {start}
        while todo:
            name = todo[-1]
            known = [one for one in after[name] if one in after]
            missing = [one for one in known if one not in found and one not in waiting]
            if name not in found and missing:
                todo.extend(missing)
                waiting.update(missing)
                continue
            waiting.discard(todo.pop())
            if name not in found:
                bits = 0
                for one in known:
                    bits |= 1 << place_of[one] | found.get(one, 0)
                found[name] = bits
    return {name: StepSet(bits, place_of) for name, bits in found.items()}


def layers(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return for each step its column: one behind the last of those it comes after.

    >>> layers({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    {'a': 0, 'b': 1, 'c': 1, 'd': 2}
    """
    before = ancestors(after)
    found: dict[str, int] = {}
    for name in sorted(after, key=lambda one: len(before[one])):  # an ancestor has fewer ancestors
        found[name] = 1 + max((found[one] for one in after[name] if one in found), default=-1)
    return {name: found[name] for name in after}
