"""Channels over Redis that bears Redis being away.

The layer of channels-redis subscribes to Redis before a socket is accepted, so
without Redis no page would be live at all. Nobody sends to a viewer's own channel
(nudges go to groups), hence it needs no subscription; and what this process
found itself reaches its own viewers whether Redis answers or not.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import uuid4

from channels_redis.pubsub import RedisPubSubChannelLayer

from sagas.live.publisher import layer_errors


class RedisLayer(RedisPubSubChannelLayer):
    """`CHANNEL_LAYERS` of the web when `REDIS_URL` is set."""

    async def new_channel(self, prefix: str = "specific.") -> str:
        """Return a channel of this process; Redis is not asked."""
        layer = self._get_layer()
        channel = f"{layer.prefix}{prefix}{uuid4().hex}"
        layer.channels[channel] = asyncio.Queue()
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        """Join; while Redis is away the group is one of this process until a nudge finds Redis again."""
        with contextlib.suppress(OSError, layer_errors()):
            await self._get_layer().group_add(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to the group's viewers in all processes, or, while Redis is away, to those of this one.

        A group that was joined while Redis was away is subscribed to here, as soon as it is back.

        Raises:
            OSError, RedisError: Redis is away; the viewers of this process were told.
        """
        layer = self._get_layer()
        name = layer._get_group_channel_name(group)  # noqa: SLF001 - the layer has no public word for it
        shard = layer._get_shard(name)  # noqa: SLF001
        try:
            if name in layer.groups:
                await shard.subscribe(name)
            await shard.publish(name, self.serialize(message))
        except (OSError, layer_errors()):
            for channel in layer.groups.get(name, ()):
                if channel in layer.channels:
                    layer.channels[channel].put_nowait(self.serialize(message))
            raise
