"""Sockets against the real routing, a real database and a real channel layer; only uvicorn is missing."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from channels.layers import channel_layers
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import Client
from django.utils import timezone

from sagas import access
from sagas.core.document import content_hash
from sagas.core.vocabulary import Role
from sagas.live import consumers, frames, routing, tail
from sagas.models import Saga, SagaRun, SagaVersion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ORIGIN = "http://localhost"
NOBODY_LISTENS = "redis://127.0.0.1:1/0"
DOCUMENT = {"saga": "ship", "title": "Ship", "steps": [{"name": "pack", "action": "shop.pack", "compensation": "none"}]}

in_database = database_sync_to_async


def make_run(**fields: Any) -> SagaRun:
    """Store a run as the engine would leave it after its start."""
    saga, _ = Saga.objects.get_or_create(name="ship", defaults={"title": "Ship"})
    version, _ = SagaVersion.objects.get_or_create(
        saga=saga, number=1, defaults={"document": DOCUMENT, "source": "", "content_hash": content_hash(DOCUMENT)}
    )
    now = timezone.now()
    facts = {"input": {}, "created_at": now, "updated_at": now, "steps_total": 1, "created_by": "alice", **fields}
    return SagaRun.objects.create(saga=saga, version=version, **facts)


def advance(run: SagaRun, sequence: int, **fields: Any) -> None:
    """Move the stored run on, as a group commit does."""
    SagaRun.objects.filter(id=run.id).update(sequence=sequence, updated_at=timezone.now(), **fields)


def sign_in(name: str, role: Role | None = Role.VIEWER) -> str:
    """Make a person with a role and return the cookie of their session."""
    user = get_user_model().objects.create_user(name, password="correct horse")
    access.grant_role(user, role)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


class Page:
    """An open page: a socket, and what it was sent."""

    def __init__(self, path: str, *, cookie: str = "", origin: str | None = ORIGIN) -> None:
        headers = [(b"host", b"localhost")]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        self.socket = WebsocketCommunicator(routing.application, path, headers=headers)

    async def open(self) -> bool:
        """Knock; whether it was let in."""
        is_open, _ = await self.socket.connect(timeout=10)
        return is_open

    async def frame(self) -> str:
        """Return the next thing the page is sent."""
        return await self.socket.receive_from(timeout=10)

    async def frame_with(self, text: str) -> tuple[str, int]:
        """Return the first frame that holds `text`, and how many frames it took."""
        for count in range(1, 200):
            if text in (frame := await self.frame()):
                return frame, count
        message = f"no frame held {text!r}"
        raise AssertionError(message)

    async def close_code(self) -> int:
        """Return the code the server closed with, after whatever it still sent."""
        while True:
            message = await self.socket.receive_output(timeout=10)
            if message["type"] == "websocket.close":
                return message["code"]

    async def leave(self) -> None:
        """Close the page."""
        await self.socket.disconnect(timeout=10)


@pytest.fixture(params=["memory", "redis", "redis is away"])
def layer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the channel transport in use: both must behave the same."""
    configs = {
        "memory": {"BACKEND": "channels.layers.InMemoryChannelLayer"},
        "redis is away": {"BACKEND": "sagas.live.redis_layer.RedisLayer", "CONFIG": {"hosts": [NOBODY_LISTENS]}},
    }
    if request.param == "redis":
        url = os.environ.get("REDIS_URL_TEST")
        if not url:
            pytest.skip("needs Redis")
        config = {"hosts": [url], "prefix": f"tests{os.getpid()}"}  # the suite of the other database runs beside us
        configs["redis"] = {"BACKEND": "sagas.live.redis_layer.RedisLayer", "CONFIG": config}
    monkeypatch.setattr(settings, "CHANNEL_LAYERS", {"default": configs[request.param]})
    channel_layers.backends.clear()
    return request.param


@pytest.fixture
async def following(layer: str) -> AsyncIterator[asyncio.Task[None]]:
    """Run the tail, as the web process does."""
    task = asyncio.create_task(tail.follow())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Any:
    """Whatever a test did, no viewer may stay counted; and the threads give their connections back."""
    yield
    for pool in (frames.readers, tail.thread):
        for _ in range(frames.READERS):
            pool.submit(connections.close_all).result()
    channel_layers.backends.clear()
    assert not tail.watched
    assert not frames.shared
    assert not consumers.LiveConsumer.open_sockets
