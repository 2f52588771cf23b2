"""One try of a delivery, against receivers that answer badly."""

from __future__ import annotations

import asyncio

import pytest

from sagas.models import WebhookDelivery, WebhookSubscription
from sagas.workers import webhook_line
from tests.participants.hostile import Hostile


async def silent_body(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(30)


async def endless_body(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def cut_body(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nxx")
    await writer.drain()
    return False


@pytest.mark.parametrize("answer", [silent_body, endless_body, cut_body], ids=lambda one: one.__name__)
async def test_a_receiver_has_said_yes_whatever_becomes_of_its_body(answer, monkeypatch):
    """What was taken on would else be sent nine times."""
    monkeypatch.setattr(webhook_line, "TRY_S", 3.0)
    line = webhook_line.WebhookLine()
    async with Hostile(answer) as server:
        subscription = WebhookSubscription(url=f"http://127.0.0.1:{server.port}/", allow_private=True)
        found, error = await line._send(subscription, WebhookDelivery(), b"{}")
        for session in line._sessions.values():
            await session.close()
    assert found is not None
    assert (found.status, error) == (200, "")
