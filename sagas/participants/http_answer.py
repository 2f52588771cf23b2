"""What an HTTP answer says of an attempt: the table of docs/reference/participants-http.md, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sagas.core.limits import MESSAGE_LENGTH_MAX
from sagas.core.outcome import NOT_DONE, Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.problem import check_payload, one_line
from sagas.core.retry import RETRY_AFTER_S_MAX
from sagas.core.vocabulary import OutcomeKind, Phase
from sagas.participants.base import Accepted
from sagas.participants.local import REPLY_TOO_LARGE

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

BAD_REPLY = "bad_reply"
NOT_JSON = "is not JSON"
TOO_LARGE = "is too large"

_NO_EFFECT = frozenset({401, 407, 425, 429})
_PERHAPS = frozenset({408})
_SAID = {kind.value: kind for kind in (OutcomeKind.SUCCEEDED, OutcomeKind.REJECTED, OutcomeKind.FAILED)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: headers by their names in small letters, the body decoded; `fault` says why there is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the request its answer is to be read by."""

    service: str
    method: str
    phase: Phase
    is_async: bool = False
    is_unsettled: bool = False  # an earlier attempt under the same key ended unknown


def outcome_of(answer: Answer, asked: Asked, now: datetime) -> Outcome | Accepted:
    """Return what became of the attempt; `now` for a `Retry-After` that names a moment."""
    if asked.phase is Phase.PROBE:
        return _of_probe(answer, asked, now)
    words = {word.strip() for word in answer.headers.get("saga-outcome", "").lower().split(",")}
    said = [_SAID[word] for word in words if word in _SAID]
    if len(said) > 1:
        return Unknown(Error(BAD_REPLY, f"{asked.service} answered {answer.status} and says two different outcomes."))
    if said:
        return _as_said(said[0], answer, asked, now)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        if answer.status == HTTPStatus.ACCEPTED and asked.is_async:
            return Accepted(asked.service)
        return _succeeded(answer, asked)
    if asked.phase is Phase.COMPENSATION and _has_nothing_to_undo(answer, asked):
        return Succeeded()
    return _without_success(answer, asked, now)


def _as_said(said: OutcomeKind, answer: Answer, asked: Asked, now: datetime) -> Outcome:
    if said is OutcomeKind.SUCCEEDED:
        return _succeeded(answer, asked)
    if said is OutcomeKind.REJECTED:
        return Rejected(_error(answer, asked), is_explicit=True)
    return Failed(_error(answer, asked), retry_after_s=retry_after_s(answer, now), settles=True)


def _has_nothing_to_undo(answer: Answer, asked: Asked) -> bool:
    return answer.status == HTTPStatus.GONE or (answer.status == HTTPStatus.NOT_FOUND and asked.method == "DELETE")


def _without_success(answer: Answer, asked: Asked, now: datetime) -> Outcome:
    error, status = _error(answer, asked), answer.status
    if status in _NO_EFFECT:
        return Failed(error, retry_after_s=retry_after_s(answer, now))
    is_in_progress = status == HTTPStatus.CONFLICT and asked.is_unsettled
    is_none = status < HTTPStatus.OK  # no answer is to be expected after 101, and none was given
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PERHAPS or is_in_progress or is_none:
        return Unknown(error, retry_after_s=retry_after_s(answer, now))
    return Rejected(error, is_explicit=False)


def _succeeded(answer: Answer, asked: Asked) -> Outcome:
    """A success whose output cannot be read is none yet: later steps would go on without what they need."""
    output = _json(answer)
    if isinstance(output, _Unreadable):
        code = REPLY_TOO_LARGE if output.why == TOO_LARGE else BAD_REPLY
        return Unknown(Error(code, f"{asked.service} answered {answer.status}, but its reply {output.why}."))
    return Succeeded(output)


def _of_probe(answer: Answer, asked: Asked, now: datetime) -> Outcome:
    if answer.status == HTTPStatus.NOT_FOUND:
        return Failed(Error(NOT_DONE, f"{asked.service} knows nothing of it."), settles=True)
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return Unknown(_error(answer, asked), retry_after_s=retry_after_s(answer, now))
    match _json(answer):
        case {"outcome": "succeeded", **rest}:
            return Succeeded(rest.get("output"))
        case {"outcome": "rejected", **rest}:
            return Rejected(_said_error(rest, f"{asked.service} says that it was refused."), is_explicit=True)
        case {"outcome": "not_done"}:
            return Failed(Error(NOT_DONE, f"{asked.service} says that it never happened."), settles=True)
    message = f"{asked.service} answered a probe with {answer.status}, but not with one of the outcomes it may say."
    return Unknown(Error(BAD_REPLY, message))


def _said_error(said: Mapping[Any, Json], message: str) -> Error:
    detail = said.get("detail")
    return Error("rejected", one_line(detail)[:MESSAGE_LENGTH_MAX] if isinstance(detail, str) and detail else message)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


def _json(answer: Answer) -> Json | _Unreadable:
    if answer.fault:
        return _Unreadable(answer.fault)
    if not answer.body.strip():
        return None
    if "json" not in answer.headers.get("content-type", "application/json").lower():
        return _Unreadable(NOT_JSON)
    try:
        value = json.loads(answer.body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _Unreadable(NOT_JSON)
    if problems := check_payload(value):
        return _Unreadable(TOO_LARGE if problems[0].code == "too_large" else "cannot be kept")
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(name)


def _error(answer: Answer, asked: Asked) -> Error:
    """Return why, in the service's own words where it gave some (RFC 9457)."""
    words = ""
    if "problem+json" in answer.headers.get("content-type", "").lower():
        said = _json(answer)
        if isinstance(said, dict):
            found = (said.get(key) for key in ("detail", "title"))
            words = next((one for one in found if isinstance(one, str) and one.strip()), "")
    phrase = f"{asked.service} answered {answer.status}{_phrase(answer.status)}"
    message = one_line(words)[:MESSAGE_LENGTH_MAX] if words else f"{phrase}."
    return Error(f"http_{answer.status}", message)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def retry_after_s(answer: Answer, now: datetime) -> float | None:
    """Return how long the service asks to wait, in seconds, an hour at most; None when it says nothing readable."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), RETRY_AFTER_S_MAX)
