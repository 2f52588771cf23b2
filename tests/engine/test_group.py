"""Group commit: what is written together, and what must not be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sagas.core.redaction import NOTHING
from sagas.core.state import RunState
from sagas.engine import group as group_module
from sagas.engine.group import GroupCommit
from sagas.engine.journal import Append
from sagas.engine.journal_thread import JournalThread

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Append(UUID(int=1), 1, RunState(), RunState(), (), NOTHING, NOW, keeps_lease=True)
OTHER = replace(ONE, run_id=UUID(int=2))


async def append_all(*items: Append) -> list[bool]:
    commit = GroupCommit(JournalThread(), lambda: len(items))
    working = asyncio.create_task(commit.work())
    try:
        return await asyncio.wait_for(asyncio.gather(*map(commit.append, items)), 30)
    finally:
        working.cancel()


def test_two_transitions_of_one_run_never_share_a_statement(monkeypatch):
    batches = []

    def write(batch):
        batches.append([(item.run_id, item.token) for item in batch])
        return {item.run_id for item in batch if item.token == 2}, set()

    monkeypatch.setattr(group_module, "_write", write)
    newer = replace(ONE, token=2)
    assert asyncio.run(append_all(ONE, newer, OTHER)) == [False, True, False]
    assert batches == [[(ONE.run_id, 1), (OTHER.run_id, 1)], [(ONE.run_id, 2)]]


@pytest.mark.parametrize("error", [ValueError, KeyError])
def test_a_commit_that_breaks_in_any_way_lets_its_runs_go_and_the_next_one_is_written(monkeypatch, error):
    calls = []

    def write(batch):
        calls.append(batch)
        if len(calls) == 1:
            raise error("anything")
        return {item.run_id for item in batch}, set()

    monkeypatch.setattr(group_module, "_write", write)
    assert asyncio.run(append_all(ONE, replace(ONE, token=2))) == [False, True]
