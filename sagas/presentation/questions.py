"""Who is asked by an approval: in words, and as marks by which CSS shows buttons to those only.

A region of a page is rendered once for all who watch, so it cannot know who
may answer. It says of each question which group of the saga is asked, by a
mark; the page itself, which is one person's, lists the marks of the groups
that this person may answer for. `components.css` brings the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.access import role_asked
from sagas.core.vocabulary import Role, WaitingFor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.access import Standing
    from sagas.queries.plan import StepPlan
    from sagas.queries.run_detail import RunDetail, StepDetail

MARKS_MAX = 9  # as many as `components.css` knows; a saga that asks more groups shows the last ones alike


def asked_words(group: str) -> str:
    """Name whom an approval asks, fit to stand inside a sentence."""
    match role_asked(group):
        case Role.VIEWER:
            return _("anybody who may see this run")
        case Role.OPERATOR:
            return _("an operator, an author or an admin")
        case Role.AUTHOR:
            return _("an author or an admin")
        case Role.ADMIN:
            return _("an admin")
    return _("somebody of the group “%(group)s”, or an admin") % {"group": group}


def refusal_words(group: str) -> str:
    """Say to somebody who is not asked that they may not answer, and who may."""
    return _("You may not answer this. It takes %(who)s.") % {"who": asked_words(group)}


def marks(plans: Iterable[StepPlan]) -> Mapping[str, str]:
    """Return a mark for each group that the approvals of a saga ask: `g1` for the first, and so on."""
    groups = dict.fromkeys(plan.wait.group for plan in plans if plan.wait is not None and plan.wait.group)
    return {group: f"g{min(number, MARKS_MAX)}" for number, group in enumerate(groups, 1)}


def marks_of(standing: Standing, plans: Iterable[StepPlan]) -> str:
    """Return the marks of the groups that somebody may answer for, as an attribute lists words."""
    return " ".join(dict.fromkeys(mark for group, mark in marks(plans).items() if standing.may_answer(group)))


def marks_asked(detail: RunDetail) -> str:
    """Return the marks of the groups that are asked now, as an attribute lists words."""
    return " ".join(dict.fromkeys(mark for step in detail.runs if (mark := mark_of(detail, step))))


def mark_of(detail: RunDetail, step: StepDetail) -> str:
    """Return the mark of the group that a step asks now; empty when it asks nobody."""
    if not is_asking(step) or step.wait is None:
        return ""
    return marks(one.plan for one in detail.wholes).get(step.wait.group, "")


def is_asking(step: StepDetail) -> bool:
    """Whether a step waits for a person's yes or no."""
    return step.wait is not None and step.wait.kind == WaitingFor.APPROVAL.value
