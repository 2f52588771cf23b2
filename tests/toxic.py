"""A TCP proxy on 127.0.0.1 that harms what passes: between us and a service, PostgreSQL, RabbitMQ or Redis.

    with Toxic("127.0.0.1", 5432) as toxic:
        connect("127.0.0.1", toxic.port)
        toxic.harm(latency_s=0.2)            # from now on, connections that are open too
        toxic.harm(cut_after_down=100)       # each connection ends after that many bytes of answers
        toxic.down(); toxic.up()             # refused meanwhile; the port stays the same
        toxic.heal()

It runs in a thread of its own; every call returns when it has been done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.ledger.wire import reset

CHUNK = 65_536
PATIENCE_S = 10.0
T = TypeVar("T")


@dataclass(frozen=True)
class Harm:
    """What is done to connections. Bytes are counted for each connection; `up` is towards the server."""

    latency_s: float = 0.0  # each piece is held that long, in both directions
    cut_after_up: int | None = None
    cut_after_down: int | None = None
    is_reset: bool = False  # a cut is a reset; alone: each new connection is reset at once
    is_black_hole: bool = False  # taken, and swallowed
    drip_bytes_s: float | None = None  # answers, byte by byte

    @property
    def cuts(self) -> bool:
        return self.cut_after_up is not None or self.cut_after_down is not None


class Toxic:
    """One proxy."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.connections = 0  # taken so far
        self.bytes_up = 0  # passed on so far
        self.bytes_down = 0
        self._harm = Harm()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
        self._do(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def harm(self, **what: Any) -> None:
        """Do this from now on, beside what is done already."""
        self._harm = replace(self._harm, **what)

    def heal(self) -> None:
        """Do no harm from now on. What was swallowed stays so."""
        self._harm = Harm()

    def down(self) -> None:
        """Refuse connections, and reset the open ones."""
        self._do(self._down())

    def up(self) -> None:
        """Take connections again, at the same port."""
        self._do(self._up())

    def cut(self) -> None:
        """Reset every open connection, once."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _up(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port, backlog=512)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for writer in list(self._open):
            reset(writer.transport)

    async def _finish(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._harm.is_reset and not self._harm.cuts:
            reset(writer.transport)
            return
        self._open.add(writer)
        server: asyncio.StreamWriter | None = None
        try:
            answers, server = await asyncio.open_connection(*self.target)
            self._open.add(server)
            pipes = [self._pass(reader, server, writer, is_up=True), self._pass(answers, writer, server, is_up=False)]
            await asyncio.gather(*pipes)
        except OSError:
            reset(writer.transport)
        finally:
            for one in (writer, server):
                if one is not None:
                    self._open.discard(one)
                    one.close()

    async def _pass(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        try:
            await self._pass_pieces(reader, to, back, is_up=is_up)
        except OSError:  # a reset on one side is one on the other
            reset(to.transport)
            reset(back.transport)

    async def _pass_pieces(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter, *, is_up: bool
    ) -> None:
        passed = 0
        while piece := await reader.read(CHUNK):
            harm = self._harm
            if harm.is_black_hole:
                continue
            if harm.latency_s:
                await asyncio.sleep(harm.latency_s)
            limit = harm.cut_after_up if is_up else harm.cut_after_down
            kept = piece if limit is None else piece[: max(0, limit - passed)]
            await self._send(to, kept, harm, is_up=is_up)
            passed += len(kept)
            if limit is not None and passed >= limit:
                self._end(to, back, is_reset=harm.is_reset)
                return
        to.write_eof()

    async def _send(self, to: asyncio.StreamWriter, piece: bytes, harm: Harm, *, is_up: bool) -> None:
        if is_up:
            self.bytes_up += len(piece)
        else:
            self.bytes_down += len(piece)
        if is_up or harm.drip_bytes_s is None:
            to.write(piece)
            await to.drain()
            return
        for number in range(len(piece)):
            to.write(piece[number : number + 1])
            await to.drain()
            await asyncio.sleep(1 / harm.drip_bytes_s)

    @staticmethod
    def _end(*writers: asyncio.StreamWriter, is_reset: bool) -> None:
        for writer in writers:
            if is_reset:
                reset(writer.transport)
            else:
                writer.close()
