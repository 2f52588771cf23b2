"""An event reaches its run: by the inbox, like everything that comes from outside; or it begins one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.correlation import event_facts
from sagas.core.vocabulary import RunStatus, Verb
from sagas.engine import inbox
from sagas.engine.commands import insert_run
from sagas.engine.law import law_of
from sagas.models.identity import uuid7
from sagas.sealing import seal

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
    """Put events into the inbox of `run`, whose row the caller has locked; return whether the run had ended.

    Their data waits there sealed as a whole unless the version of the run redacts nothing.
    """
    definition = law_of(run.version_id).definition
    is_open = definition is not None and not definition.redaction
    orders = [
        m.TakeOrder(
            number=number,
            verb=Verb.EVENT,
            by=_sender(event),
            now=now,
            arguments=dict(event) if is_open else {**event, "data": seal(event["data"])},
            has_arguments=True,
        )
        for number, event in enumerate(events, start=run.inbox_last + 1)
    ]
    inbox.put_many(run, orders, now)
    return RunStatus(run.status).is_final


def _sender(event: Mapping[str, Json]) -> str:
    return str(event["source"])[:BY_LENGTH_MAX]
