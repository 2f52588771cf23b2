"""CloudEvents 1.0: what we take of one, and what is wrong with one that we do not take.

<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>. Attributes that
this product does not know are accepted and not kept, but for two extensions:
`causationid`, the id of the event that this one follows from, and `correlationid`,
which is for readers only.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sagas.core.limits import EVENT_NAME_LENGTH_MAX, EVENT_TYPE_LENGTH_MAX, PAYLOAD_BYTES_MAX
from sagas.core.problem import Problem, check_payload, found_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.core.vocabulary import Json

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
HEADER_PREFIX = "ce-"
EVENT_TYPE = re.compile(rf"(?=.{{1,{EVENT_TYPE_LENGTH_MAX}}}$)[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_JSON_TYPE = re.compile(r"\s*(?:application|text)/(?:json|[\w.+-]+\+json)\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,40}", re.ASCII)
_CAUSE_LENGTH_MAX = EVENT_NAME_LENGTH_MAX + 100


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event, checked. `time` is in UTC."""

    id: str
    source: str
    type: str
    data: Json = None
    subject: str = ""
    time: datetime | None = None
    cause: str = ""


def is_json(content_type: str) -> bool:
    """Whether data of this content type is JSON; where nothing is said, it is."""
    return not content_type.strip() or _JSON_TYPE.fullmatch(content_type) is not None


def read_structured(value: Json, pointer: str = "") -> tuple[CloudEvent | None, tuple[Problem, ...]]:
    """Read an event in structured mode, one member of a batch.

    Args:
        value: the decoded JSON.
        pointer: where it stands in the request, as a JSON pointer.

    Returns:
        The event, None when something is wrong, and what that is.
    """
    if not isinstance(value, dict):
        return None, (_problem(f"An event is a JSON object; found {found_text(value)}.", pointer, "wrong_type"),)
    problems: list[Problem] = []
    data = value.get("data")
    if "data_base64" in value:
        if "data" in value:
            message = "An event has `data` or `data_base64`, not both."
            problems.append(_problem(message, f"{pointer}/data_base64", "two_kinds"))
        data = _decoded(value["data_base64"], f"{pointer}/data_base64", str(value.get("datacontenttype", "")), problems)
    attributes = {name: one for name, one in value.items() if name not in {"data", "data_base64"}}
    event = _read(attributes, data, pointer, problems)
    return (None if problems else event), tuple(problems)


def read_binary(
    headers: Mapping[str, str], data: Json, content_type: str
) -> tuple[CloudEvent | None, tuple[Problem, ...]]:
    """Read an event in binary mode.

    Args:
        headers: those that begin with `ce-`, without it, in small letters; decoded.
        data: the body: JSON when `content_type` is, else text.
        content_type: of the body.
    """
    problems: list[Problem] = []
    event = _read({**headers, "datacontenttype": content_type}, data, "", problems, is_header=True)
    return (None if problems else event), tuple(problems)


def opaque(raw: bytes) -> str:
    """Return data that is not JSON: as text where it is text in UTF-8, else in base64."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def _read(
    attributes: Mapping[str, Json], data: Json, pointer: str, problems: list[Problem], *, is_header: bool = False
) -> CloudEvent:
    def at(name: str) -> str:
        return f"/headers/{HEADER_PREFIX}{name}" if is_header else f"{pointer}/{name}"

    def text(name: str, length_max: int, *, is_required: bool = True) -> str:
        value = attributes.get(name)
        if value is None and not is_required:
            return ""
        if value is None:
            problems.append(_problem(f"`{name}` is missing.", at(name), "required"))
        elif not isinstance(value, str) or not value.strip():
            problems.append(_problem(f"`{name}` must be text that is not empty.", at(name), "wrong_value"))
        elif len(value) > length_max:
            message = f"`{name}` has {len(value)} characters; at most {length_max} are allowed."
            problems.append(_problem(message, at(name), "too_long"))
        elif check_payload(value) or not value.isprintable():
            message = f"`{name}` holds characters that cannot be shown."
            problems.append(_problem(message, at(name), "wrong_value"))
        else:
            return value
        return ""

    version = attributes.get("specversion")
    if version != SPEC_VERSION:
        said = "it is missing" if version is None else f"found {found_text(version)}"
        problems.append(_problem(f'`specversion` must be "{SPEC_VERSION}"; {said}.', at("specversion"), "wrong_value"))
    event_type = text("type", EVENT_TYPE_LENGTH_MAX)
    if event_type and not EVENT_TYPE.fullmatch(event_type):
        message = (
            f"`type` must be letters, digits, dashes and dots, such as order.placed; found {found_text(event_type)}."
        )
        problems.append(_problem(message, at("type"), "wrong_value"))
    for name in attributes:
        if not _ATTRIBUTE.fullmatch(name):
            message = f"`{name[:40]}` is no attribute of CloudEvents: small letters and digits only."
            problems.append(_problem(message, at(name[:40]), "unknown_key"))
    problems.extend(
        Problem(one.message, pointer=f"{pointer}/data{one.pointer}", code=one.code)
        for one in check_payload(data, bytes_max=PAYLOAD_BYTES_MAX)
    )
    return CloudEvent(
        id=text("id", EVENT_NAME_LENGTH_MAX),
        source=text("source", EVENT_NAME_LENGTH_MAX),
        type=event_type,
        data=data,
        subject=text("subject", EVENT_NAME_LENGTH_MAX, is_required=False),
        time=_moment(attributes.get("time"), at("time"), problems),
        cause=text("causationid", _CAUSE_LENGTH_MAX, is_required=False),
    )


def _moment(value: Json, pointer: str, problems: list[Problem]) -> datetime | None:
    """Return a time in UTC; one that is in no year of UTC cannot be stored."""
    if value is None:
        return None
    try:
        if isinstance(value, str) and _TIME.fullmatch(value.upper()):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = f"`time` must be an RFC 3339 time, such as 2026-07-01T09:00:00Z; found {found_text(value)}."
    problems.append(_problem(message, pointer, "wrong_value"))
    return None


def _decoded(value: Json, pointer: str, content_type: str, problems: list[Problem]) -> Json:
    """Return the data of `data_base64`: JSON where that is its type, text where it is text, else as it was sent."""
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        problems.append(_problem("`data_base64` must be base64.", pointer, "wrong_value"))
        return None
    try:
        return json.loads(raw) if content_type and is_json(content_type) else raw.decode()
    except (ValueError, RecursionError):
        return value


def _problem(message: str, pointer: str, code: str) -> Problem:
    return Problem(message, pointer=pointer, code=code)
