"""Actions of the kinds that the demo shop has not: `async def`, and one that only reads."""

from __future__ import annotations

import asyncio
from typing import Any

from shop import faults

from sagas import action


@action("mixed.look", reads_only=True)
def look(call: Any, fault: Any = None, pace_ms: int | None = None) -> dict[str, Any]:
    """Look something up; mode `break` raises what nobody expected, which of a reader is a failure."""
    faults.pace(pace_ms)
    _break(call, fault)
    return {"seen": call.attempt}


@action("mixed.ask")
async def ask(call: Any, fault: Any = None, pace_ms: int | None = None) -> dict[str, Any]:
    """Ask somebody far away; mode `break` leaves it unknown whether they did it."""
    await asyncio.sleep((pace_ms or 0) / 1000)
    faults.before(call, fault)
    _break(call, fault)
    return {"asked": call.attempt}


def _break(call: Any, fault: Any) -> None:
    if fault and fault["mode"] == "break" and call.attempt <= fault["times"]:
        message = f"broke at attempt {call.attempt}"
        raise RuntimeError(message)
