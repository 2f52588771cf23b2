"""Tasks that live as long as the web process: started with it, restarted when they break, ended with it."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

WAIT_S = 0.2  # before the first restart; doubles with each further one
WAIT_S_MAX = 5.0
HEALTHY_S = 30.0  # a job that ran this long starts again without a growing wait


async def keep_running(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Run `job` for ever: when it breaks, say so and start it again after a short, spread wait."""
    wait_s = WAIT_S
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            await job()
        except Exception:
            log.exception("%s broke; it starts again in about %.1f s", name, wait_s)
        if clock() - began > HEALTHY_S:
            wait_s = WAIT_S
        await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
        wait_s = min(wait_s * 2, WAIT_S_MAX)


def with_lifespan(app: Callable[..., Awaitable[None]], **jobs: Callable[[], Awaitable[None]]) -> Callable[..., Any]:
    """Wrap an ASGI application that knows no lifespan; the jobs run from start-up to shutdown."""

    async def application(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        tasks: list[asyncio.Task[None]] = []
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                tasks = [asyncio.create_task(keep_running(name, job), name=name) for name, job in jobs.items()]
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    return application
