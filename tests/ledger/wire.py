"""HTTP/1.1 by hand, so that a participant can also answer as no library would: halved, garbled, cut off."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 2_097_152


@dataclass(frozen=True)
class Request:
    """One request, whole: a truncated one is never seen."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None when there is no whole one any more.

    Raises:
        ValueError: what came is no HTTP/1.1 that we speak.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = line.split(" ")
        pairs = [one.partition(":") for one in rest]
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _chunks(reader)
        else:
            size = int(headers.get("content-length", "0"))
            if size > BODY_BYTES_MAX:
                raise ValueError("too large")
            body = await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return None
    return Request(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        whole += await reader.readexactly(size)
        await reader.readexactly(2)
        if len(whole) > BODY_BYTES_MAX:
            raise ValueError("too large")
    await reader.readexactly(2)
    return whole


def response(status: int, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """Return a response; `body` is JSON, or text or bytes as they are; None is an empty one."""
    if body is None:
        content = b""
    elif isinstance(body, bytes):
        content = body
    else:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    said = {"Content-Type": "application/json", "Content-Length": str(len(content))} | (headers or {})
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Odd"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def reset(transport: asyncio.BaseTransport) -> None:
    """End a connection with RST: what was not yet sent is lost, and the other side's read fails."""
    sock = transport.get_extra_info("socket")
    with suppress(OSError):  # it may have ended already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()  # type: ignore[attr-defined]
