"""The tail asks about watched runs and nothing else; tasks of the web process are kept running."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from sagas.live import lifespan, publisher, tail
from sagas.live.publisher import Position
from tests.live.conftest import advance, in_database, make_run


async def ticks_until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for gives no sign
        await asyncio.sleep(0.01)


async def test_nothing_is_asked_of_the_database_while_nobody_watches(following, monkeypatch):
    asked = []

    async def count(run_ids):
        asked.append(run_ids)
        return {}

    monkeypatch.setattr(tail, "_read_positions", count)
    await asyncio.sleep(tail.TICK_S * 4)
    assert not asked
    run_id = uuid4()
    tail.watch(run_id)
    await ticks_until(lambda: asked)
    tail.unwatch(run_id)
    assert asked[0] == [run_id]


@pytest.mark.django_db(transaction=True)
async def test_each_advance_is_nudged_once(following, monkeypatch):
    nudged = []

    async def note(run_id, position):
        nudged.append(position)

    monkeypatch.setattr(publisher, "nudge", note)
    run = await in_database(make_run)(sequence=1)
    tail.watch(run.id)
    await ticks_until(lambda: nudged)
    await in_database(advance)(run, 2)
    await ticks_until(lambda: len(nudged) > 1)
    await asyncio.sleep(tail.TICK_S * 4)
    tail.unwatch(run.id)
    assert nudged == [Position(1, 1), Position(2, 1)]


async def test_a_job_that_breaks_is_started_again_and_ends_with_the_process(monkeypatch, caplog):
    monkeypatch.setattr(lifespan, "WAIT_S", 0.001)
    starts, ended = [], []

    async def job():
        starts.append(1)
        if len(starts) < 3:
            message = "broken on purpose"
            raise RuntimeError(message)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def app(scope, receive, send):
        await send({"type": scope["type"]})

    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    application = lifespan.with_lifespan(app, job=job)
    task = asyncio.create_task(application({"type": "lifespan"}, inbox.get, outbox.put))
    inbox.put_nowait({"type": "lifespan.startup"})
    assert (await outbox.get())["type"] == "lifespan.startup.complete"
    await ticks_until(lambda: len(starts) == 3)
    assert "broken on purpose" in caplog.text
    inbox.put_nowait({"type": "lifespan.shutdown"})
    assert (await outbox.get())["type"] == "lifespan.shutdown.complete"
    await task
    assert ended
    await application({"type": "http"}, inbox.get, outbox.put)
    assert (await outbox.get())["type"] == "http"
