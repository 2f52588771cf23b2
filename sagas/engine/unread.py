"""A claimed run whose version this worker cannot read: left to others for a while, then a person is asked."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from sagas.core.due import due_at
from sagas.core.redaction import NOTHING
from sagas.core.without_definition import decide_without_definition
from sagas.engine import journal, stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sagas.core.state import RunState
    from sagas.models import Order, SagaRun

logger = logging.getLogger(__name__)

CODE_AWAITED = timedelta(seconds=30)  # in a deployment, workers with the code come while those without it go


def leave(run: SagaRun, token: int, why: str, state: RunState, orders: Sequence[Order], now: datetime) -> None:
    """Leave the run to a worker that can read its version; when none has come for long, write down who is needed.

    Until then nothing is written: the lease ends, and the run is due again. Orders
    that wait are left where they are: the next order makes the run due, and whoever
    can read the version applies them all.

    Raises:
        django.db.OperationalError: the connection broke.
    """
    due = due_at(state)
    since = run.updated_at if due is None or due > now else max(run.updated_at, due)
    if now - since < CODE_AWAITED:
        logger.warning("Run %s is left to a worker that can read its version. %s", run.id, why)
        return
    logger.error("Run %s needs a person. %s", run.id, why)
    decision = decide_without_definition(state, [stored.as_command(order, now) for order in orders], now, why)
    journal.append(
        [
            journal.Append(
                run_id=run.id,
                token=token,
                before=state,
                after=decision.state,
                events=tuple((event, now) for event in decision.events),
                redaction=NOTHING,  # what was sealed was not opened
                at=now,
                keeps_lease=False,
                inbox_seen=max((order.number for order in orders), default=0),
            )
        ]
    )
