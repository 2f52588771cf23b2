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
    """Whether a request was signed with `secret` (`whsec_…`) within the last minutes."""
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers.get('webhook-id', '')}.{stamp}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While a secret is being changed there are two signatures; one of them is ours.
    return any(hmac.compare_digest(wanted, one) for one in headers.get("webhook-signature", "").split(" "))
