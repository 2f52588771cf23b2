"""Text to JSON: YAML 1.2 or JSON, with the line and column of every part.

Built from the parser's events and not by its loader, because a document must
say where each fault stands, and because much of YAML has no place in it:
anchors and aliases (a few lines can unfold into gigabytes), tags, directives,
several documents, and the same key twice are refused.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml import events as yaml_events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sagas.core.limits import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_PARTS_MAX,
    JSON_DEPTH_MAX,
    KIB,
    YAML_BYTES_MAX,
    YAML_PARTS_MAX,
)
from sagas.core.problem import Path, Place, Report, check_payload, pointer_text
from sagas.core.vocabulary import Json

_INT = re.compile(r"[-+]?[0-9]{1,40}", re.ASCII)
_OTHER_INT = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBERS = (_INT, _OTHER_INT, _NOT_FINITE, _FLOAT)
_EXACT = 2**53  # whole numbers below are exact as doubles
_WORDS: dict[str, Json] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class _StopReadingError(Exception):
    """The rest of the text cannot be understood."""


def read_source(text: str) -> tuple[Json, Report]:
    """Read `text`; the value is only good when the report has no problems."""
    report = Report()
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        report.error((), "surrogate", "The text contains half of a surrogate pair.")
        return None, report
    is_json, value = _json(text) if size <= DOCUMENT_BYTES_MAX else (False, None)
    if size > YAML_BYTES_MAX and not is_json:
        most = f"at most {YAML_BYTES_MAX // KIB} are allowed as YAML, {DOCUMENT_BYTES_MAX // KIB} as JSON"
        report.error((), "too_large", f"The document has {-(-size // KIB)} KiB; {most}.")
        return None, report
    reader = _Reader(report)
    is_placed = not is_json or (size <= YAML_BYTES_MAX and _count(value) <= YAML_PARTS_MAX)
    if is_placed:
        _read_yaml(text.replace("\t", " ") if is_json else text, reader)
    elif _count(value) > DOCUMENT_PARTS_MAX:
        report.error((), "too_many_parts", f"The document has more than {DOCUMENT_PARTS_MAX} keys and values.")
    if is_json:  # JSON's own reader knows what the text means; YAML's only where each part stands
        report.problems = [problem for problem in report.problems if problem.code == "too_many_parts"]
    else:
        value = reader.value
    if not report.problems:
        faults = check_payload(value, bytes_max=4 * DOCUMENT_BYTES_MAX)
        paths = {pointer_text(path): path for path in report.places} if faults else {}
        for fault in faults:
            report.error(paths.get(fault.pointer, ()), fault.code, fault.message)
    return value, report


def _read_yaml(text: str, reader: _Reader) -> None:
    report = reader.report
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            reader.take(event)
    except _StopReadingError:
        pass
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None:
            report.places[()] = (mark.line + 1, mark.column + 1)
        report.error((), "syntax", f"This is not YAML: {error.problem or error.context}.")
    except (YAMLError, ValueError) as error:
        report.error((), "syntax", f"This is not YAML: {' '.join(str(error).split())[:200]}.")


def is_plain_text(text: str) -> bool:
    """Whether `text`, without quotes, is text: no word such as `true`, and no number."""
    return text not in _WORDS and not any(number.fullmatch(text) for number in _NUMBERS)


def _json(text: str) -> tuple[bool, Json]:
    """Return whether `text` is JSON, and its value."""
    if not text.lstrip().startswith("{"):
        return False, None
    try:
        return True, json.loads(text, object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False, None


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError  # the YAML reader says which key is there twice, and where
    return found


def _count(value: Json) -> int:
    """Count keys and values, about as the YAML reader does."""
    todo, count = [value], 0
    while todo and count <= DOCUMENT_PARTS_MAX:
        part = todo.pop()
        count += 2
        if isinstance(part, dict):
            count += len(part)
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)
    return count


def _refuse(text: str) -> Json:
    raise ValueError(text)


def _number(text: str) -> int | float:
    """Return a whole number where the text means one: 1.0 and 1 are the same in JSON Schema and in a hash."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


