"""What a page says before an order is given, and what several such pages say alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import StepStatus
from sagas.engine import orders
from sagas.presentation.lists import named, titles_of_keys
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
    flying = titles_of_keys(detail.wholes, plan.in_flight)
    certain = titles_of_keys(detail.wholes, [one.key for one in plan.undo if one.is_certain], is_undo=True)
    perhaps = titles_of_keys(detail.wholes, [one.key for one in plan.undo if not one.is_certain], is_undo=True)
    waits = {step.plan.name for step in detail.wholes if step.plan.wait is not None}  # they leave nothing behind
    stays = titles_of_keys(detail.wholes, [key for key in plan.stays if key.step not in waits])
    will = [_("Let “%(step)s” end, which is in flight.") % {"step": title} for title in flying]
    will += [_("Run “%(undo)s”.") % {"undo": title} for title in certain]
    will += [_("Run “%(undo)s” if it turns out to have happened.") % {"undo": title} for title in perhaps]
    will_not = [_("Start any further step.")]
    will_not += [_("Undo “%(step)s”: it has no compensation.") % {"step": title} for title in stays]
    will = will or [_("End the run: nothing has been done yet, so nothing is undone.")]
    return (*what_stops_waiting(detail, answered), *will), tuple(will_not)


def what_stops_waiting(detail: RunDetail, answered: StepDetail | None = None) -> list[str]:
    """Say which waits end with the run's turn or end; `answered` is a step whose wait ends anyhow."""
    said = []
    for whole in detail.wholes:
        count = whole.count(lambda status, _undo: status == StepStatus.WAITING.value) if whole.plan.wait else 0
        count -= answered is not None and answered.plan.name == whole.plan.name
        if count > 0:
            title = whole.plan.title if whole.tally is None else named(whole.plan.title, count)
            said.append(_("Stop waiting for “%(step)s”.") % {"step": title})
    return said
