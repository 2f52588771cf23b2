"""An open overview: what it says follows the runs, and it is read once for all who look."""

from __future__ import annotations

import asyncio

import pytest

from sagas.core.vocabulary import RunStatus
from sagas.live import frames, tail
from sagas.live.addresses import OVERVIEW_PATH
from sagas.queries import counts
from tests.live.conftest import Page, advance, in_database, make_run, sign_in

database = pytest.mark.django_db(transaction=True)


@database
async def test_counts_the_sentence_the_latest_runs_and_the_badge_follow_the_runs(following):
    run = await in_database(make_run)(status=RunStatus.RUNNING.value)
    page = Page(OVERVIEW_PATH, cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    first = await page.frame()
    assert all(f'hx-target="#{region}"' in first for region in ("answer", "tiles", "latest", "attention-count"))
    assert 'class="count" hidden' in first
    newcomer = await in_database(make_run)()
    await page.frame_with(f"row-{newcomer.id}")
    await in_database(advance)(run, 2, status=RunStatus.NEEDS_ATTENTION.value)
    frame, _ = await page.frame_with('id="attention-count" class="count">1<')
    assert "Needs attention" in frame
    await page.leave()
    assert not tail.overview_viewers


@database
async def test_many_viewers_cost_one_reading(following, monkeypatch):
    readings = []
    read = frames._render_overview

    async def count():
        readings.append(1)
        return await read()

    monkeypatch.setattr(frames, "_render_overview", count)
    monkeypatch.setattr(frames, "REUSE_S", 60.0)
    cookie = await in_database(sign_in)("bob")
    pages = [Page(OVERVIEW_PATH, cookie=cookie) for _ in range(5)]
    for page in pages:
        assert await page.open()
        await page.frame()
    run = await in_database(make_run)()
    for page in pages:
        await page.frame_with(f"row-{run.id}")
        await page.leave()
    assert len(readings) <= 3  # the first look, the tail's own first look, the run


@database
async def test_nothing_is_asked_while_nobody_looks_at_the_overview(following, monkeypatch):
    asked = []

    async def count():
        asked.append(1)
        return "the same"

    monkeypatch.setattr(tail, "_read_mark", count)
    monkeypatch.setattr(tail, "LIST_TICKS", 1)
    await asyncio.sleep(tail.TICK_S * 4)
    assert not asked
    page = Page(OVERVIEW_PATH, cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    await page.frame()
    while not asked:  # noqa: ASYNC110 - what is waited for gives no sign
        await asyncio.sleep(0.01)
    await page.leave()


@pytest.mark.django_db
def test_a_mark_changes_with_every_start_move_and_end_and_costs_one_query(django_assert_num_queries):
    marks = [counts.read_mark()]
    run = make_run()
    marks.append(counts.read_mark())
    advance(run, 2)
    marks.append(counts.read_mark())
    make_run(status=RunStatus.COMPLETED.value, finished_at=run.created_at)
    marks.append(counts.read_mark())
    advance(run, 3, status=RunStatus.COMPLETED.value, finished_at=run.created_at)
    with django_assert_num_queries(1):
        marks.append(counts.read_mark())
    assert len(set(marks)) == len(marks)
    assert counts.read_mark() == marks[-1]


@pytest.mark.django_db
def test_the_overview_is_read_with_six_queries(django_assert_num_queries):
    make_run()
    with django_assert_num_queries(6):
        frames.render_overview()
