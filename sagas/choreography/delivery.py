"""An event reaches its run: by the inbox, like everything that comes from outside; or it begins one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.correlation import event_facts
from sagas.core.vocabulary import RunStatus, Verb
from sagas.engine import inbox
from sagas.engine.commands import insert_run
from sagas.models.identity import uuid7

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sagas.core.definition import Definition
    from sagas.core.vocabulary import Json
    from sagas.models import SagaRun, SagaVersion

BY_LENGTH_MAX = 150


def start(version: SagaVersion, definition: Definition, key: str, event: Mapping[str, Json]) -> SagaRun:
    """Begin the run of a correlation value; the event that begins it is delivered like any other.

    The caller holds the correlation value, so nobody else begins the same run.
    """
    facts = event_facts(definition, event, key)
    return insert_run(version, definition, uuid7(), event.get("data"), facts, _sender(event))


def deliver(run: SagaRun, events: Sequence[Mapping[str, Json]], now: datetime) -> bool:
    """Put events into the inbox of `run`, whose row the caller has locked; return whether the run had ended."""
    orders = [
        m.TakeOrder(
            number=number, verb=Verb.EVENT, by=_sender(event), now=now, arguments=dict(event), has_arguments=True
        )
        for number, event in enumerate(events, start=run.inbox_last + 1)
    ]
    inbox.put_many(run, orders, now)
    return RunStatus(run.status).is_final


def _sender(event: Mapping[str, Json]) -> str:
    return str(event["source"])[:BY_LENGTH_MAX]
