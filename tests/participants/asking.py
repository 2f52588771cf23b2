"""Asking a service on this machine, as a pump does."""

from __future__ import annotations

from sagas.core.definition import HttpAction
from sagas.core.vocabulary import Phase
from sagas.participants.base import Call
from sagas.participants.http import HttpParticipants
from sagas.participants.known_services import KnownService

RUN = "0192f0c0-0000-7000-8000-000000000001"


def call(**said):
    said = {
        "arguments": {"path": "/reservations", "body": {"sku": "ü7"}},
        "timeout_s": 5.0,
        "phase": Phase.ACTION,
        "attempt": 2,
        "idempotency_key": f"{RUN}:reserve:action",
    } | said
    return Call(run_id=RUN, saga="create-order", step="reserve", **said)


async def ask(port, *, method="POST", is_async=False, service=None, path="", **said):
    service = KnownService(
        name="inventory", kind="http", base_url=f"http://127.0.0.1:{port}{path}", allow_private=True, **(service or {})
    )
    participants = HttpParticipants()
    try:
        return await participants.perform(HttpAction("inventory", method, is_async), call(**said), service)
    finally:
        await participants.close()


def headers_of(head):
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
