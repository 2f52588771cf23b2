"""Answers that break off, drip, swell or are none: an outcome each, within the limits."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
import zlib

import pytest

from sagas.core.definition import HttpAction
from sagas.core.outcome import Failed, Succeeded, Unknown
from sagas.participants.http import HttpParticipants
from sagas.participants.known_services import KnownService
from tests.participants.asking import ask, call
from tests.participants.hostile import Hostile, ok, reply


async def half_head(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    await writer.drain()
    return False


async def half_body(writer, _number):
    writer.write(reply(body=b"[1,2,3]")[:-2])
    await writer.drain()
    return False


async def nothing(_writer, _number):
    return False


async def reset(writer, _number):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
    return False


async def garbage(writer, _number):
    writer.write(b"\x16\x03\x01 what is this\r\n\r\n")


async def endless_head(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(20_000):
        writer.write(f"X-{number}: {'x' * 500}\r\n".encode())
        await writer.drain()


async def wide_head(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
    await writer.drain()


async def two_lengths(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")


async def endless_words(writer, _number):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)
        await writer.drain()


async def bad_chunks(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [half_head, half_body, nothing, reset, garbage, endless_head, wide_head, two_lengths, endless_words, bad_chunks],
    ids=lambda one: one.__name__,
)
async def test_an_answer_that_breaks_off_or_is_none_leaves_it_unknown(answer):
    async with Hostile(answer) as server:
        outcome = await ask(server.port)
    assert isinstance(outcome, Unknown)
    assert outcome.error.code in {"connection_lost", "bad_reply"}
    assert "127.0.0.1" not in outcome.error.message


CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n'


@pytest.mark.parametrize("whole", [reply(body=b'{"a": 1}'), CHUNKED], ids=["length", "chunked"])
async def test_wherever_an_answer_breaks_off_it_is_unknown(whole):
    async def answer(writer, number):
        writer.write(whole[: number - 1])
        await writer.drain()
        return False

    async with Hostile(answer) as server:
        outcomes = [await ask(server.port) for _ in range(len(whole) + 1)]
    assert outcomes.pop() == Succeeded({"a": 1})
    assert {(type(one), one.error.code) for one in outcomes} == {
        (Unknown, "connection_lost"), (Unknown, "bad_reply"),
    }  # fmt: skip


def packed(body, encoding):
    headers = f"Content-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    return reply(body=body, headers=headers)


async def big(writer, _number):
    writer.write(reply(body=b'"' + b"x" * 300_000 + b'"'))


async def endless(writer, _number):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def bomb(writer, _number):
    writer.write(packed(gzip.compress(b" " * 100_000_000), "gzip"))


async def deflated_bomb(writer, _number):
    writer.write(packed(zlib.compress(b" " * 100_000_000), "deflate"))


async def endless_nothing(writer, _number):
    """Packed bytes that never come to anything: empty blocks, one after the other."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\n\r\n\x78\x9c")
    while True:
        writer.write(b"\0\0\0\xff\xff" * 10_000)
        await writer.drain()


