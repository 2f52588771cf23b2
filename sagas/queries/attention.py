"""What needs a person."""

from __future__ import annotations

from sagas.core.vocabulary import RunStatus
from sagas.models import SagaRun
from sagas.queries.runs import LIST_COLUMNS, RunRow, with_strips

ATTENTION_ROWS_MAX = 200


def list_attention() -> tuple[RunRow, ...]:
    """Return the runs that only a person can move on, oldest first. Two queries."""
    runs = SagaRun.objects.filter(status=RunStatus.NEEDS_ATTENTION.value).select_related("saga", "version")
    return with_strips(list(runs.only(*LIST_COLUMNS, "updated_at").order_by("id")[:ATTENTION_ROWS_MAX]))
