"""A value that nobody is to see: what stands in its place everywhere but in the hands of a participant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

MASK = "•••"
LOST = "a redacted value cannot be read here: it was sealed with a secret key that is not known any more"
MASKED = f"`{MASK}` stands for a redacted value; there is none in its place here. Give the value."
MARK = (
    "$sealed"  # the only key of the mapping as which a sealed value is stored; refused in all that comes from outside
)


class Hidden(str):
    """A sealed value: whoever shows it or writes it down as text shows `•••`. `token` is what it is sealed as."""

    __slots__ = ("token",)

    token: str

    def __new__(cls, token: str) -> Self:
        """Make the text `•••` that carries `token`."""
        self = super().__new__(cls, MASK)
        self.token = token
        return self

    def __getnewargs__(self) -> tuple[str]:
        """Let copies carry the token too."""
        return (self.token,)


def unmasked(value: Json, before: Json) -> Json:
    """Return `value`, in which `•••` stands for what is in its place in `before`: a person changed the rest of that."""
    if value == MASK and before is not None:
        return before
    if isinstance(value, dict) and isinstance(before, dict):
        return {key: unmasked(part, before.get(key)) for key, part in value.items()}
    if isinstance(value, list) and isinstance(before, list):
        kept = [*before, *[None] * (len(value) - len(before))]
        return [unmasked(part, old) for part, old in zip(value, kept, strict=False)]
    return value


def holds_mask(value: Json) -> bool:
    """Whether some part of `value` is the text `•••`."""
    if isinstance(value, dict | list):
        return any(map(holds_mask, value.values() if isinstance(value, dict) else value))
    return bool(value == MASK)


def as_stored(value: Json) -> Json:
    """Return `value` with its hidden parts as they are stored; a copy only where there are any."""
    if isinstance(value, Hidden):
        return {MARK: value.token}
    if isinstance(value, dict):
        return {key: as_stored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_stored(part) for part in value]
    return value


def from_stored(found: dict[str, Any]) -> Any:
    """Return a mapping that was stored as what it stands for (an `object_hook` of `json.loads`)."""
    if len(found) == 1 and isinstance(token := found.get(MARK), str):
        return Hidden(token)
    return found


def holds_hidden(value: Json) -> bool:
    """Whether some part of `value` is hidden."""
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, Hidden):
            return True
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return False
