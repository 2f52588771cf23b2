"""Late reports: what an attempt came to after nobody waited for it any more goes into the inbox of its run.

Whoever drives the run applies it there, under a token of their own. So it does
not matter whether this worker still holds the run, nor whether its shift goes on.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, transaction

from sagas.core import messages as m
from sagas.core.outcome import Outcome, Unknown
from sagas.core.vocabulary import Phase, Verb
from sagas.engine import inbox
from sagas.engine.callbacks import is_known, waiting_orders
from sagas.engine.clock import Clock
from sagas.engine.hiding import sealed_order
from sagas.models import SagaRun

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.redaction import Redaction
    from sagas.core.vocabulary import AttemptKey

logger = logging.getLogger(__name__)

TRIES_MAX = 3
PAUSE_S = 0.5

_clock = Clock()


def tell(run_id: UUID, attempt: AttemptKey, edition: int, redaction: Redaction, outcome: Outcome) -> None:
    """Put the outcome of an attempt into the inbox of its run; each attempt has one at most. Never raises.

    Said of definite outcomes only, and not of a probe, which is asked again. When
    the database cannot be reached for a while the report is lost, and logged: then
    the run goes on as if the attempt had never come back.
    """
    if isinstance(outcome, Unknown) or attempt.phase is Phase.PROBE:
        return
    late = m.LateReport(attempt, edition, outcome)
    for number in range(1, TRIES_MAX + 1):
        try:
            _put(run_id, redaction, late)
        except (DatabaseError, InterfaceError):
            logger.warning("A late report of %s of run %s was not stored", late.key, run_id, exc_info=True)
            if number < TRIES_MAX:
                time.sleep(PAUSE_S)
        except Exception:  # whatever it is: it must not end the thread of a pump
            logger.exception("A late report of %s of run %s broke", late.key, run_id)
            return
        else:
            return
    logger.error("A late report of %s of run %s is lost: it was %s", late.key, run_id, outcome.kind)


def _put(run_id: UUID, redaction: Redaction, late: m.LateReport) -> None:
    with transaction.atomic():
        run = SagaRun.objects.select_for_update().filter(id=run_id).first()
        if run is None:
            return  # purged meanwhile
        if is_known(run.id, late.attempt, waiting_orders(run)):
            return  # it was written after all, by whoever was stopped before hearing of that
        now = _clock.now()
        order = m.TakeOrder(
            number=run.inbox_last + 1,
            verb=Verb.REPORT,
            by=f"try {late.attempt.number} of {late.key}",
            now=now,
            step=str(late.key),
            late=late,
        )
        inbox.put(run, sealed_order(redaction, order), now)
    logger.info("A late report of %s of run %s: %s", late.key, run_id, late.outcome.kind)
