"""What approvals ask of people, over all runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models.fields.json import KeyTransform

from sagas.core.vocabulary import NO_ITEM, StepKey, WaitingFor
from sagas.models import SagaRun, StepRun
from sagas.queries.plan import title_of
from sagas.queries.waits import Wait, wait_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.db.models import QuerySet

QUESTIONS_MAX = 200  # on one page


@dataclass(frozen=True, slots=True)
class Question:
    """One step of one run that asks."""

    run: SagaRun
    step: str  # its key: `agree`, or `agree[3]`
    title: str
    wait: Wait


def _title(row: StepRun) -> str:
    return title_of(row.step) if row.item == NO_ITEM else f"{title_of(row.step)} [{row.item}]"


def list_questions(groups: Collection[str] | None = None, most: int = QUESTIONS_MAX) -> tuple[Question, ...]:
    """Return what is asked of these groups (None: of any), oldest first. One query; no payload is read."""
    rows = _asking(groups).select_related("run__saga").annotate(waiting_half=KeyTransform("action", "halves"))
    rows = rows.only(
        "step", "item", "waits_for", "next_attempt_at", "started_at",
        "run__key", "run__revision", "run__is_paused", "run__created_at", "run__saga__name", "run__saga__title",
    )  # fmt: skip
    found = ((row, wait_of(row)) for row in rows.order_by("started_at", "run_id", "step", "item")[:most])
    return tuple(Question(row.run, str(StepKey(row.step, row.item)), _title(row), wait) for row, wait in found if wait)


def count_questions(groups: Collection[str] | None = None, most: int = 100) -> int:
    """Count what is asked of these groups (None: of any), at most `most`. One query."""
    return _asking(groups)[:most].count()


def _asking(groups: Collection[str] | None) -> QuerySet[StepRun]:
    found = StepRun.objects.filter(waits_for=WaitingFor.APPROVAL.value).exclude(waits_for="")  # the partial index
    return found if groups is None else found.filter(halves__action__input__group__in=sorted(groups))
