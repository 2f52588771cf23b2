"""One attempt is one request with one answer: what nobody asked for is not sent, and not listened to."""

from __future__ import annotations

import asyncio

import pytest

from sagas.core.definition import HttpAction
from sagas.core.outcome import Succeeded, Unknown
from sagas.core.vocabulary import Phase
from sagas.participants.http import HttpParticipants
from sagas.participants.known_services import KnownService
from tests.participants.asking import call
from tests.participants.hostile import Hostile, reply


def falls_silent_and_then(status):
    """Answer one request, read the next on that connection and end it; say `status` to whatever comes after."""

    async def answer(writer, number):
        if number == 2:
            return False
        writer.write(reply() if number == 1 else reply(status))
        return None

    return answer


async def ask_twice(server, method, **said):
    service = KnownService(
        name="inventory", kind="http", base_url=f"http://127.0.0.1:{server.port}", allow_private=True
    )
    said = {"arguments": {"path": "/reservations/7"}} | said
    participants = HttpParticipants()
    try:
        return [await participants.perform(HttpAction("inventory", method), call(**said), service) for _ in range(2)]
    finally:
        await participants.close()


@pytest.mark.parametrize(
    ("method", "phase", "status"),
    [
        ("DELETE", Phase.ACTION, "404 Not Found"),  # it was deleted by the first of the two
        ("PUT", Phase.ACTION, "409 Conflict"),  # the first of the two is still in progress
        ("PUT", Phase.ACTION, "429 Too Many Requests"),
        ("PUT", Phase.COMPENSATION, "422 Unprocessable Content"),
        ("POST", Phase.ACTION, "200 OK"),
        ("PATCH", Phase.ACTION, "200 OK"),
    ],
)
async def test_a_request_that_writes_is_never_sent_again_behind_the_engine(method, phase, status):
    async with Hostile(falls_silent_and_then(status)) as server:
        first, second = await ask_twice(server, method, phase=phase)
    assert isinstance(first, Succeeded)
    assert isinstance(second, Unknown)
    assert second.error.code == "connection_lost"
    assert len(server.requests) == 2
    assert server.connections == 1


@pytest.mark.parametrize("phase", [Phase.ACTION, Phase.PROBE])
async def test_a_request_that_only_reads_may_be_sent_again(phase):
    async with Hostile(falls_silent_and_then("200 OK")) as server:
        await ask_twice(server, "GET", phase=phase)
    assert len(server.requests) == 3
    assert server.connections == 2


TOO_MUCH = [
    reply(body=b'"of the attempt before"'),
    reply("503 Service Unavailable"),
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",  # as many servers end an idle connection
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Len",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"\r\n",
]


@pytest.mark.parametrize("more", TOO_MUCH, ids=lambda one: one[:40].decode())
async def test_what_is_said_after_an_answer_is_not_the_answer_to_the_next_request(more):
    said = asyncio.Event()

    async def answer(writer, number):
        writer.write(reply(body=str(number).encode()))
        await writer.drain()
        if number == 1:
            await asyncio.sleep(0.05)  # so that it comes by itself, when the answer has been read
            writer.write(more)
            await writer.drain()
            said.set()

    async with Hostile(answer) as server:
        service = KnownService(
            name="inventory", kind="http", base_url=f"http://127.0.0.1:{server.port}", allow_private=True
        )
        participants, action = HttpParticipants(), HttpAction("inventory", "POST")
        try:
            first = await participants.perform(action, call(), service)
            await said.wait()
            await asyncio.sleep(0.05)
            second = await participants.perform(action, call(), service)
        finally:
            await participants.close()
    assert (first, second) == (Succeeded(1), Succeeded(2))
    assert server.connections == 2
