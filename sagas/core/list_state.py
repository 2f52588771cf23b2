"""How far the items of one `for_each` step are: counted as they go, so that no event looks at all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core.vocabulary import CompensationStatus, StepKey, StepStatus

if TYPE_CHECKING:
    from sagas.core.state import StepState

_OPEN = (StepStatus.RUNNING, StepStatus.WAITING, StepStatus.RETRYING)
_UNDOING = (CompensationStatus.RUNNING, CompensationStatus.WAITING, CompensationStatus.RETRYING)
_UNDONE_FIRST_TOLD = (CompensationStatus.GIVEN_UP, CompensationStatus.SETTLED, CompensationStatus.SUCCEEDED)


@dataclass(slots=True)
class ListState:
    """The items of one list: how many stand where, and which one is next. Derived from the steps of the run."""

    total: int
    next: int = 0  # number of the first item that was never begun; `total` when there is none
    undo_next: int = -1  # number of the last item whose compensation waits for its turn; -1 when there is none
    actions: Counter[StepStatus] = field(default_factory=Counter)  # items that were begun
    compensations: Counter[CompensationStatus] = field(default_factory=Counter)  # of those that have anything to undo

    @classmethod
    def of(cls, step: str, total: int, steps: Mapping[StepKey, StepState]) -> ListState:
        """Count the items of `step` among `steps`: as many looks as there are items."""
        found = cls(total, next=total)
        for number in range(total):
            item = steps.get(StepKey(step, number))
            if item is None or item.status is StepStatus.PENDING:
                found.next = min(found.next, number)
                continue
            found.actions[item.status] += 1
            if item.compensation_status is not CompensationStatus.NONE:
                found.compensations[item.compensation_status] += 1
            if item.compensation_status is CompensationStatus.PENDING:
                found.undo_next = number
        return found

    def copy(self) -> ListState:
        """Return counters of its own."""
        return ListState(self.total, self.next, self.undo_next, self.actions.copy(), self.compensations.copy())

    @property
    def open(self) -> int:
        """How many items are running, waiting or retrying."""
        return sum(self.actions[status] for status in _OPEN)

    @property
    def taken(self) -> int:
        """How many places are taken: by what is under way, and by what a person has to clear first."""
        return self.open + self.actions[StepStatus.FAILED] + self.actions[StepStatus.IN_DOUBT]

    @property
    def done(self) -> int:
        """How many items succeeded or were skipped."""
        return self.actions[StepStatus.SUCCEEDED] + self.actions[StepStatus.SKIPPED]

    @property
    def undoing(self) -> int:
        """How many compensations are running, waiting or retrying."""
        return sum(self.compensations[status] for status in _UNDOING)

    @property
    def is_undo_waiting(self) -> bool:
        """Whether a compensation waits for its turn."""
        return self.compensations[CompensationStatus.PENDING] > 0

    @property
    def compensation_status(self) -> CompensationStatus:
        """What the compensations of all items come to; `none` when there are none."""
        if self.undoing:
            return CompensationStatus.RUNNING
        for status in (CompensationStatus.FAILED, CompensationStatus.PENDING, *_UNDONE_FIRST_TOLD):
            if self.compensations[status]:
                return status
        has_any = self.compensations[CompensationStatus.NOT_NEEDED] > 0
        return CompensationStatus.NOT_NEEDED if has_any else CompensationStatus.NONE
