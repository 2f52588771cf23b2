"""Switches in an order's input that make a service go wrong, so that a saga can be watched over HTTP.

`{"mode": "fail", "times": 2}`: the first two attempts fail. The engine counts
the attempts, so the same input goes wrong in the same way each time.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from shop_http.store import Answer, Call, refused

KILLED = 137
NEVER_S = 60.0  # longer than any step of the demo waits
PACE_S_MAX = 2.0
ONCE = {"crash"}  # by default; the others at every attempt


async def before(call: Call, said: dict[str, Any]) -> Answer | None:
    """Take the time that was asked for, and go wrong with nothing done: `reject` and `fail`."""
    await asyncio.sleep(min(float(said.get("pace_ms") or 0) / 1000, PACE_S_MAX))
    match _mode(call, said):
        case "reject":
            return refused("The demo was told to refuse this.")
        case "fail":
            return Answer(503, {"title": "The demo was told to fail"}, {"Saga-Outcome": "failed", "Retry-After": "1"})
    return None


async def after(call: Call, said: dict[str, Any]) -> Answer | None:
    """Go wrong with the work done and nobody told: `error`, `time_out` and `crash`."""
    match _mode(call, said):
        case "error":
            return Answer(500, {"title": "The demo was told to answer this, with the work done"})
        case "time_out":
            await asyncio.sleep(NEVER_S)
        case "crash":
            os._exit(KILLED)
    return None


def is_silent(call: Call, said: dict[str, Any]) -> bool:
    """Whether what was promised is never called back about: `silent`."""
    return _mode(call, said) == "silent"


def _mode(call: Call, said: dict[str, Any]) -> str:
    fault = said.get("fault") or {}
    mode = str(fault.get("mode", ""))
    times = fault.get("times") or (1 if mode in ONCE else call.attempt)
    return mode if call.attempt <= times else ""
