"""A server that answers as badly as a test wants it to: it writes bytes, not HTTP."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Hostile:
    """Reads one request after the other on each connection, and lets `answer` write whatever it likes."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.connections = 0
        self.requests = []  # (head, body)
        self.port = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    body = b""
                    for line in head.splitlines():
                        if line.lower().startswith("content-length:"):
                            body = await reader.readexactly(int(line.split(":")[1]))
                    self.requests.append((head, body))
                    if await self.answer(writer, len(self.requests)) is False:
                        break
                    await writer.drain()
        finally:
            writer.close()
            self._tasks.discard(task)


def reply(status="200 OK", body=b"{}", headers="Content-Type: application/json\r\n"):
    """Return an answer that is in order."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def ok(writer, _number):
    writer.write(reply())
