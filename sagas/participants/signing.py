"""Signatures of what we send, as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`.

https://www.standardwebhooks.com; whoever receives can verify with any of its libraries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"


def signature_headers(secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the three headers that say who sent a message; none where there is no secret.

    Args:
        secrets: `whsec_` and base64; every one of them signs, so that a receiver may change over.
        message_id: the same for each sending of the same message.
        timestamp_s: now, in seconds since 1970; receivers refuse old ones.
        body: what is sent, byte by byte.
    """
    signatures = [_sign(key, message_id, timestamp_s, body) for key in map(_key, secrets) if key]
    if not signatures:
        return {}
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _sign(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
