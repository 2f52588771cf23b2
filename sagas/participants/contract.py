"""What every request and every command says of the attempt it is (docs/reference/participants-http.md)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from sagas.participants.base import Call


def contract_headers(call: Call) -> dict[str, str]:
    """Return the headers of one attempt."""
    headers = {
        "Idempotency-Key": call.idempotency_key,
        "Saga-Run": call.run_id,
        "Saga-Name": call.saga,
        "Saga-Step": call.step if call.item < 0 else f"{call.step}[{call.item}]",
        "Saga-Phase": str(call.phase),
        "Saga-Attempt": str(call.attempt),
        "traceparent": _traceparent(call),
    }
    if call.action_key:
        headers["Saga-Action-Key"] = call.action_key
    if call.callback_url:
        headers["Saga-Callback"] = call.callback_url
    return headers


def _traceparent(call: Call) -> str:
    """Return the W3C header: all attempts of a run are one trace, each is a span of it."""
    try:
        trace = UUID(call.run_id).hex
    except ValueError:
        trace = sha256(call.run_id.encode()).hexdigest()[:32]
    span = sha256(f"{call.idempotency_key} {call.phase} {call.attempt}".encode()).hexdigest()[:16]
    return f"00-{trace}-{span}-01"
