"""The order of steps: what comes before what, given the `after` of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def ancestors(after: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    """Return for each step all that come before it, directly or not.

    >>> sorted(ancestors({"a": [], "b": ["a"], "c": ["b"]})["c"])
    ['a', 'b']
    """
    found: dict[str, frozenset[str]] = {}
    for start in after:
        todo = [start]
        while todo:
            name = todo[-1]
            missing = [one for one in after[name] if one in after and one not in found and one not in todo]
            if name not in found and missing:
                todo.extend(missing)
                continue
            todo.pop()
            known = [one for one in after[name] if one in after]
            found.setdefault(name, frozenset(known).union(*(found.get(one, frozenset()) for one in known)))
    return found


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
