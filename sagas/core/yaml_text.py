"""JSON to YAML that people read, and that our own reader reads back as the same value.

Not the writer of the YAML library: the reader here knows less of YAML (no anchors, no
tags) and resolves words by its own rules, so what may stand without quotes is decided
by those rules. When in doubt a text is quoted.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sagas.core.source import is_plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagas.core.vocabulary import Json

_LINE_LENGTH_MAX = 110  # of a list that stands on one line
_PLAIN = re.compile(r"[\w$./(][\w $./(){}\[\],;=<>+*%^&|?!'\"~@-]*", re.ASCII)
_PLAIN_IN_FLOW = re.compile(r"[\w$./(][\w $./()=<>+*%^&|;~@-]*", re.ASCII)
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def yaml_text(value: Json) -> str:
    """Return `value` as YAML, in block style, keys in the order they have.

    >>> print(yaml_text({"saga": "a", "steps": [{"name": "x", "with": {"id": "${input.id}"}}]}), end="")
    saga: a
    steps:
      - name: x
        with:
          id: ${input.id}
    """
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Json) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _entry(f"{_key(key)}:", part, "  ")
    elif isinstance(value, list) and value:
        for part in value:
            if isinstance(part, dict) and part:
                first, *others = _lines(part)
                yield f"- {first}"
                yield from (f"  {line}" if line else "" for line in others)
            else:
                yield from _entry("-", part, "  ")
    else:
        yield from _entry("", value, "")


def _entry(head: str, value: Json, indent: str) -> Iterator[str]:
    """Yield a key or a dash with its value: on its line where that is short, else below it."""
    space = " " if head else ""
    if isinstance(value, str) and "\n" in value and head and (block := _block(value)):
        yield f"{head} {block[0]}"
        yield from (f"{indent}{line}" if line else "" for line in block[1:])
    elif isinstance(value, dict | list) and value:
        flat = _flat(value) if isinstance(value, list) else None
        if flat is not None:
            yield f"{head}{space}{flat}"
            return
        yield head
        yield from (f"{indent}{line}" if line else "" for line in _lines(value))
    else:
        yield f"{head}{space}{_scalar(value, _PLAIN)}"


def _flat(values: list[Json]) -> str | None:
    """Return a list of short values on one line; None for any other."""
    if any(isinstance(value, dict | list) or (isinstance(value, str) and "\n" in value) for value in values):
        return None
    text = f"[{', '.join(_scalar(value, _PLAIN_IN_FLOW) for value in values)}]"
    return text if len(text) <= _LINE_LENGTH_MAX else None


def _block(text: str) -> list[str] | None:
    """Return the lines of a literal block; None for text that one cannot hold unchanged."""
    if text[0] in " \n\t" or _UNPRINTABLE.search(text):
        return None
    body = text.rstrip("\n")
    keeps = len(text) - len(body)
    lines = body.split("\n") + [""] * max(0, keeps - 1)
    return ["|-" if keeps == 0 else "|" if keeps == 1 else "|+", *lines]


def _key(key: str) -> str:
    return key if _PLAIN_IN_FLOW.fullmatch(key) and key == key.strip() else _quoted(key)


def _scalar(value: Json, plain: re.Pattern[str]) -> str:
    if isinstance(value, str):
        is_plain = plain.fullmatch(value) and value == value.strip() and is_plain_text(value)
        return value if is_plain else _quoted(value)
    return json.dumps(value, allow_nan=False)  # {} and [] as well


def _quoted(text: str) -> str:
    return _UNPRINTABLE.sub(_escaped, json.dumps(text, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
