"""What a `$ref` within a JSON Schema names. Only the schema itself is looked at (`#/$defs/a`, `#anchor`)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")  # as in addresses


class References:
    """The references of one schema."""

    def __init__(self, root: Json) -> None:
        """Look in `root`, the whole schema."""
        self._root = root

    def find(self, reference: str) -> Json:
        """Return what a local reference names; None for one that names nothing (the validator says so)."""
        pointer = _ESCAPED.sub(_unescaped, reference.removeprefix("#").encode()).decode(errors="replace")
        if pointer and not pointer.startswith("/"):
            return self._anchors.get(pointer)
        found = self._root
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found

    @cached_property
    def _anchors(self) -> dict[str, Json]:
        found: dict[str, Json] = {}
        todo = [self._root]
        while todo:
            part = todo.pop()
            if isinstance(part, dict):
                if isinstance(part.get("$anchor"), str):
                    found.setdefault(part["$anchor"], part)
                todo.extend(part.values())
            elif isinstance(part, list):
                todo.extend(part)
        return found


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())
