"""The first entry of a simulated run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sagas.core import messages as m

if TYPE_CHECKING:
    from sagas.core.definition import Definition
    from sagas.core.facts import Facts
    from sagas.core.vocabulary import Json

STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)  # any moment would do; this one is easy to subtract
RUN_ID = "00000000-0000-7000-8000-000000000000"
BY = "simulation"


def started(definition: Definition, value: Json, facts: Facts) -> m.RunStarted:
    """Return the entry by which a run of `definition` with the input `value` begins."""
    deadline_s = definition.deadline_s
    return m.RunStarted(
        run=RUN_ID,
        saga=definition.saga,
        version=0,
        input=value,
        by=BY,
        key=facts.key,
        labels=facts.labels,
        amount=facts.amount,
        deadline_at=None if deadline_s is None else STARTED_AT + timedelta(seconds=deadline_s),
        steps=definition.steps_total,
        is_choreographed=definition.choreography is not None,
    )
