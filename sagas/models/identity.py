"""Ids that sort by their time of birth (UUID version 7, RFC 9562 section 5.7)."""

from __future__ import annotations

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """Return a new id: 48 bits of milliseconds, 12 of what is left of the time, then 62 random bits from the system.

    Ids that one process makes one after the other sort so (section 6.2, method 3): a twelfth
    bit is a quarter of a microsecond. Nothing is kept between calls, so a fork cannot make two
    processes agree.
    """
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76
    value |= (rest_ns * 4096 // 1_000_000) << 64
    value |= 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") & (1 << 62) - 1
    return UUID(int=value)
