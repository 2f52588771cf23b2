"""Sockets: a nudge comes in, the database is read, a frame goes out.

A socket only sends. Orders are POSTs, and whatever a client writes ends its
socket. Each (re)connect gets a whole snapshot, so a gap heals itself. A viewer
who reads slowly gets fewer frames, always the latest: nothing is queued.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, ClassVar

from channels.db import DatabaseSyncToAsync
from channels.exceptions import ChannelFull
from channels.generic.websocket import AsyncWebsocketConsumer

from sagas.live import access, addresses, frames, publisher, tail
from sagas.live.publisher import Position

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

SOCKETS_MAX = 1000  # of one process: each holds a task and some kilobytes
FRAME_S_MIN = 0.25  # at most four frames a second to each viewer of a run
LIST_FRAME_S_MIN = 0.5  # at most two of a list
BEAT_S = 5.0  # heartbeat, and the time within which a sign-out or a lost role ends a socket
SNAPSHOT_S = 10.0  # an open page is read again after this long even when no nudge came

SIGNED_OUT = 4401
UNKNOWN_ADDRESS = 4404
READ_ONLY = 1008
BROKEN = 1011
TRY_LATER = 1013

_render_list = DatabaseSyncToAsync(frames.render_list, thread_sensitive=False, executor=frames.readers)
_find_viewer = DatabaseSyncToAsync(access.find_viewer, thread_sensitive=False, executor=frames.readers)


class _ViewerLeftError(Exception):
    """The peer is gone, which is ordinary; the server's notice of it is on its way."""


class LiveConsumer(AsyncWebsocketConsumer):
    """What both kinds of page share: who may watch, the pace, the heartbeat."""

    open_sockets: ClassVar[set[str]] = set()
    frame_s_min: float = FRAME_S_MIN
    channel_groups: tuple[str, ...] = ()
    sequence: int = 0
    stale_at: float = math.inf  # monotonic seconds: what is shown must be read again, nudge or no nudge
    _task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Accept, look who it is, and begin to show."""
        await self.accept()
        if len(LiveConsumer.open_sockets) >= SOCKETS_MAX:
            await self.close(TRY_LATER)
            return
        LiveConsumer.open_sockets.add(self.channel_name)
        if await _find_viewer(self.scope) is None:
            await self.say_farewell()
            return
        self.changed = asyncio.Event()
        self.changed.set()  # the snapshot
        self._task = asyncio.create_task(self.show_for_ever())

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels gives it
        """Leave nothing behind."""
        LiveConsumer.open_sockets.discard(self.channel_name)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """Nothing is expected from a viewer."""
        await self.close(READ_ONLY)

    async def say_farewell(self) -> None:
        """Offer to sign in again, then close. The offer ends the page's reconnecting."""
        with contextlib.suppress(OSError):  # the viewer has left already
            await self.send(frames.farewell())
            await self.close(SIGNED_OUT)

    async def show_for_ever(self) -> None:
        """Show at once, then as things change, but at most four times a second; beat in between."""
        try:
            self.start_watching()
            try:
                await self._join()
                await self._show_for_ever()
            finally:
                self.stop_watching()
                await self._part()
        except asyncio.CancelledError:
            raise
        except _ViewerLeftError:
            log.debug("a viewer left while a frame was on its way")
        except Exception:
            log.exception("a live view broke; the page connects again")
            with contextlib.suppress(OSError):
                await self.close(BROKEN)

    async def _show_for_ever(self) -> None:
        beat_at = time.monotonic() + BEAT_S
        read_at = 0.0
        while True:
            now = time.monotonic()
            if now >= beat_at:
                if await _find_viewer(self.scope) is None:
                    await self.say_farewell()
                    return
                beat_at = now + BEAT_S
                if now - read_at >= SNAPSHOT_S:
                    self.changed.set()
                else:
                    await self._send_frame(frames.pulse(self.sequence))
            if self.changed.is_set() or now >= self.stale_at:
                self.changed.clear()
                read_at, self.stale_at = time.monotonic(), math.inf
                await self._send_frame(await self.read_frame() + frames.pulse(self.sequence))
                await asyncio.sleep(self.frame_s_min)
            with contextlib.suppress(TimeoutError):
                wake_at = min(beat_at, self.stale_at)
                await asyncio.wait_for(self.changed.wait(), max(0.0, wake_at - time.monotonic()))

    async def _send_frame(self, html: str) -> None:
        try:
            await self.send(html)
        except OSError as error:  # so ASGI has servers say that there is nobody to send to
            raise _ViewerLeftError from error

    async def _join(self) -> None:
        try:
            for group in self.channel_groups:
                await self.channel_layer.group_add(group, self.channel_name)
        except (OSError, ChannelFull, publisher.layer_errors()) as error:
            log.warning("channel layer: %s; an open page is read every %d s", error, SNAPSHOT_S)

    async def _part(self) -> None:
        with contextlib.suppress(OSError, publisher.layer_errors()):
            for group in self.channel_groups:
                await self.channel_layer.group_discard(group, self.channel_name)

    def start_watching(self) -> None:
        """Ask the tail for nudges, before the snapshot is read, so that nothing falls between."""
        raise NotImplementedError

    def stop_watching(self) -> None:
        """Undo `start_watching`."""
        raise NotImplementedError

    async def read_frame(self) -> str:
        """Read the database and return what to show."""
        raise NotImplementedError