async def endless_rest(writer, _number):
    """A whole packed reply, and then empty ones, one after the other."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n")
    writer.write(gzip.compress(b"[1]"))
    while True:
        writer.write(gzip.compress(b"") * 3_000)
        await writer.drain()


@pytest.mark.parametrize(
    "answer", [big, endless, bomb, deflated_bomb, endless_nothing, endless_rest], ids=lambda one: one.__name__
)
async def test_a_reply_larger_than_the_limit_is_unknown_and_not_read_to_its_end(answer):
    async with Hostile(answer) as server:
        outcome = await ask(server.port)
    assert isinstance(outcome, Unknown)
    assert outcome.error.code == "reply_too_large"


@pytest.mark.parametrize(
    ("body", "encoding", "output"),
    [
        (gzip.compress(b"[1]"), "gzip", [1]),
        (gzip.compress(b"[1,") + gzip.compress(b"2]"), "gzip", [1, 2]),
        (zlib.compress(b"[2]"), "deflate", [2]),
        (zlib.compress(b"[2]")[2:-4], "deflate", [2]),  # as many servers send it: without its frame
        (b"[3]", "identity", [3]),
        (b"", "gzip", None),
    ],
)
async def test_a_packed_reply_is_unpacked(body, encoding, output):
    async def answer(writer, _number):
        writer.write(packed(body, encoding))

    async with Hostile(answer) as server:
        assert await ask(server.port) == Succeeded(output)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"[3]", "gzip"),
        (gzip.compress(b"[1, 2, 3, 4]")[:-6], "gzip"),
        (gzip.compress(b"[1, 2, 3, 4]")[:12], "gzip"),  # nothing of it can be unpacked yet
        (gzip.compress(b"[1]") + b"more", "gzip"),
        (zlib.compress(b"[1,") + zlib.compress(b"2]"), "deflate"),  # only gzip may have several
        (b"[3]", "br"),
        (gzip.compress(gzip.compress(b"[1]")), "gzip, gzip"),
    ],
)
async def test_a_reply_that_cannot_be_unpacked_is_unknown(body, encoding):
    async def answer(writer, _number):
        writer.write(packed(body, encoding))

    async with Hostile(answer) as server:
        outcome = await ask(server.port)
    assert isinstance(outcome, Unknown)
    assert outcome.error.code == "bad_reply"


async def two_encodings(writer, _number):
    writer.write(reply(body=gzip.compress(b"[1]"), headers="Content-Encoding: br\r\nContent-Encoding: gzip\r\n"))


async def two_outcomes(writer, _number):
    writer.write(reply("503 Busy", headers="Saga-Outcome: rejected\r\nSaga-Outcome: succeeded\r\n"))


async def two_outcomes_well(writer, _number):
    writer.write(reply(headers="Saga-Outcome: rejected\r\nSaga-Outcome: succeeded\r\n"))


async def switched(writer, _number):
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await writer.drain()
    return False


@pytest.mark.parametrize(
    "answer", [two_encodings, two_outcomes, two_outcomes_well, switched], ids=lambda one: one.__name__
)
async def test_an_answer_that_says_two_things_or_is_none_yet_leaves_it_unknown(answer):
    async with Hostile(answer) as server:
        outcome = await ask(server.port)
    assert isinstance(outcome, Unknown)


async def test_words_before_the_answer_are_passed_over():
    async def answer(writer, _number):
        writer.write(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(body=b"[1]")
        )

    async with Hostile(answer) as server:
        assert await ask(server.port) == Succeeded([1])


async def slow_head(writer, _number):
    for byte in reply():
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def slow_body(writer, _number):
    writer.write(reply(body=b" " * 200)[:-200])
    for _ in range(200):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(_writer, _number):
    await asyncio.sleep(30)


@pytest.mark.parametrize("answer", [slow_head, slow_body, silence], ids=lambda one: one.__name__)
async def test_a_time_out_ends_the_wait_however_slowly_bytes_drip(answer):
    async with Hostile(answer) as server:
        began = time.monotonic()
        outcome = await ask(server.port, timeout_s=0.3)
        took_s = time.monotonic() - began
    assert took_s < 2
    assert isinstance(outcome, Unknown)
    assert outcome.error.code == "timed_out"


async def test_nobody_there_is_a_failure_without_effect():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    outcome = await ask(port)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "unreachable"


async def test_a_connection_that_is_never_made_is_a_failure_without_effect():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        outcome = await ask(port, timeout_s=0.4)
        for other in others:
            other.close()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "unreachable"


async def test_no_secure_connection_is_a_failure_without_effect():
    async with Hostile(ok) as server:
        service = KnownService(
            name="inventory", kind="http", base_url=f"https://127.0.0.1:{server.port}", allow_private=True
        )
        participants = HttpParticipants()
        outcome = await participants.perform(HttpAction("inventory", "POST"), call(timeout_s=2.0), service)
        await participants.close()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "unreachable"
