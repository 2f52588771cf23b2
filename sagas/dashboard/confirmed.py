"""What a page says before an order is given, and what several such pages say alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.engine import orders
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from sagas.queries.run_detail import RunDetail, StepDetail


@dataclass(frozen=True, slots=True)
class Confirm:
    """The words of one page and the fields that it shows."""

    heading: str
    button: str
    will: tuple[str, ...]
    will_not: tuple[str, ...]
    taken_back: str
    keep: str = ""
    tone: Tone = Tone.PROGRESS
    stays: tuple[str, ...] = ()  # titles of what stays in place
    stays_words: str = ""
    outcomes: tuple[tuple[str, str], ...] = ()  # value and words of each answer, when there is one to give
    outcomes_help: str = ""
    takes_output: bool = False
    takes_reference: bool = False
    needs_reference: bool = False
    question: str = ""  # what an approval asks
    signals: tuple[str, ...] = ()  # of which one is sent
    reason_label: str = ""

    @property
    def is_danger(self) -> bool:
        """Whether the button must look like what it does."""
        return self.tone is Tone.FAILURE


def name_of(detail: RunDetail) -> str:
    """Name a run as people know it."""
    return f"{detail.title} {detail.run.key}".strip()


def what_is_undone(detail: RunDetail, answered: StepDetail | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what a turn now would do, and what it would not; `answered` is the step whose answer brings it about."""
    plan = orders.foresee_cancel(detail.run)
    by_key = {step.key: step for step in detail.steps}
    flying = [by_key[str(key)] for key in plan.in_flight]
    certain = [by_key[str(one.key)] for one in plan.undo if one.is_certain]
    perhaps = [by_key[str(one.key)] for one in plan.undo if not one.is_certain]
    stays = [step for key in plan.stays if (step := by_key[str(key)]).plan.wait is None]
    will = [_("Let “%(step)s” end, which is in flight.") % {"step": step.plan.title} for step in flying]
    waiting = [step for step in detail.steps if step.wait is not None and step is not answered]
    will += [_("Run “%(undo)s”.") % {"undo": step.undo_title} for step in certain]
    will += [_("Run “%(undo)s” if it turns out to have happened.") % {"undo": step.undo_title} for step in perhaps]
    will_not = [_("Start any further step.")]
    will_not += [_("Undo “%(step)s”: it has no compensation.") % {"step": step.plan.title} for step in stays]
    will = will or [_("End the run: nothing has been done yet, so nothing is undone.")]
    stop = [_("Stop waiting for “%(step)s”.") % {"step": step.plan.title} for step in waiting]
    return (*stop, *will), tuple(will_not)
