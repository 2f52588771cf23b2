"""An open list of runs: its rows hold still and change in place, newcomers are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from sagas.core.vocabulary import RunStatus
from sagas.live import addresses, frames
from sagas.live.addresses import ListView
from sagas.queries.runs import PAGE_ROWS, RunFilter
from tests.live.conftest import Page, advance, in_database, make_run, sign_in

database = pytest.mark.django_db(transaction=True)


def query_of(path: str) -> bytes:
    return path.partition("?")[2].encode()


def test_an_address_says_what_the_page_shows():
    wanted = RunFilter(("running", "pending"), "ship & go", "a=b%", datetime(2026, 1, 2, tzinfo=UTC), "approval")
    rows = (uuid4(), uuid4())
    for is_first in (True, False):
        read = addresses.read_list(query_of(addresses.list_path(rows, wanted, is_first_page=is_first)))
        assert read == ListView(rows, wanted, counts_newcomers=is_first)


@pytest.mark.parametrize(
    "query",
    [b"rows=nonsense", b"after=2026-99-99T00:00", b"after=2026-01-01T00:00", b"saga=%00", b"\xff\xfe", b"rows=,,,"],
)
def test_an_address_nobody_wrote_harms_nothing(query):
    assert addresses.read_list(query) == ListView((), RunFilter(), counts_newcomers=False)


def test_no_more_than_a_page_of_rows_is_watched():
    path = addresses.list_path([UUID(int=number) for number in range(500)], RunFilter(), is_first_page=True)
    assert len(addresses.read_list(query_of(path)).rows) == PAGE_ROWS


@database
async def test_a_row_changes_in_place(following):
    runs = [await in_database(make_run)() for _ in range(3)]
    path = addresses.list_path([run.id for run in runs], RunFilter(), is_first_page=True)
    page = Page(path, cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    first = await page.frame()
    assert all(f"row-{run.id}" in first for run in runs)
    await in_database(advance)(runs[1], 2, status=RunStatus.NEEDS_ATTENTION.value)
    frame, _ = await page.frame_with("Needs attention")
    assert 'hx-target="#rows" hx-swap="outerMorph"' in frame
    await page.leave()


@database
async def test_a_row_that_no_longer_matches_the_filter_stays(following):
    run = await in_database(make_run)(status=RunStatus.RUNNING.value)
    path = addresses.list_path([run.id], RunFilter(statuses=("running",)), is_first_page=True)
    page = Page(path, cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    await page.frame()
    await in_database(advance)(run, 2, status=RunStatus.NEEDS_ATTENTION.value)
    frame, _ = await page.frame_with("Needs attention")
    assert f"row-{run.id}" in frame
    await page.leave()


@database
async def test_a_newcomer_is_counted_and_not_inserted(following):
    run = await in_database(make_run)()
    page = Page(
        addresses.list_path([run.id], RunFilter(), is_first_page=True), cookie=await in_database(sign_in)("bob")
    )
    assert await page.open()
    await page.frame()
    newcomer = await in_database(make_run)()
    frame, _ = await page.frame_with("1 new run")
    assert f"row-{newcomer.id}" not in frame
    await page.leave()


@database
async def test_a_newcomer_outside_the_filter_is_not_counted(following):
    run = await in_database(make_run)()
    wanted = RunFilter(statuses=("completed",))
    page = Page(addresses.list_path([run.id], wanted, is_first_page=True), cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    await page.frame()
    await in_database(make_run)()
    await in_database(advance)(run, 2, status=RunStatus.NEEDS_ATTENTION.value)
    frame, _ = await page.frame_with("Needs attention")
    assert "new run" not in frame
    await page.leave()


@database
def test_a_crowd_of_newcomers_is_counted_up_to_a_bound(django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(frames, "NEWCOMERS_MAX", 3)
    rows = [make_run().id for _ in range(2)]
    for _ in range(9):
        make_run()
    with django_assert_num_queries(3):
        html = frames.render_list(ListView(tuple(rows), RunFilter(), counts_newcomers=True))
    assert "More than 3 new runs" in html


@database
async def test_an_empty_list_waits_for_its_first_run(following):
    page = Page(addresses.list_path([], RunFilter(), is_first_page=True), cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    assert "#rows" not in await page.frame()
    await in_database(make_run)()
    await page.frame_with("1 new run")
    await page.leave()
