"""What is wrong with a document or a value: where, what was expected, what was found."""

from __future__ import annotations

import json
import math
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from sagas.core.cel import INT64
from sagas.core.limits import JSON_DEPTH_MAX, KIB, MESSAGE_LENGTH_MAX, PAYLOAD_BYTES_MAX, PROBLEMS_MAX
from sagas.core.sealed import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagas.core.vocabulary import Json

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]  # line and column, both from 1

_LONG_NUMBER = re.compile(r"\d{19}|\de\+?\d", re.ASCII)  # may be beyond 64 bits
_FOUND_LENGTH_MAX = 60
_INT_BITS_MAX = 64
_GUESSES_MAX = 40  # of one document: a quarter of a second at worst
_FLOAT_MAX = 1e16  # from here on a float is written with an exponent
_LISTED_MAX = 20  # more names than this are a wall, not a hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1 and are None where there is no text."""

    message: str  # a whole sentence
    path: str = ""  # for people: steps[2].retry.atempts
    pointer: str = ""  # for programs, RFC 6901: /steps/2/retry/atempts
    line: int | None = None
    column: int | None = None
    code: str = "invalid"

    def __str__(self) -> str:
        where = self.path or "document"
        if self.line is not None:
            where += f" (line {self.line}, column {self.column})"
        return f"{where}: {self.message}"


def path_text(path: Path) -> str:
    """Return a path as people read it.

    >>> path_text(("steps", 2, "retry"))
    'steps[2].retry'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return sayable(text.removeprefix("."))


def pointer_text(path: Path) -> str:
    """Return a path as a JSON Pointer (RFC 6901).

    >>> pointer_text(("a/b", 0))
    '/a~1b/0'
    """
    return sayable("".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path))


def sayable(text: str) -> str:
    """Return text that can be sent: halves of surrogate pairs, which a document may hold, become `?`."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def one_line(text: str) -> str:
    """Return text for a journal entry: bounded, one line, nothing that a database or a terminal refuses."""
    return "".join(character if character.isprintable() else " " for character in text[:MESSAGE_LENGTH_MAX]).strip()


@dataclass
class Report:
    """Collects problems and warnings about one document, and knows where each of its parts stands."""

    places: dict[Path, Place] = field(default_factory=dict)  # of values
    key_places: dict[Path, Place] = field(default_factory=dict)  # of the keys that hold them
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(self, path: Path, code: str, message: str, *, at_key: bool = False) -> None:
        """Note an error."""
        self.problems.append(self._problem(path, code, message, at_key=at_key))

    def warning(self, path: Path, code: str, message: str) -> None:
        """Note something that is allowed but seldom meant."""
        self.warnings.append(self._problem(path, code, message, at_key=False))

    def _problem(self, path: Path, code: str, message: str, *, at_key: bool) -> Problem:
        place = self.key_places.get(path) if at_key else None
        nearest = path
        while place is None and nearest not in self.places and nearest:
            nearest = nearest[:-1]
        line, column = place or self.places.get(nearest) or (None, None)
        message = sayable(message[:1].upper() + message[1:])
        return Problem(message, path_text(path), pointer_text(path), line, column, code)


_guesses_left: ContextVar[list[int] | None] = ContextVar("guesses_left", default=None)


@contextmanager
def few_guesses() -> Iterator[None]:
    """Within this, `nearest` is tried for the first mistakes only: comparing texts is slow, and a document is long."""
    token = _guesses_left.set([_GUESSES_MAX])
    try:
        yield
    finally:
        _guesses_left.reset(token)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `name` was probably meant to be; None when none is near."""
    left = _guesses_left.get()
    if left is not None:
        if left[0] <= 0:
            return None
        left[0] -= 1
    alike = [one for one in known if abs(len(one) - len(name)) <= max(3, len(name) // 2)]
    return next(iter(get_close_matches(name, alike, n=1, cutoff=cutoff)), None)


def hint(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean …?` with the nearest known name, or the list of them when it is short."""
    known = list(known)
    near = nearest(name, known, 0.5)
    if near:
        return f" Did you mean `{near}`?"
    if not 0 < len(known) <= _LISTED_MAX:
        return ""
    return f" Known: {', '.join(f'`{one}`' for one in known)}."


