"""A database that was away for a moment is there again for whatever action comes next."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connection, connections

from sagas import Rejected
from sagas.core.outcome import Rejected as RejectedOutcome
from sagas.core.outcome import Succeeded, Unknown
from sagas.participants import local, registry
from tests.participants.test_local import call, registered

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_actions", {})
    monkeypatch.setattr(registry, "_is_discovered", True)


def session() -> int:
    """Return the server's number of this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def end_session(number: int) -> None:
    """Do to a connection what a restart of the server does to all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [number])
    connection.close()


@pytest.mark.parametrize("wraps", [False, True])
async def test_an_async_action_gets_a_new_connection_after_one_that_broke(wraps):
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL only: SQLite has no server to lose")

    async def count(_call):
        try:
            return await sync_to_async(Group.objects.count)()
        except Exception as error:
            if wraps:
                raise RuntimeError("the directory does not answer") from error
            raise

    action = registered(count)
    try:
        assert isinstance(await local.perform_async(action, call()), Succeeded)
        number = await sync_to_async(session)()
        await sync_to_async(end_session, thread_sensitive=False)(number)
        assert isinstance(await local.perform_async(action, call()), Unknown)
        assert isinstance(await local.perform_async(action, call()), Succeeded)
    finally:
        await sync_to_async(connections.close_all)()


async def test_an_action_that_says_no_asks_nothing_of_the_thread_that_async_actions_share(monkeypatch):
    monkeypatch.setattr(local, "sync_to_async", None)

    async def refuse(_call):
        raise Rejected("no")

    assert isinstance(await local.perform_async(registered(refuse), call()), RejectedOutcome)
