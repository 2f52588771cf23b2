"""Whom the services of the demo believe, asked as a pump asks."""

from __future__ import annotations

import pytest
from shop_http.signature import is_signed

from sagas.core.vocabulary import Phase
from tests.participants.asking import RUN, ask, headers_of
from tests.participants.hostile import Hostile, ok

SECRET = "whsec_" + "A" * 43 + "="


async def request(**said):
    async with Hostile(ok) as server:
        await ask(server.port, service={"secrets": (SECRET,)}, **said)
    head, body = server.requests[0]
    return {name.lower(): value for name, value in headers_of(head).items()}, body


@pytest.mark.parametrize("phase", [Phase.ACTION, Phase.COMPENSATION, Phase.PROBE])
async def test_what_was_signed_is_believed_and_nothing_else_of_it(phase):
    headers, body = await request(phase=phase)
    assert is_signed(SECRET, headers, body)
    assert not is_signed(SECRET, headers, body + b" ")
    assert not is_signed("whsec_" + "B" * 43 + "=", headers, body)
    for name, value in (
        ("idempotency-key", f"{RUN}:reserve:another"),  # recorded, and sent on under a key of its own
        ("idempotency-key", headers["idempotency-key"][:-1]),
        ("webhook-id", "another"),
        ("webhook-timestamp", "1"),
        ("webhook-timestamp", "x"),
        ("webhook-signature", "v1,é"),
    ):
        assert not is_signed(SECRET, headers | {name: value}, body), name
