"""An open run page: who may watch, what it is shown, and that the database is the truth."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from sagas import access
from sagas.core.vocabulary import Role, RunStatus
from sagas.live import consumers, publisher, routing
from sagas.live.publisher import Position
from tests import factories
from tests.live.conftest import ORIGIN, Page, advance, in_database, make_run, sign_in
from tests.story import Story

if TYPE_CHECKING:
    from sagas.models import SagaRun

pytestmark = pytest.mark.django_db(transaction=True)


async def watched_run() -> tuple[SagaRun, str]:
    return await in_database(make_run)(sequence=1), await in_database(sign_in)("bob")


def path_of(run: SagaRun) -> str:
    return f"/ws/runs/{run.id}/"


async def test_a_page_is_shown_the_run_as_soon_as_it_connects(following):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    frame = await page.frame()
    assert frame.startswith("<hx-partial")
    assert 'hx-swap="outerMorph"' in frame
    assert 'id="pulse"' in frame
    assert 'data-sequence="1"' in frame
    await page.leave()


async def test_a_change_reaches_every_open_page(following):
    run, cookie = await watched_run()
    pages = [Page(path_of(run), cookie=cookie) for _ in range(3)]
    for page in pages:
        assert await page.open()
        await page.frame()
    await in_database(advance)(run, 2)
    for page in pages:
        await page.frame_with('data-sequence="2"')
        await page.leave()


async def test_a_new_revision_alone_is_shown_too(following):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    await in_database(advance)(run, 1, revision=2)
    await page.frame_with("hx-partial")
    await page.leave()


async def test_many_changes_become_few_frames_and_the_last_one_is_shown(following):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    for sequence in range(2, 42):
        await in_database(advance)(run, sequence)
        await publisher.nudge(run.id, Position(sequence, 1))
    _, count = await page.frame_with('data-sequence="41"')
    assert count < 40
    await page.leave()


async def test_a_lost_nudge_costs_a_moment_and_no_fact(layer, monkeypatch):
    monkeypatch.setattr(consumers, "BEAT_S", 0.05)
    monkeypatch.setattr(consumers, "SNAPSHOT_S", 0.05)
    monkeypatch.setattr("sagas.live.frames.FRESH_S", 0.0)
    run, cookie = await watched_run()  # and no tail: nobody nudges
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    await in_database(advance)(run, 7)
    await page.frame_with('data-sequence="7"')
    await page.leave()


async def test_a_page_says_by_itself_that_a_time_is_up_though_the_run_did_not_move(layer, monkeypatch):
    """Its worker died: nobody writes, so nobody nudges; and no heartbeat comes to the help of this test."""
    monkeypatch.setattr(consumers, "BEAT_S", 600.0)

    def sent() -> SagaRun:
        now = timezone.now()
        factories.make_beat(now)
        return Story(now).start(factories.PAY, timeout_s=1.0).save()

    run, cookie = await in_database(sent)(), await in_database(sign_in)("bob")
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    assert "Times out in" in await page.frame()
    frame, _ = await page.frame_with("no worker waits for its answer any more")
    assert "Times out in" not in frame
    await page.leave()


async def test_a_page_that_comes_back_sees_what_it_missed(following):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    await page.leave()
    await in_database(advance)(run, 9, status=RunStatus.NEEDS_ATTENTION.value)
    again = Page(path_of(run), cookie=cookie)
    assert await again.open()
    assert 'data-sequence="9"' in await again.frame()
    await again.leave()


async def test_an_old_nudge_is_dropped(following):
    run, cookie = await watched_run()
    await in_database(advance)(run, 5)
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    await publisher.nudge(run.id, Position(2, 1))
    await in_database(advance)(run, 6)
    assert 'data-sequence="6"' in await page.frame()
    await page.leave()


async def test_a_slow_page_gets_the_latest_and_nothing_queued(following):
    run, cookie = await watched_run()
    sent: list[str] = []
    inbox: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    may_send, is_blocked = asyncio.Event(), asyncio.Event()

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "websocket.send":
            is_blocked.set()
            await may_send.wait()
            sent.append(str(message["text"]))

    headers = [(b"host", b"localhost"), (b"origin", ORIGIN.encode()), (b"cookie", f"sessionid={cookie}".encode())]
    scope = {"type": "websocket", "path": path_of(run), "headers": headers, "query_string": b""}
    inbox.put_nowait({"type": "websocket.connect"})
    task = asyncio.create_task(routing.application(scope, inbox.get, send))
    await is_blocked.wait()
    for sequence in range(2, 12):
        await in_database(advance)(run, sequence)
        await publisher.nudge(run.id, Position(sequence, 1))
    may_send.set()
    while 'data-sequence="11"' not in "".join(sent):  # noqa: ASYNC110 - the page is another task's business
        await asyncio.sleep(0.01)
    assert len(sent) <= 3
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await task


async def test_somebody_signed_out_is_offered_to_sign_in_again(layer):
    run = await in_database(make_run)()
    page = Page(path_of(run))
    assert await page.open()
    farewell = await page.frame()
    assert 'hx-target="#live"' in farewell
    assert "hx-ws:connect" not in farewell  # or htmx would connect again, for ever
    assert "/sign-in/" in farewell
    assert await page.close_code() == consumers.SIGNED_OUT
    await page.leave()


async def test_a_stranger_with_an_account_and_no_role_sees_nothing(layer):
    run = await in_database(make_run)()
    page = Page(path_of(run), cookie=await in_database(sign_in)("charlie", None))
    assert await page.open()
    assert str(run.id) not in await page.frame()
    assert await page.close_code() == consumers.SIGNED_OUT
    await page.leave()


def sign_everybody_out() -> None:
    Session.objects.all().delete()


def take_the_role_away() -> None:
    access.grant_role(get_user_model().objects.get(username="bob"), None)


def switch_the_person_off() -> None:
    get_user_model().objects.update(is_active=False)


@pytest.mark.parametrize("what", [sign_everybody_out, take_the_role_away, switch_the_person_off])
async def test_a_socket_ends_when_its_viewer_may_no_longer_watch(what, layer, monkeypatch):
    monkeypatch.setattr(consumers, "BEAT_S", 0.05)
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.frame()
    await in_database(what)()
    assert await page.close_code() == consumers.SIGNED_OUT
    await page.leave()


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://localhost.evil.example", "http://evil.example/localhost"]
)
async def test_a_foreign_page_is_not_let_in(origin, layer):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie, origin=origin)
    assert not await page.open()


async def test_a_page_that_writes_is_cut_off(layer):
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    await page.socket.send_to(text_data='{"cancel": true}')
    assert await page.close_code() == consumers.READ_ONLY
    await page.leave()


async def test_a_run_that_does_not_exist_shows_nothing(layer):
    page = Page(f"/ws/runs/{uuid4()}/", cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    assert (await page.frame()).count("<hx-partial") == 1  # the heartbeat alone
    await page.leave()


async def test_an_address_nobody_listens_at_is_refused(layer):
    page = Page("/ws/nothing/", cookie=await in_database(sign_in)("bob"))
    assert not await page.open()


async def test_a_full_process_says_try_later(layer, monkeypatch):
    monkeypatch.setattr(consumers, "SOCKETS_MAX", 0)
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    assert await page.close_code() == consumers.TRY_LATER
    await page.leave()


async def test_a_page_still_shows_the_run_while_the_channel_layer_is_away(layer, monkeypatch):
    async def refuse(*_arguments: object) -> None:
        message = "no layer"
        raise ConnectionError(message)

    monkeypatch.setattr(get_channel_layer(), "group_add", refuse)
    run, cookie = await watched_run()
    page = Page(path_of(run), cookie=cookie)
    assert await page.open()
    assert 'data-sequence="1"' in await page.frame()
    await page.leave()


async def test_losing_a_nudge_raises_nothing(layer, monkeypatch):
    async def refuse(*_arguments: object) -> None:
        message = "no layer"
        raise ConnectionError(message)

    monkeypatch.setattr(get_channel_layer(), "group_send", refuse)
    await publisher.nudge(uuid4(), Position(1, 1))


async def test_the_role_needed_is_viewer(layer):
    run = await in_database(make_run)()
    for role in Role:
        page = Page(path_of(run), cookie=await in_database(sign_in)(role.value, role))
        assert await page.open()
        assert 'id="pulse"' in await page.frame()
        await page.leave()


async def show_to_somebody(run: SagaRun, cookie: str, send) -> None:
    """Show the run over a connection of the test's own making until a frame was tried, then leave."""
    inbox: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    was_tried = asyncio.Event()

    async def tried(message: dict[str, object]) -> None:
        try:
            await send(message)
        finally:
            if message["type"] in {"websocket.send", "websocket.close"}:
                was_tried.set()

    headers = [(b"host", b"localhost"), (b"origin", ORIGIN.encode()), (b"cookie", f"sessionid={cookie}".encode())]
    scope = {"type": "websocket", "path": path_of(run), "headers": headers, "query_string": b""}
    inbox.put_nowait({"type": "websocket.connect"})
    task = asyncio.create_task(routing.application(scope, inbox.get, tried))
    await was_tried.wait()
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await task


async def test_a_viewer_who_leaves_while_a_frame_is_on_its_way_is_no_fault(layer, caplog):
    async def gone(message: dict[str, object]) -> None:
        if message["type"] == "websocket.send":
            raise ConnectionResetError

    run, cookie = await watched_run()
    await show_to_somebody(run, cookie, gone)
    assert not caplog.records


async def test_a_real_fault_is_loud_even_when_it_looks_like_a_lost_connection(layer, caplog, monkeypatch):
    async def broken(self: object) -> str:
        raise ConnectionResetError

    async def take(message: dict[str, object]) -> None: ...

    monkeypatch.setattr(consumers.RunConsumer, "read_frame", broken)
    run, cookie = await watched_run()
    await show_to_somebody(run, cookie, take)
    assert "a live view broke" in caplog.text
