"""The ledger as a process of its own: `python -m tests.ledger.server --book FILE`.

A participant over HTTP that writes everything down before it answers. `PUT
/_script` replaces the rules by which it goes wrong; everything else is a call of
a step. One line on stdout says the port once it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as Call
from urllib.request import urlopen

from tests.ledger import wire
from tests.ledger.book import Asked, Book
from tests.ledger.script import HUGE_BYTES, WELL, Rule

TOLERANCE_S = 300
SILENCE_S_MAX = 120
WRONG_TOKEN = "wrong-token-that-nobody-was-given-0123456789"


class Ledger:
    """Answers requests by the book."""

    def __init__(self, book: Book, secret: str = "") -> None:
        self.book = book
        self.secret = secret
        self.rules = [Rule.read(rule) for rule in book.rules()]
        self._later: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        with suppress(ConnectionError, asyncio.CancelledError):
            while (request := await self._next(reader)) is not None:
                if request.path == "/_script":
                    self._take_script(request)
                    writer.write(wire.response(200, [rule.said() for rule in self.rules]))
                elif not await self._answer(request, writer):
                    break
                await writer.drain()
        writer.close()

    @staticmethod
    async def _next(reader: asyncio.StreamReader) -> wire.Request | None:
        try:
            return await wire.read_request(reader)
        except ValueError:
            return None

    def _take_script(self, request: wire.Request) -> None:
        if request.method == "PUT":
            said = json.loads(request.body)
            self.rules = [Rule.read(rule) for rule in said]
            self.book.write_rules(said)

    async def _answer(self, request: wire.Request, writer: asyncio.StreamWriter) -> bool:
        """Carry a call out and answer it; return whether the connection goes on."""
        asked = asked_by(request)
        if fault := fault_of(asked, request, self.secret):
            writer.write(wire.response(401 if "sign" in fault else 400, {"detail": fault}))
            return True
        rule = next((rule for rule in self.rules if rule.fits(asked)), WELL)
        await asyncio.sleep(rule.delay_ms / 1000)
        decision = self.book.carry_out(asked, has_effect=rule.has_effect)
        await self._call_back(asked, rule, is_before_reply=True)
        await asyncio.sleep(rule.hold_ms / 1000)
        goes_on = await _end(writer, rule, self._reply(asked, rule, decision))
        task = asyncio.create_task(self._call_back(asked, rule, is_before_reply=False))
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return goes_on

    def _reply(self, asked: Asked, rule: Rule, decision: str) -> bytes:
        if rule.status is not None:
            return wire.response(rule.status, rule.body, rule.headers)
        if decision == "refused":
            said = {"detail": "This was undone before it was done."}
            return wire.response(409, said, {"Saga-Outcome": "rejected"})
        if decision == "probe" and rule.body is None:
            done = self.book.has_effect(asked.action_key or asked.key)
            return wire.response(
                200, {"outcome": "succeeded", "output": output_of(asked)} if done else {"outcome": "not_done"}
            )
        return wire.response(200, output_of(asked) if rule.body is None else rule.body, rule.headers)

    async def _call_back(self, asked: Asked, rule: Rule, *, is_before_reply: bool) -> None:
        url = asked.headers.get("saga-callback", "")
        for said in rule.callbacks if url else ():
            if said.get("is_before_reply", False) != is_before_reply:
                continue
            await asyncio.sleep(said.get("after_ms", 0) / 1000)
            is_wrong = said.get("token") == "wrong"
            to = url.rstrip("/").rpartition("/")[0] + f"/{WRONG_TOKEN}/" if is_wrong else url
            body = said.get("body", {"outcome": "succeeded", "output": output_of(asked)})
            for _ in range(said.get("times", 1)):
                answered = await asyncio.to_thread(_post, to, body)
                self.book.write_callback(asked, body, is_wrong=is_wrong, answered=answered)


def asked_by(request: wire.Request) -> Asked:
    attempt = request.header("saga-attempt")
    return Asked(
        key=request.header("idempotency-key"),
        action_key=request.header("saga-action-key"),
        phase=request.header("saga-phase"),
        run=request.header("saga-run"),
        step=request.header("saga-step"),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        method=request.method,
        path=request.path,
        headers=request.headers,
        body=request.body,
    )


def fault_of(asked: Asked, request: wire.Request, secret: str) -> str:
    """Return what a careful participant finds wrong with a request; empty when nothing is."""
    if asked.phase not in {"action", "compensation", "probe"} or not asked.step or not asked.run:
        return "The headers Saga-Phase, Saga-Step and Saga-Run are needed."
    if asked.phase != "probe" and not asked.key:
        return "The header Idempotency-Key is needed."
    if asked.phase == "compensation" and not asked.action_key:
        return "The header Saga-Action-Key is needed."
    if secret and not is_signed(request, secret):
        return "The signature is not ours."
    return ""


def is_signed(request: wire.Request, secret: str) -> bool:
    """Whether one of the signatures is by `secret`, and lately."""
    stamp = request.header("webhook-timestamp")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    signed = f"{request.header('webhook-id')}.{stamp}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, one) for one in request.header("webhook-signature").split(" "))


def output_of(asked: Asked) -> dict[str, Any]:
    """Return what a call gives back: the same for the same key."""
    return {"step": asked.step, "of": asked.action_key or asked.key}


async def _end(writer: asyncio.StreamWriter, rule: Rule, reply: bytes) -> bool:
    match rule.end:
        case "reply":
            writer.write(reply)
            return True
        case "reset":
            wire.reset(writer.transport)
        case "half":
            writer.write(reply[: max(1, len(reply) - 5)])
            await writer.drain()
        case "garbage":
            writer.write(wire.response(200, b"\xff\xfe{not json", {"Content-Type": "application/json"}))
            return True
        case "huge":
            await _huge(writer)
        case "drip":
            for number in range(len(reply)):
                writer.write(reply[number : number + 1])
                await writer.drain()
                await asyncio.sleep(0.25)
        case "silence":
            await asyncio.sleep(SILENCE_S_MAX)
    return False


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {HUGE_BYTES}\r\n\r\n".encode())
    for _ in range(HUGE_BYTES // 65_536):
        writer.write(b"7" * 65_536)
        await writer.drain()


def _post(url: str, body: Any) -> int:
    call = Call(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST")
    try:
        with urlopen(call, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


async def _main(options: argparse.Namespace) -> None:
    ledger = Ledger(Book(options.book, is_naive=options.naive), options.secret)
    server = await asyncio.start_server(ledger.serve, "127.0.0.1", options.port, limit=wire.HEAD_BYTES_MAX, backlog=512)
    print(json.dumps({"event": "ready", "port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--naive", action="store_true", help="remembers no key and does whatever comes")
    parser.add_argument("--secret", default="", help="whsec_…: answer 401 to what is not signed with it")
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args()))