class RunConsumer(LiveConsumer):
    """One open run page."""

    shown: Position | None = None
    wanted: Position | None = None

    def start_watching(self) -> None:
        """Be counted by the tail and by the shared frames."""
        self.run_id: UUID = self.scope["url_route"]["kwargs"]["run_id"]
        self.channel_groups = (publisher.group_name(self.run_id),)
        frames.join(self.run_id)
        tail.watch(self.run_id)

    def stop_watching(self) -> None:
        """Leave the tail and the shared frames."""
        tail.unwatch(self.run_id)
        frames.leave(self.run_id)

    async def run_advanced(self, message: dict[str, Any]) -> None:
        """Take a nudge; one that says nothing new is dropped."""
        position = Position(message["sequence"], message["revision"])
        if self.shown is None or position > self.shown:
            self.wanted = max(position, self.wanted or position)
            self.changed.set()

    async def read_frame(self) -> str:
        """Return the run as it is now; nothing for a run that does not exist."""
        wanted, self.wanted = self.wanted, None
        frame = await frames.get_run_frame(self.run_id, wanted)
        if frame is None:
            return ""
        self.shown, self.sequence, self.stale_at = frame.position, frame.position.sequence, frame.stale_at
        if self.wanted is not None and self.wanted <= self.shown:  # nudged while it was read: shown already
            self.wanted = None
            self.changed.clear()
        return frame.html


class RunsConsumer(LiveConsumer):
    """One open list of runs. Its rows hold still and change in place; newcomers are counted, never inserted."""

    frame_s_min = LIST_FRAME_S_MIN

    def start_watching(self) -> None:
        """Watch the rows of the page, and the newest run."""
        self.view = addresses.read_list(self.scope["query_string"])
        self.channel_groups = (publisher.LIST_GROUP, *(publisher.group_name(run_id) for run_id in self.view.rows))
        tail.list_viewers.add(self.channel_name)
        for run_id in self.view.rows:
            tail.watch(run_id)

    def stop_watching(self) -> None:
        """Leave the tail."""
        tail.list_viewers.discard(self.channel_name)
        for run_id in self.view.rows:
            tail.unwatch(run_id)

    async def run_advanced(self, message: dict[str, Any]) -> None:  # noqa: ARG002 - which row does not matter
        """Take a nudge of one row: the table goes as a whole."""
        self.changed.set()

    async def run_appeared(self, message: dict[str, Any]) -> None:  # noqa: ARG002 - it is counted with its like
        """Take a nudge of a newcomer."""
        self.changed.set()

    async def read_frame(self) -> str:
        """Return the rows and the count of newcomers as they are now."""
        return await _render_list(self.view)


class OverviewConsumer(LiveConsumer):
    """One open overview. Everybody is shown the same, so it is read and rendered once for all."""

    frame_s_min = LIST_FRAME_S_MIN
    channel_groups = (publisher.OVERVIEW_GROUP,)
    mark: str = ""

    def start_watching(self) -> None:
        """Have the tail look for changes."""
        frames.join(frames.OVERVIEW)
        tail.overview_viewers.add(self.channel_name)

    def stop_watching(self) -> None:
        """Leave the tail and the shared frames."""
        tail.overview_viewers.discard(self.channel_name)
        frames.leave(frames.OVERVIEW)

    async def overview_changed(self, message: dict[str, Any]) -> None:
        """Take a nudge."""
        self.mark = message["mark"]
        self.changed.set()

    async def read_frame(self) -> str:
        """Return counts, latest runs and what needs a person, as they are now."""
        mark, self.mark = self.mark, ""
        return await frames.get_overview_frame(mark)


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI
    """Close a socket at an address that nothing listens at."""
    await receive()
    await send({"type": "websocket.close", "code": UNKNOWN_ADDRESS})
