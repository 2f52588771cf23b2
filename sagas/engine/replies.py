"""Replies to commands: what stands in the queue of replies, taken for what it says of an attempt.

A reply is a callback that came by another way. One that nobody can take is put
aside where it can be seen (`DeadReply`), so that it stops nobody else.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from django.db import transaction

from sagas.core.outcome import NOT_SENT, Error, Failed, Outcome, Rejected, Succeeded
from sagas.core.problem import one_line
from sagas.engine.callbacks import Heard, call_back
from sagas.engine.clock import Clock
from sagas.engine.errors import CallbackUnknownError, InputInvalidError
from sagas.models import DeadReply

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json
    from sagas.models import OutgoingCommand

logger = logging.getLogger(__name__)

CORRELATION_SHOWN = 12  # characters: enough to find it elsewhere, too few to speak for the attempt
CODE_LENGTH_MAX = 64
WHY_LENGTH_MAX = 300
DEAD_KEPT_MAX = 10_000  # the oldest make room

_clock = Clock()


class _UnreadableError(Exception):
    """What a reply says is no outcome; the text says why."""


def take(correlation: str, raw: bytes, *, size_bytes: int, broker: str) -> bool:
    """Store what a reply says of its attempt; whether anybody could.

    Args:
        correlation: what the command carried.
        raw: the reply's body; empty when it was larger than a reply may be.
        size_bytes: how large it was.
        broker: the broker's address, without a password.

    Raises:
        django.db.DatabaseError: nothing was stored; the reply is to be delivered again.
    """
    try:
        said = call_back(correlation, read(raw, size_bytes))
    except CallbackUnknownError:
        why = "It carries the correlation of no attempt." if correlation else "It carries no correlation id."
    except _UnreadableError as error:
        why = str(error)
    except InputInvalidError as error:
        why = f"What it brings cannot be kept: {error}."
    else:
        if said.heard is not Heard.COUNTED:
            logger.info("A reply changes nothing: %s", said.why)
        return True
    put_aside(correlation, why, size_bytes=size_bytes, broker=broker)
    return False


def read(raw: bytes, size_bytes: int) -> Outcome:
    """Return the outcome that a reply's body says: `{outcome, output?, error?: {code?, message?, details?}}`."""
    if size_bytes and not raw:
        raise _UnreadableError(f"Its body has {size_bytes:,} bytes, more than a reply may have.")
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise _UnreadableError("Its body is not JSON.") from None
    match said:
        case {"outcome": "succeeded", **rest} if set(rest) <= {"output"}:
            return Succeeded(rest.get("output"))
        case {"outcome": "rejected", **rest} if set(rest) <= {"error"}:
            return Rejected(_error(rest.get("error"), "rejected"))
        case {"outcome": "failed", **rest} if set(rest) <= {"error"}:
            return Failed(_error(rest.get("error"), "failed"))
    raise _UnreadableError("Its body must be {outcome: succeeded, output} or {outcome: rejected or failed, error}.")


def _error(said: Json, code: str) -> Error:
    match said:
        case None:
            return Error(code, f"The service says that it {'was rejected' if code == 'rejected' else 'failed'}.")
        case {**parts} if set(parts) <= {"code", "message", "details"}:
            name, message = parts.get("code", code), parts.get("message", "")
            if isinstance(name, str) and isinstance(message, str):
                return Error(one_line(name)[:CODE_LENGTH_MAX] or code, one_line(message), parts.get("details"))
    raise _UnreadableError("Its `error` must be {code, message, details}, the first two of them texts.")


def put_aside(correlation: str, why: str, *, size_bytes: int, broker: str) -> None:
    """Keep that a reply came which nobody can take; not what it said, which may be anything."""
    logger.warning("A reply from %s is put aside: %s", broker, why)
    with transaction.atomic():
        DeadReply.objects.create(
            broker=broker,
            why=one_line(why)[:WHY_LENGTH_MAX],
            correlation=one_line(correlation)[:CORRELATION_SHOWN],
            size_bytes=size_bytes,
            at=_clock.now(),
        )
        if (last := DeadReply.objects.order_by("-id").values_list("id", flat=True)[DEAD_KEPT_MAX:][:1]) and last[0]:
            DeadReply.objects.filter(id__lte=last[0]).delete()


def not_sent(row: OutgoingCommand) -> None:
    """Say of a command whose time was up before any courier gave it to a broker that it had no effect.

    One that a courier tried to hand over may have arrived: nothing is said of it.
    """
    if row.tries:
        return
    error = Error(NOT_SENT, "No courier could hand the command to its broker in time.")
    try:
        call_back(row.message["correlation"], Failed(error))
    except CallbackUnknownError:
        logger.info("Command %s was of an attempt that is gone", row.id)
