"""Who calls? Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, under a secret that both sides have.

The package `standardwebhooks` does the same; this is all there is to it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE_S = 300  # an older request may be one that somebody recorded


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a request was signed with `secret` (`whsec_…`) within the last minutes, and for the key that it names."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    message_id = headers.get("webhook-id", "")
    if not message_id.startswith(headers.get("idempotency-key", "") + ":"):
        return False  # of the headers only the id is signed: a recorded request must not act under another key
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{stamp}.".encode() + body
    wanted = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # While a secret is being changed there are two signatures; one of them is ours.
    found = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(wanted, one) for one in found)