def found_text(value: Json) -> str:
    """Return what was found, short enough for a sentence."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value:.20g}" if isinstance(value, float) else f"the number {str(value)[:30]}"
    if isinstance(value, str):
        short = value if len(value) <= _FOUND_LENGTH_MAX else value[:_FOUND_LENGTH_MAX] + "…"
        return f'"{short}"'
    return "a list" if isinstance(value, list) else "a mapping"


def check_payload(value: Json, *, bytes_max: int = PAYLOAD_BYTES_MAX) -> tuple[Problem, ...]:
    """Check JSON that comes from outside: what neither database nor the expressions could keep unchanged.

    Refused: the key of sealed values, nesting beyond 64, U+0000, lone surrogates, numbers beyond 64 bits
    or not finite, and more than `bytes_max` bytes as compact UTF-8 JSON.
    """
    if _is_plainly_fine(value, bytes_max):
        return ()
    problems: list[Problem] = []
    size = 0
    for path, part, cost in _walk(value):
        size += cost
        if code_message := _fault(path, part):
            problems.append(Problem(code_message[1], path_text(path), pointer_text(path), code=code_message[0]))
            if len(problems) >= PROBLEMS_MAX:
                break
    if size > bytes_max:
        problems.append(
            Problem(f"This is {-(-size // KIB)} KiB; at most {bytes_max // KIB} KiB are allowed.", code="too_large")
        )
    return tuple(problems)


def _is_plainly_fine(value: Json, bytes_max: int) -> bool:
    """Whether a value is fine at first sight, as nearly all are; five times as fast as looking at every part."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        return False
    return (
        size <= bytes_max
        and (text.count("[") + text.count("{") <= JSON_DEPTH_MAX or _is_shallow(value))
        and "\\u0000" not in text
        and MARK not in text
        and _LONG_NUMBER.search(text) is None
        and json.loads(text) == value  # else keys that are not text, or tuples
    )


def _is_shallow(value: Json) -> bool:
    """Whether nothing is nested too deeply, looking at lists and mappings only, level by level."""
    level: list[Json] = [value]
    for _ in range(JSON_DEPTH_MAX):
        parts = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [each for part in parts for each in part if isinstance(each, dict | list)]
        if not level:
            return True
    return not any(level)


def _walk(value: Json) -> Iterator[tuple[Path, Json, int]]:
    """Yield every part with its path and its own bytes; without recursion, and not below the depth limit."""
    stack: list[tuple[Path, Json]] = [((), value)]
    while stack:
        path, part = stack.pop()
        if isinstance(part, str):
            yield path, part, len(part.encode("utf-8", "surrogatepass")) + 2
        elif isinstance(part, dict | list):
            yield path, part, 2 + max(0, len(part) - 1)
            if len(path) >= JSON_DEPTH_MAX:
                continue
            if isinstance(part, list):
                stack.extend(((*path, number), each) for number, each in reversed(list(enumerate(part))))
                continue
            for key, each in reversed(part.items()):
                stack.append(((*path, str(key)), each))
            yield from (((*path, str(key)), key, len(str(key).encode("utf-8", "surrogatepass")) + 3) for key in part)
        else:
            is_huge = isinstance(part, int) and part.bit_length() > _INT_BITS_MAX  # Python limits the digits it writes
            yield path, part, 20 if is_huge else len(str(part))


def _fault(path: Path, part: Json) -> tuple[str, str] | None:
    match part:
        case None | bool():
            return None
        case str():
            return _text_fault(part)
        case dict() | list() if part and len(path) >= JSON_DEPTH_MAX:
            return "too_deep", f"This is nested deeper than {JSON_DEPTH_MAX} levels."
        case dict() if MARK in part:
            return "reserved", f"A mapping must not have the key `{MARK}`: redacted values are stored as one."
        case dict() if not all(isinstance(key, str) for key in part):
            return "key_not_text", "Keys must be text."
        case int() if part not in INT64:
            return "number_too_large", "Whole numbers must fit into 64 bits."
        case float() if not math.isfinite(part):
            return "not_finite", "Numbers must be finite."
        case float() if abs(part) >= _FLOAT_MAX:  # PostgreSQL would give it back as a whole number, SQLite as it was
            return "number_too_large", "Numbers from 10^16 on must be whole and written without point and exponent."
        case dict() | list() | int() | float():
            return None
    return "not_json", f"A {type(part).__name__} is not JSON."


def _text_fault(text: str) -> tuple[str, str] | None:
    if "\0" in text:
        return "nul", "Text must not contain the character U+0000."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "surrogate", "Text must not contain half of a surrogate pair."
    return None
