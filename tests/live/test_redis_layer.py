"""Redis may go and come back under open pages: they stay live, and hear other processes again."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from contextlib import closing
from shutil import which

import pytest
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

MESSAGE = {"type": "run.advanced", "sequence": 1}
SERVER = which("redis-server")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Return a port for Redis where nobody listens yet."""
    port = free_port()
    config = {"BACKEND": "sagas.live.redis_layer.RedisLayer", "CONFIG": {"hosts": [f"redis://127.0.0.1:{port}/0"]}}
    monkeypatch.setattr(settings, "CHANNEL_LAYERS", {"default": config})
    channel_layers.backends.clear()
    return port


async def test_viewers_of_this_process_hear_what_it_found_while_redis_is_away(port):
    layer = get_channel_layer()
    viewer = await layer.new_channel()
    for group in ("run.a", "run.b"):
        await layer.group_add(group, viewer)
    for group in ("run.a", "run.b"):
        with pytest.raises((OSError, RedisError)):
            await layer.group_send(group, MESSAGE)
        assert await asyncio.wait_for(layer.receive(viewer), 10) == MESSAGE


@pytest.mark.skipif(SERVER is None, reason="needs redis-server")
async def test_a_group_joined_while_redis_was_away_is_heard_from_elsewhere_once_it_is_back(port, tmp_path):
    layer = get_channel_layer()
    viewer = await layer.new_channel()
    await layer.group_add("run.a", viewer)
    command = [SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: ASYNC220 - it is started, not waited for
        try:
            for _ in range(200):
                try:
                    await layer.group_send("run.a", MESSAGE)
                    break
                except (OSError, RedisError):
                    assert await layer.receive(viewer) == MESSAGE
                    await asyncio.sleep(0.05)
            assert await asyncio.wait_for(layer.receive(viewer), 10) == MESSAGE
            channel_layers.backends.clear()
            await get_channel_layer().group_send("run.a", {**MESSAGE, "sequence": 2})  # as another process would
            assert await asyncio.wait_for(layer.receive(viewer), 10) == {**MESSAGE, "sequence": 2}
            for each in (layer, get_channel_layer()):
                await each.flush()
        finally:
            server.terminate()
