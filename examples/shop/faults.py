"""Switches in an order's input that make a step go wrong, so that a saga can be watched going back.

`{"mode": "fail", "times": 2}`: the first two attempts fail. Attempts are
counted by the engine, so the same input goes wrong in the same way each time.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TypedDict

from django.db import connection

from sagas import NoEffect, Rejected

if TYPE_CHECKING:
    from typing import NotRequired, TypeGuard

    from sagas.participants.base import Call

PACE_S_MAX = 2.0
PACE_S_MAX_SQLITE = 0.3  # an atomic action there keeps every other writer waiting
TIME_OUT_S_MAX_SQLITE = 3.0  # ... and a lease must be renewed within five seconds
OVERTIME_S = 0.5
KILLED = 137


class Fault(TypedDict):
    """What goes wrong, and at how many of the first attempts (default: all; `crash`: one)."""

    mode: str  # reject, fail, time_out, crash
    times: NotRequired[int]


def before(call: Call, fault: Fault | None) -> None:
    """Go wrong with nothing done: `reject` and `fail`.

    Raises:
        Rejected: mode `reject`.
        NoEffect: mode `fail`.
    """
    if not _is_on(fault, call):
        return
    what = f"undo {call.step}" if call.phase == "compensation" else call.step
    if fault["mode"] == "reject":
        message = f"The demo was told to reject {what}."
        raise Rejected(message, code="demo_rejected")
    if fault["mode"] == "fail":
        message = f"The demo was told to fail {what} at attempt {call.attempt}."
        raise NoEffect(message, code="demo_failed")


def after(call: Call, fault: Fault | None) -> None:
    """Go wrong with the work done and nobody told: `time_out` and `crash`.

    Raises:
        TimeoutError: mode `time_out`, when its time has long been up.
    """
    if not _is_on(fault, call):
        return
    if fault["mode"] == "time_out":
        wait = call.timeout_s + OVERTIME_S
        if _is_holding_sqlite():
            time.sleep(min(wait, TIME_OUT_S_MAX_SQLITE))
            return
        time.sleep(wait)
        raise TimeoutError("The demo never answers")  # an answer now would come late, and still settle the step
    if fault["mode"] == "crash":
        os._exit(KILLED)


def pace(pace_ms: int | None) -> None:
    """Take a while, so that people see the step at work; briefly while a transaction blocks others."""
    if pace_ms:
        time.sleep(min(pace_ms / 1000, PACE_S_MAX_SQLITE if _is_holding_sqlite() else PACE_S_MAX))


def _is_on(fault: Fault | None, call: Call) -> TypeGuard[Fault]:
    if not fault:
        return False
    times = fault.get("times") or (1 if fault["mode"] == "crash" else call.attempt)
    return call.attempt <= times


def _is_holding_sqlite() -> bool:
    return connection.vendor == "sqlite" and connection.in_atomic_block
