"""Sealing: values that are redacted are encrypted wherever they are stored.

The key is made from Django's `SECRET_KEY`; what was sealed with one of
`SECRET_KEY_FALLBACKS` can still be opened. A value that cannot be opened stays
what it is, a `Hidden`: it can be stored again, and whoever needs it is told.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_str

from sagas.core.sealed import Hidden, as_stored, from_stored

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json

_PURPOSE = b"sagas: sealed values, 1"  # another number would be other keys: what is stored could not be opened


def seal(value: Json) -> Hidden:
    """Return `value`, which may hold hidden parts already, as one hidden value."""
    if isinstance(value, Hidden):
        return value
    text = json.dumps(as_stored(value), ensure_ascii=False, separators=(",", ":"))
    return Hidden(_fernet(_secrets()).encrypt(text.encode()).decode())


def opened(value: Json) -> Json:
    """Return `value` with all its hidden parts opened, but for those whose key is not known here."""
    if isinstance(value, Hidden):
        try:
            text = _fernet(_secrets()).decrypt(value.token.encode())
        except (InvalidToken, ValueError):
            return value
        return opened(json.loads(text, object_hook=from_stored))
    if isinstance(value, dict):
        return {key: opened(part) for key, part in value.items()}
    if isinstance(value, list):
        return [opened(part) for part in value]
    return value


def digests(text: str) -> tuple[str, ...]:
    """Return digests of `text` that nobody can guess it from: under the key in use, then under those before it."""
    return tuple(hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for key in keys_for(_PURPOSE))


def keys_for(purpose: bytes) -> tuple[bytes, ...]:
    """Return the keys for one purpose: that in use, then those before it. No key tells of those for other purposes."""
    return tuple(_key(secret, purpose) for secret in _secrets())


def _secrets() -> tuple[str, ...]:
    return tuple(map(force_str, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))


@lru_cache(maxsize=8)
def _fernet(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_key(secret))) for secret in secrets])


@lru_cache(maxsize=32)
def _key(secret: str, purpose: bytes = _PURPOSE) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
