"""Tokens of callbacks: whoever holds one may say, once, what one attempt came to.

A token is not stored. It names its attempt and carries a MAC over that, under a key
made from Django's `SECRET_KEY` (tokens made under one of `SECRET_KEY_FALLBACKS` still
hold). So nobody can make one, or turn one into that of another attempt; that it
counts once is the journal's to see to.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from sagas.core.vocabulary import AttemptKey, Phase
from sagas.sealing import keys_for

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/api/v1/callbacks/{token}/"  # below `SAGAWEB_BASE_URL`
TOKEN_LENGTH_MAX = 400  # of what is looked at; those we make have 190 at most

_PURPOSE = b"sagas: callbacks, 1"
_PHASES = (Phase.ACTION, Phase.COMPENSATION)  # a probe is answered at once
_HEAD = struct.Struct(">16sBiII")  # run, phase, item, edition, attempt; the step's name follows
_MAC_BYTES = hashlib.sha256().digest_size


def make_token(run_id: UUID, attempt: AttemptKey, edition: int) -> str:
    """Return the token of one attempt."""
    named = _HEAD.pack(run_id.bytes, _PHASES.index(attempt.phase), attempt.item, edition, attempt.number)
    named += attempt.step.encode()
    return base64.urlsafe_b64encode(named + next(_macs(named))).rstrip(b"=").decode()


def read_token(token: str) -> tuple[UUID, AttemptKey, int] | None:
    """Return the run, the attempt and the edition that a token names; None for one that we did not make.

    Every wrong token takes the same way: its MACs are computed and compared before anything in it is read.
    """
    raw = _decoded(token)
    named, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    is_ours = False
    for known in _macs(named):
        is_ours |= hmac.compare_digest(known, mac)
    if not is_ours:
        return None
    run, phase, item, edition, number = _HEAD.unpack_from(named)
    step = named[_HEAD.size :].decode()
    return UUID(bytes=run), AttemptKey(step, item, _PHASES[phase], number), edition


def callback_url(run_id: UUID, attempt: AttemptKey, edition: int) -> str:
    """Return where the outcome of an attempt may be said; empty while nobody has said what our own address is."""
    base = getattr(settings, "SAGAWEB_BASE_URL", "")
    if not base or attempt.phase is Phase.PROBE:
        return ""
    return str(base).rstrip("/") + PATH.format(token=make_token(run_id, attempt, edition))


def _macs(named: bytes) -> Iterator[bytes]:
    """Yield the MAC under each key, that in use first."""
    for key in keys_for(_PURPOSE):
        yield hmac.digest(key, named, "sha256")


def _decoded(token: str) -> bytes:
    """Return the bytes of a token; none of one that is not written as ours are."""
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii():
        return b""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == token else b""
