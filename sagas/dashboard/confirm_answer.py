"""What the confirm pages of a yes, a no and a signal say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.core.vocabulary import OutcomeKind
from sagas.dashboard.confirmed import Confirm, name_of, what_is_undone
from sagas.presentation.status import Tone

if TYPE_CHECKING:
    from sagas.queries.run_detail import RunDetail, StepDetail


def answer(detail: RunDetail, step: StepDetail, outcome: OutcomeKind) -> Confirm:
    """Return what is said before somebody says yes or no to what a step asks."""
    return _approve(detail, step) if outcome is OutcomeKind.SUCCEEDED else _decline(detail, step)


def _approve(detail: RunDetail, step: StepDetail) -> Confirm:
    after = [other.plan.title for other in detail.wholes if step.plan.name in other.plan.after]
    will = [_("Go on with “%(step)s”.") % {"step": title} for title in after]
    if step.plan.is_pivot:
        will.append(_("Pass the point of no return. From there the run only goes forward."))
    return Confirm(
        heading=_("Approve “%(step)s”?") % {"step": step.plan.title},
        button=_("Approve"),
        keep=_("Keep it waiting"),
        will=tuple(will or [_("Complete the run, if nothing else is left to do.")]),
        will_not=(_("Ask anybody else: one answer is enough."),),
        taken_back=_("It cannot be taken back. Your name and your comment are written down."),
        question=step.wait.prompt if step.wait else "",
        reason_label=_("Comment"),
    )


def _decline(detail: RunDetail, step: StepDetail) -> Confirm:
    will, will_not = what_is_undone(detail, step)
    if detail.run.is_past_pivot:
        will = (_("Ask a person how to go on: the point of no return has been passed, so nothing is undone."),)
        will_not = (_("Go on with what comes after it."),)
    return Confirm(
        heading=_("Decline “%(step)s”?") % {"step": step.plan.title},
        button=_("Decline") if detail.run.is_past_pivot else _("Decline and undo"),
        keep=_("Keep it waiting"),
        will=(_("Count “%(step)s” as refused.") % {"step": step.plan.title}, *will),
        will_not=(*will_not, _("Ask anybody else: one answer is enough.")),
        taken_back=_("It cannot be taken back. Your name and your comment are written down."),
        tone=Tone.COMPENSATION,
        question=step.wait.prompt if step.wait else "",
        reason_label=_("Comment"),
    )


def signal(detail: RunDetail) -> Confirm:
    """Return what is said before a signal is sent."""
    waiting = {step.wait.signal: step.plan.title for step in reversed(detail.runs) if step.wait and step.wait.signal}
    names = dict.fromkeys(step.plan.wait.signal for step in detail.wholes if step.plan.wait and step.plan.wait.signal)
    by_need = sorted(names, key=lambda name: name not in waiting)  # those that end a wait first
    return Confirm(
        heading=_("Send a signal to “%(run)s”?") % {"run": name_of(detail)},
        button=_("Send the signal"),
        keep=_("Send nothing"),
        will=tuple(
            _("“%(signal)s”: end the wait of “%(step)s”, with what you write below as its output.")
            % {"signal": name, "step": waiting[name]}
            if name in waiting
            else _("“%(signal)s”: keep it until a step waits for it.") % {"signal": name}
            for name in by_need
        ),
        will_not=(_("Check whether what it tells is true."),),
        taken_back=_("It cannot be taken back. Sent twice, it counts twice."),
        signals=tuple(by_need),
    )
