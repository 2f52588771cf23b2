"""What the two addresses for machines say."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.utils import timezone

from sagas.models import PumpSlot
from sagas.workers import health


@pytest.fixture(autouse=True)
def _forget_what_was_seen():
    health._once_migrated.cache_clear()
    yield
    health._once_migrated.cache_clear()


def test_the_web_says_that_it_lives_without_asking_the_database(client):
    assert client.get("/livez").json() == {"status": "ok"}


def test_not_ready_without_a_pump_that_has_beaten_lately(client, db):
    PumpSlot.objects.create(group="g", number=0, beat_at=timezone.now() - 2 * health.BEAT_AGE_MAX)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, {"pumps": "no pump is running"})


def test_ready_with_a_live_pump(client, db):
    PumpSlot.objects.create(group="g", number=0, beat_at=timezone.now())
    assert client.get("/readyz").status_code == 200


def test_not_ready_with_migrations_missing_and_ready_again_once_applied(client, db, monkeypatch):
    PumpSlot.objects.create(group="g", number=0, beat_at=timezone.now())
    with monkeypatch.context() as patch:
        patch.setattr(health, "count_unapplied_migrations", lambda: 2)
        assert client.get("/readyz").json()["problems"] == {"migrations": "2 not applied"}
    assert client.get("/readyz").status_code == 200


def test_not_ready_when_the_database_does_not_answer(client, db, monkeypatch):
    def broken():
        raise OperationalError("gone")

    monkeypatch.setattr(health, "has_live_pump", broken)
    assert client.get("/readyz").json()["problems"] == {"database": "does not answer"}
