"""Secrets that sign what is sent to a service, in the form of Standard Webhooks: `whsec_` and base64."""

from __future__ import annotations

import base64
import binascii
import secrets

from sagas.core.problem import Problem

PREFIX = "whsec_"
BYTES = 32
BYTES_MIN, BYTES_MAX = 24, 64  # what Standard Webhooks allows
POINTER = "/secret"


def new_secret() -> str:
    """Return a secret that nobody has seen yet."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def secret_problem(text: str) -> Problem | None:
    """Say what is wrong with a secret; the text repeats nothing of it."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if text.startswith(PREFIX) and BYTES_MIN <= len(raw) <= BYTES_MAX:
        return None
    message = f"A secret is {PREFIX} and then {BYTES_MIN} to {BYTES_MAX} bytes in base64; leave it out to get one."
    return Problem(message, pointer=POINTER, code="wrong_value")
