"""The names an expression may use in one place of a document, and what to say of one it may not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sagas.core.cel import Environment
from sagas.core.problem import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable


ITEM_NAMES = ("item", "index")  # known in a step with a list only


@dataclass(frozen=True)
class Names:
    """The names that expressions in one place may use.

    `texts` and `values` are dotted names whose value is always text, or anything.
    `steps` are those that may be read, `later_steps` those that exist but may
    not: only for a better sentence.
    """

    values: tuple[str, ...] = ("input",)
    texts: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    later_steps: frozenset[str] = frozenset()

    @cached_property
    def declared(self) -> dict[str, bool]:
        """Every name, and whether it is always text."""
        found = {**dict.fromkeys(self.values, False), **dict.fromkeys(self.texts, True)}
        for step in self.steps:
            found[f"steps.{step}.output"] = False
            found[f"steps.{step}.status"] = True
        return found

    @cached_property
    def environment(self) -> Environment:
        """Where expressions with these names are compiled; made when the first one needs it."""
        return Environment(self.declared)

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
        return sorted({name.split(".")[0] for name in self.declared})

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


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
