"""The names an expression may use in one place of a document, and what to say of one it may not."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from sagas.core.cel import Environment
from sagas.core.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sagas.core.vocabulary import Json


_WORD = re.compile(r"\w+", re.ASCII)
ITEM_NAMES = ("item", "index")  # known in a step with a list only


@dataclass(frozen=True)
class Names:
    """The names that expressions in one place may use.

    `texts` and `values` are dotted names whose value is always text, or anything.
    `steps` are those that may be read, `later_steps` those that exist but may
    not: only for a better sentence. `mentioned` are words of what is compiled: a long
    saga has thousands of steps, and only those among its words are declared.
    """

    values: tuple[str, ...] = ("input",)
    texts: tuple[str, ...] = ()
    steps: Collection[str] = ()
    later_steps: Collection[str] = ()
    mentioned: frozenset[str] | None = None

    def mentioning(self, words: frozenset[str]) -> Names:
        """Return the same names for something that holds these words and no others."""
        return replace(self, mentioned=words)

    @cached_property
    def declared(self) -> dict[str, bool]:
        """Every name that can be meant, and whether it is always text."""
        return _declared(self.values, self.texts, self._named)

    @cached_property
    def _named(self) -> tuple[str, ...]:
        if self.mentioned is None:
            return tuple(self.steps)
        return tuple(sorted(word for word in self.mentioned if word in self.steps))

    @property
    def environment(self) -> Environment:
        """Where expressions with these names are compiled; made when the first one needs it."""
        return _environment(self.values, self.texts, self._named)

    def split(self, path: str) -> tuple[str, tuple[str, ...]] | None:
        """Return the declared name that `path` begins with and the links after it; None when there is none."""
        links = path.split(".")
        for count in (1, 2, 3):
            name = ".".join(links[:count])
            if name in self.declared:
                return name, tuple(links[count:])
        return None

    def why_unknown(self, path: str) -> str:
        """Return the sentence for a path that begins with no declared name."""
        links = path.split(".")
        if links[0] == "steps" and len(links) > 1:
            return self._why_step_unknown(links)
        if links[0] == "steps":
            return "`steps` alone is not a value. Write `steps.<name>.output` or `steps.<name>.status`."
        if links[0] in ITEM_NAMES:
            return f"`{links[0]}` is known only in a step with `for_each`, and there not in `for_each` and `when`."
        owned = [name for name in self.declared if name.startswith(f"{links[0]}.")]
        near = nearest(".".join(links[:2]) if owned else links[0], owned or self._first_links)
        hint = f" Did you mean `{near}`?" if near else f" Known here: {_listed(owned or self._first_links)}."
        return f"`{path}` is not a name here.{hint}"

    @cached_property
    def _first_links(self) -> list[str]:
        return sorted(
            {name.split(".")[0] for name in (*self.values, *self.texts)} | ({"steps"} if self.steps else set())
        )

    def _why_step_unknown(self, links: list[str]) -> str:
        step = links[1]
        if step in self.later_steps:
            return f"step `{step}` does not come before this place, so it has no output or status to read here."
        if step not in self.steps:
            near = nearest(step, self.steps)
            hint = f" Did you mean `{near}`?" if near else f" Steps that can be read here: {_listed(self.steps)}."
            return f"no step is called `{step}`.{hint}"
        if len(links) == 2:  # noqa: PLR2004 - `steps.<name>` and nothing more
            return f"`steps.{step}` alone is not a value. Write `steps.{step}.output` or `steps.{step}.status`."
        near = nearest(links[2], ("output", "status"), 0.3)
        hint = f" Did you mean `steps.{step}.{near}`?" if near else " It has `output` and `status`."
        return f"a step has no `{links[2]}`.{hint}"


def words_of(source: Json) -> frozenset[str]:
    """Return the words of all text in `source` that holds an expression which reads steps."""
    found: set[str] = set()
    todo = [source]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            if "steps" in part and "${" in part:
                found.update(_WORD.findall(part))
        elif isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return frozenset(found)


def _declared(values: tuple[str, ...], texts: tuple[str, ...], steps: tuple[str, ...]) -> dict[str, bool]:
    found = {**dict.fromkeys(values, False), **dict.fromkeys(texts, True)}
    for step in steps:
        found[f"steps.{step}.output"] = False
        found[f"steps.{step}.status"] = True
    return found


@lru_cache(maxsize=512)
def _environment(values: tuple[str, ...], texts: tuple[str, ...], steps: tuple[str, ...]) -> Environment:
    """Return an environment; steps that read the same names share one."""
    return Environment(_declared(values, texts, steps))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
