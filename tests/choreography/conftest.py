"""The order choreography, published; a way to send it events."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sagas.catalog.publish import publish
from sagas.choreography.router import take
from sagas.core.cloud_event import CloudEvent
from sagas.models import EventOrigin, SagaRun
from tests.choreography.documents import ORDER
from tests.engine import actions
from tests.engine.conftest import drive


@pytest.fixture(autouse=True)
def _fresh_actions(transactional_db):
    actions.reset()


@pytest.fixture
def order():
    """Publish the order choreography, done here."""
    return publish(ORDER, by="tests").version.saga


def event(kind: str, order_id: str = "7", event_id: str = "", **more) -> CloudEvent:
    """Return an event about an order; each type of it has one id, as its source would give it."""
    return CloudEvent(
        id=event_id or f"{order_id}-{kind}", source="/tests", type=kind, data={"order_id": order_id}, **more
    )


def send(*events: CloudEvent):
    """Take events in, as if they had come by the API."""
    return take(events, origin=EventOrigin.API, by="tests")


def the_run(key: str = "7") -> SagaRun:
    """Return the run of one order."""
    return SagaRun.objects.select_related("saga").get(key=key)


def settle() -> None:
    """Run a pump here until nothing is due soon; a deadline is far away."""
    drive(until=lambda: not SagaRun.objects.filter(due_at__lte=timezone.now() + timedelta(seconds=20)).exists())
