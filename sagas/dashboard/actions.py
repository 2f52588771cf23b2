"""Orders to a run: a page that says what will happen, and the POST that asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from sagas.core.vocabulary import CompensationStatus, Role, StepStatus, Verb
from sagas.dashboard.access import needs_role
from sagas.dashboard.runs import get_detail
from sagas.engine import commands, errors
from sagas.presentation.status import Tone, run_look
from sagas.presentation.why import why
from sagas.queries.plan import Undo

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from sagas.queries.run_detail import RunDetail, StepDetail

REASON_CHARACTERS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Confirm:
    """What a confirm page says before anything is done."""

    heading: str
    button: str
    keep: str
    will: tuple[str, ...]
    will_not: tuple[str, ...]
    taken_back: str
    tone: Tone


@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.OPERATOR)
def run_action(request: HttpRequest, run_id: UUID, verb: str) -> HttpResponse:
    """Show what an order would do; on POST give it, unless the run has moved since the page was shown."""
    try:
        wanted = Verb(verb)
    except ValueError:
        raise Http404(_("There is no such action.")) from None
    step = (request.POST if request.method == "POST" else request.GET).get("step", "")
    if request.method != "POST":
        return _show(request, run_id, wanted, step)
    try:
        commands.give_order(
            run_id,
            wanted,
            by=request.user.get_username(),
            reason=request.POST.get("reason", "")[:REASON_CHARACTERS_MAX],
            step=step or None,
            revision=_number(request.POST.get("revision", "")),
        )
    except errors.RunUnknownError as error:
        raise Http404(str(error)) from None
    except errors.RevisionStaleError:
        refusal = _("This run moved while you were deciding. Nothing was changed. These are the facts now.")
        return _show(request, run_id, wanted, step, refusal=refusal, status=412)
    except errors.OrderRefusedError as error:
        refusal = _("Nothing was changed: %(why)s") % {"why": error.why}
        return _show(request, run_id, wanted, step, refusal=refusal, status=409)
    except errors.InputInvalidError as error:
        return _show(request, run_id, wanted, step, refusal=str(error), status=422)
    at = timezone.now().strftime("%H:%M:%S")
    receipt = _("%(what)s sent at %(at)s UTC. Waiting for the engine to confirm.")
    messages.info(request, receipt % {"what": _NAMES[wanted], "at": at})
    return redirect("sagas:run-detail", run_id)


_NAMES = {Verb.CANCEL: gettext_lazy("Cancel"), Verb.RETRY: gettext_lazy("Retry")}


def _show(
    request: HttpRequest, run_id: UUID, verb: Verb, step: str, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    detail = get_detail(run_id)
    chosen = detail.find_step(step) if step else None
    context = {
        "detail": detail,
        "run": detail.run,
        "look": run_look(detail.run.status, is_paused=detail.run.is_paused),
        "why": why(detail, timezone.now()),
        "verb": verb.value,
        "step": step,
        "confirm": _cancel(detail) if verb is Verb.CANCEL else _retry(detail, chosen),
        "is_allowed": verb in commands.allowed_orders(detail.run),
        "refusal": refusal,
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "sagas/runs/action.html", context, status=status)


def _cancel(detail: RunDetail) -> Confirm:
    done = [step for step in detail.steps if step.status in {StepStatus.SUCCEEDED.value, StepStatus.IN_DOUBT.value}]
    undo = [step for step in reversed(done) if step.plan.undo is Undo.DECLARED]
    flying = [step for step in detail.steps if step.in_flight() is not None]
    will = [_("Let “%(step)s” end, which is in flight.") % {"step": step.plan.title} for step in flying]
    will += [_("Run “%(undo)s”.") % {"undo": step.undo_title} for step in undo]
    will += [_("Run “%(undo)s” if it turns out to have happened.") % {"undo": step.undo_title}
             for step in flying if step.plan.undo is Undo.DECLARED]  # fmt: skip
    stays = [step for step in [*flying, *done] if step.plan.undo is not Undo.DECLARED]
    will_not = [_("Start any further step.")]
    will_not += [_("Undo “%(step)s”: it has no compensation.") % {"step": step.plan.title} for step in stays]
    return Confirm(
        heading=_("Cancel and undo “%(run)s”?") % {"run": _name(detail)},
        button=_("Cancel and undo"),
        keep=_("Keep it running"),
        will=tuple(will or [_("End the run: nothing has been done yet, so nothing is undone.")]),
        will_not=tuple(will_not),
        taken_back=_("It cannot be taken back. A new run can be started."),
        tone=Tone.COMPENSATION,
    )


def _retry(detail: RunDetail, chosen: StepDetail | None) -> Confirm:
    will: list[str] = []
    for step in [chosen] if chosen else detail.steps:
        if step.compensation_status in {CompensationStatus.FAILED.value, CompensationStatus.RETRYING.value}:
            will.append(_("Try “%(what)s” again, at once.") % {"what": step.undo_title})
        elif step.status in {StepStatus.RETRYING.value, StepStatus.FAILED.value, StepStatus.IN_DOUBT.value}:
            will.append(_("Try “%(what)s” again, at once.") % {"what": step.plan.title})
    heading = (
        _("Retry “%(step)s” now?") % {"step": chosen.plan.title}
        if chosen
        else _("Retry “%(run)s” now?") % {"run": _name(detail)}
    )
    return Confirm(
        heading=heading,
        button=_("Retry now"),
        keep=_("Keep waiting"),
        will=tuple([*will, _("Give it a fresh set of tries.")] if will else [_("Nothing: no step waits for a try.")]),
        will_not=(
            _("Repeat a step that has succeeded."),
            _("Change its input."),
        ),
        taken_back=_("It cannot be taken back."),
        tone=Tone.PROGRESS,
    )


def _name(detail: RunDetail) -> str:
    return f"{detail.title} {detail.run.key}".strip()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - revisions
