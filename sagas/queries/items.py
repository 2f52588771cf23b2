"""The items of lists: how many stand where, and the few of them that a page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db.models import Case, Count, F, IntegerField, JSONField, Q, QuerySet, Value, When, Window
from django.db.models.fields.json import KT, KeyTransform
from django.db.models.functions import RowNumber

from sagas.core.limits import ITEMS_SHOWN_MAX
from sagas.core.vocabulary import NO_ITEM, CompensationStatus, StepStatus
from sagas.models import SagaRun, StepRun

if TYPE_CHECKING:
    from uuid import UUID

IsWanted = Callable[[str, str], bool]  # of a status and a compensation status

_BROKEN = Q(status__in=[StepStatus.FAILED, StepStatus.IN_DOUBT]) | Q(compensation_status=CompensationStatus.FAILED)
_OPEN = ("running", "waiting", "retrying")
_UNDER_WAY = Q(status__in=_OPEN) | Q(compensation_status__in=_OPEN)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items of one list stand where, by both statuses; those that were not begun are in `total` alone."""

    total: int
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, is_wanted: IsWanted) -> int:
        """Count the items whose statuses are wanted."""
        return sum(count for statuses, count in self.counts.items() if is_wanted(*statuses))

    @property
    def done(self) -> int:
        """How many succeeded or were skipped."""
        return self.count(lambda status, _undo: status in {StepStatus.SUCCEEDED, StepStatus.SKIPPED})

    @property
    def undo_total(self) -> int:
        """How many have something to undo, or had."""
        return self.count(
            lambda _status, undo: undo not in {CompensationStatus.NONE, CompensationStatus.NOT_NEEDED},
        )

    @property
    def undone(self) -> int:
        """How many were undone, or given up."""
        ended = {CompensationStatus.SUCCEEDED, CompensationStatus.SETTLED, CompensationStatus.GIVEN_UP}
        return self.count(lambda _status, undo: undo in ended)


def rows_shown(run: SagaRun) -> list[StepRun]:
    """Return the steps of a run, and of each list at most fifty items: first what needs a person or is under way.

    Of a list as a whole `items_total` is how many items it has; None before they are known.
    """
    rank = Case(
        When(item=NO_ITEM, then=Value(0)),
        When(_BROKEN, then=Value(1)),
        When(_UNDER_WAY, then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    place = Window(RowNumber(), partition_by=[F("step")], order_by=[rank.asc(), F("item").asc()])
    rows = _with_total(StepRun.objects.filter(run=run)).annotate(place=place)
    return list(rows.filter(place__lte=ITEMS_SHOWN_MAX + 1).order_by("item", "id"))


def find_row(run: SagaRun, step: str, item: int) -> StepRun | None:
    """Return the row of one item, shown or not."""
    return _with_total(StepRun.objects.filter(run=run, step=step, item=item)).first()


def rows_from(run: SagaRun, step: str, first: int) -> list[StepRun]:
    """Return the rows of the items of a list from number `first` on, a page of them."""
    rows = StepRun.objects.filter(run=run, step=step, item__gte=max(first, 0)).defer("halves", "output")
    return list(rows.order_by("item")[:ITEMS_SHOWN_MAX])


def tallies(run_id: UUID, wholes: Iterable[StepRun]) -> dict[str, Tally]:
    """Count the items of each list. One query, whatever their number.

    Args:
        run_id: the run.
        wholes: rows of `rows_shown`, of which those of lists are counted.
    """
    found = {row.step: Tally(total) for row in wholes if (total := getattr(row, "items_total", None)) is not None}
    if found:
        rows = StepRun.objects.filter(run_id=run_id, item__gt=NO_ITEM, step__in=found)
        groups = rows.values_list("step", "status", "compensation_status").annotate(count=Count("id")).order_by()
        for step, status, undo, count in groups:
            found[step].counts[status, undo] = count
    return found


def _with_total(rows: QuerySet[StepRun]) -> QuerySet[StepRun]:
    action = KeyTransform("action", "halves")
    waiting = Case(When(~Q(waits_for=""), then=action), output_field=JSONField())
    return rows.defer("halves").annotate(
        items_total=KeyTransform("items_total", action),
        waiting_half=waiting,
        event_source=KT("halves__reacting__event__source"),
        event_id=KT("halves__reacting__event__id"),
    )
