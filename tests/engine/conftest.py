"""A pump in the test's own process, and sagas for it to drive."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections

from sagas.catalog.publish import publish
from sagas.engine.pump import run_shift
from sagas.models import SagaRun
from tests.engine import actions

GIVE_UP_S = 60  # a bound that only a hanging test reaches

SOURCE = """
saga: {name}
title: Three steps
{more}
defaults:
  timeout: 5s
  retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
  compensation_retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
steps:
  - name: pay
    action: engine.{kind}
    compensation: {{action: engine.{kind}}}
  - name: stock
    action: engine.{kind}
    compensation: {{action: engine.{kind}}}
  - name: ship
    action: engine.{kind}
    compensation: none
"""


@pytest.fixture(autouse=True)
def _fresh_actions(transactional_db):
    actions.reset()


@pytest.fixture
def saga():
    """Publish a saga of three steps and return its name."""

    def make(kind: str = "plain", more: str = "", source: str | None = None) -> str:
        text = source or SOURCE.format(name=f"three-{kind}", kind=kind, more=more)
        return publish(text, by="tests").version.saga.name

    return make


def drive(until=None) -> None:
    """Run a pump here until `until()`; by default until no run is moving."""
    is_over = threading.Event()

    def resting() -> bool:
        return not SagaRun.objects.filter(due_at__isnull=False).exists()

    def watch() -> None:
        give_up = time.monotonic() + GIVE_UP_S
        while time.monotonic() < give_up and not (until or resting)():
            time.sleep(0.02)
        is_over.set()
        connections.close_all()

    watcher = threading.Thread(target=watch)
    watcher.start()
    pump = threading.Thread(
        target=run_shift, args=("tests", 0), kwargs={"length_s": GIVE_UP_S, "should_stop": is_over.is_set}
    )
    pump.start()
    watcher.join()
    pump.join(GIVE_UP_S)
    assert not pump.is_alive(), "the pump did not stop"