class _Open:
    """A list or mapping that is being read."""

    __slots__ = ("key", "path", "value")

    def __init__(self, value: Json, path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None


class _Reader:
    """Builds one value out of the parser's events, without recursion."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.value: Json = None
        self._open: list[_Open] = []
        self._documents = 0
        self._parts = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        self._parts += 1
        if self._parts > YAML_PARTS_MAX:
            message = f"The document has more than {YAML_PARTS_MAX} keys and values; as JSON it may have more."
            self._stop(event, "too_many_parts", message)
        match event:
            case yaml_events.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "several_documents", "One document is expected; a second one begins here.")
                if event.version or event.tags:
                    self._stop(event, "directive", "Directives (lines that begin with %) are not accepted.")
            case yaml_events.AliasEvent():
                self._stop(event, "alias", f"Aliases are not accepted; found `*{event.anchor}`. Write the value out.")
            case yaml_events.ScalarEvent():
                self._check_marks(event)
                self._scalar(event)
            case yaml_events.MappingStartEvent() | yaml_events.SequenceStartEvent():
                self._check_marks(event)
                self._begin({} if isinstance(event, yaml_events.MappingStartEvent) else [], event)
            case yaml_events.MappingEndEvent() | yaml_events.SequenceEndEvent():
                self._open.pop()

    def _check_marks(self, event: Any) -> None:
        if event.anchor:
            self._stop(event, "anchor", f"Anchors are not accepted; found `&{event.anchor}`. Write the value out.")
        tag = event.ctag or event.tag
        if tag and str(tag) != "!":
            self._stop(event, "tag", f"Tags are not accepted; found `{tag}`.")

    def _begin(self, value: Json, event: Any) -> None:
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            self._stop(event, "key_not_text", "A key must be text, not a list or a mapping.")
        path = self._put(value, event)
        if len(path) >= JSON_DEPTH_MAX:
            self._stop(event, "too_deep", f"The document is nested deeper than {JSON_DEPTH_MAX} levels.")
        self._open.append(_Open(value, path))

    def _scalar(self, event: Any) -> None:
        holder = self._open[-1] if self._open else None
        if holder is None or isinstance(holder.value, list) or holder.key is not None:
            self._put(self._resolved(event), event)
            return
        path = (*holder.path, event.value)
        if event.value in holder.value:
            line = self.report.key_places[path][0]
            self.report.key_places[path] = _place(event)
            self.report.error(
                path, "duplicate_key", f"`{event.value}` is given twice; the first is on line {line}.", at_key=True
            )
        self.report.key_places[path] = _place(event)
        holder.key = event.value

    def _put(self, value: Json, event: Any) -> Path:
        path: Path = ()
        if not self._open:
            self.value = value
        else:
            holder = self._open[-1]
            if isinstance(holder.value, list):
                path = (*holder.path, len(holder.value))
                holder.value.append(value)
            else:
                path = (*holder.path, str(holder.key))
                holder.value[holder.key] = value
                holder.key = None
        self.report.places[path] = _place(event)
        return path

    def _resolved(self, event: Any) -> Json:
        """Return what a scalar means in the core schema of YAML 1.2; times stay text."""
        text = event.value
        if not event.implicit[0] or is_plain_text(text):  # quoted or block text, or no word and no number
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text)
        if _OTHER_INT.fullmatch(text):
            return int(text, 0)
        if _NOT_FINITE.fullmatch(text):
            self._stop(event, "not_finite", f"Numbers must be finite; found `{text}`.")
        return _number(text)

    def _stop(self, event: Any, code: str, message: str) -> None:
        self.report.places[()] = _place(event)
        self.report.error((), code, message)
        raise _StopReadingError


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1
