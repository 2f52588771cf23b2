"""Orders to a run: a page that says what will happen, and the POST that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from sagas import access
from sagas.core import choreographed
from sagas.core.vocabulary import INTERNAL, OutcomeKind, Phase, Role, Verb
from sagas.dashboard import confirm, order_form
from sagas.dashboard.access import needs_role
from sagas.dashboard.runs import get_detail
from sagas.engine import errors, orders
from sagas.presentation import offers, questions
from sagas.presentation.status import run_look
from sagas.presentation.why import why

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse

    from sagas.dashboard.order_form import OrderForm
    from sagas.queries.run_detail import RunDetail, StepDetail

_VERBS = {word: verb for verb, word in offers.ADDRESS_WORDS.items() if verb not in INTERNAL}
_OF_ONE_STEP = {Verb.SKIP, Verb.SETTLE, Verb.APPROVE}
_ANSWERS = {
    OutcomeKind.SUCCEEDED.value: gettext_lazy("Approve “%(step)s”…"),
    OutcomeKind.REJECTED.value: gettext_lazy("Decline “%(step)s”…"),
}


@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.VIEWER)
def run_action(request: HttpRequest, run_id: UUID, verb: str) -> HttpResponse:
    """Show what an order would do; on POST give it, unless the run has moved since the page was shown."""
    if verb not in _VERBS:
        raise Http404(_("There is no such action."))
    wanted = _VERBS[verb]
    form = order_form.read_form(wanted, request.POST if request.method == "POST" else request.GET)
    _check_right(request, run_id, form)
    if request.method != "POST":
        return _show(request, run_id, form)
    ask, form = order_form.read_ask(form)
    if form.errors:
        return _show(request, run_id, form, refusal=_incomplete(form), status=422)
    try:
        orders.give_order(run_id, wanted, by=request.user.get_username(), ask=ask, revision=form.revision)
    except errors.RunUnknownError as error:
        raise Http404(str(error)) from None
    except errors.RevisionStaleError:
        refusal = _("This run moved while you were deciding. Nothing was changed. These are the facts now.")
        return _show(request, run_id, form, refusal=refusal, status=412)
    except errors.OrderRefusedError as error:
        refusal = _("Nothing was changed: %(why)s") % {"why": error.why}
        return _show(request, run_id, form, refusal=refusal, status=409)
    except errors.InputInvalidError as error:
        form = order_form.with_problems(form, error.problems)
        return _show(request, run_id, form, refusal=_incomplete(form), status=422)
    at = timezone.now().strftime("%H:%M:%S")
    messages.info(request, _receipt(wanted) % {"what": _NAMES[wanted], "at": at})
    return redirect("sagas:run-detail", run_id)


def _check_right(request: HttpRequest, run_id: UUID, form: OrderForm) -> None:
    """Let operators give orders, and those whom an approval asks answer it.

    Raises:
        PermissionDenied: somebody else; the text says who may.
    """
    standing = access.standing_of(request.user)
    if form.verb is not Verb.APPROVE:
        if not access.includes(standing.role, Role.OPERATOR):
            message = f"This needs the role {Role.OPERATOR.value}."
            raise PermissionDenied(message)
        return
    if form.step:
        try:
            asked = [orders.find_group(run_id, form.step)]
        except errors.RunUnknownError as error:
            raise Http404(str(error)) from None
        except errors.OrderRefusedError:  # nobody can read whom it asks, and no answer is taken either
            return
    else:  # no step is named: one that asks now is meant
        asked = [step.wait.group for step in get_detail(run_id).runs if step.wait and questions.is_asking(step)]
    groups = [group for group in asked if group is not None]
    if groups and not any(standing.may_answer(group) for group in groups):
        raise PermissionDenied(questions.refusal_words(groups[0]))


_NAMES = {
    Verb.CANCEL: gettext_lazy("Cancel"),
    Verb.RETRY: gettext_lazy("Retry"),
    Verb.SKIP: gettext_lazy("Skip"),
    Verb.SETTLE: gettext_lazy("Settle"),
    Verb.GIVE_UP: gettext_lazy("Give up"),
    Verb.PAUSE: gettext_lazy("Pause"),
    Verb.RESUME: gettext_lazy("Resume"),
    Verb.TERMINATE: gettext_lazy("Terminate"),
    Verb.SIGNAL: gettext_lazy("Signal"),
    Verb.APPROVE: gettext_lazy("Answer"),
}


def _receipt(verb: Verb) -> str:
    if verb is Verb.TERMINATE:
        return _("Terminated at %(at)s UTC. Nothing was undone.")
    return _("%(what)s sent at %(at)s UTC. Below is what came of it.")


def _incomplete(form: OrderForm) -> str:
    if "" in form.errors:
        return _("Nothing was changed: %(why)s") % {"why": form.errors[""]}
    return _("Nothing was changed. What is missing or cannot be read is said beside its field.")


def _show(request: HttpRequest, run_id: UUID, form: OrderForm, *, refusal: str = "", status: int = 200) -> HttpResponse:
    detail = get_detail(run_id, form.step)
    found = _targets(request, detail, form)
    is_allowed = form.verb in orders.allowed_orders(detail.run) and bool(found)
    step, phase = found[0] if len(found) == 1 else (None, Phase.ACTION)
    must_choose = is_allowed and form.verb in _OF_ONE_STEP and step is None
    must_choose |= is_allowed and form.verb is Verb.APPROVE and form.outcome not in _ANSWERS
    shows_form = is_allowed and not must_choose
    if form.errors and not shows_form:  # there is no field beside which they could stand
        refusal = _("Nothing was changed: %(why)s") % {"why": " ".join(dict.fromkeys(form.errors.values()))}
    if form.verb in _OF_ONE_STEP and step is not None:
        form = replace(form, step=step.key, phase=phase)
    context = {
        "detail": detail,
        "run": detail.run,
        "look": run_look(detail.run.status, is_paused=detail.run.is_paused, waiting_for=detail.run.waiting_for),
        "why": why(detail, timezone.now()),
        "verb": offers.ADDRESS_WORDS[form.verb],
        "name": _NAMES[form.verb],
        "form": form,
        "confirm": confirm.confirm(detail, form.verb, step, phase, form.outcome) if shows_form else None,
        "choices": [one for target in found for one in _choices(detail, form, *target)] if must_choose else [],
        "choices_title": _("What do you answer?") if form.verb is Verb.APPROVE else _("Which step?"),
        "why_not": choreographed.refusal(form.verb) if detail.run.watch is not None else None,
        "needs_reason": form.verb in orders.NEEDS_REASON,
        "refusal": refusal,
    }
    return render(request, "sagas/runs/action.html", context, status=status)


def _targets(request: HttpRequest, detail: RunDetail, form: OrderForm) -> list[tuple[StepDetail | None, Phase]]:
    """Return what the order could be about: one step, or None for the run as a whole; nothing when to none."""
    phases = [Phase.ACTION, Phase.COMPENSATION] if form.phase is None else [form.phase]
    if form.verb in _OF_ONE_STEP:
        found: list[tuple[StepDetail | None, Phase]] = [
            (step, phase)
            for step in detail.steps
            for phase in phases
            if form.step in {"", step.key} and offers.applies(detail, step, form.verb, phase)
        ]
        if form.verb is Verb.APPROVE:
            may_answer = access.standing_of(request.user).may_answer
            found = [(step, phase) for step, phase in found if step and step.wait and may_answer(step.wait.group)]
        return found
    if form.verb in {Verb.RETRY, Verb.GIVE_UP} and form.step:
        step = detail.find_step(form.step)
        if step is None or not any(offers.applies(detail, step, form.verb, phase) for phase in Phase):
            return []
        return [(step, Phase.ACTION)]
    return [(None, Phase.ACTION)]


def _choices(detail: RunDetail, form: OrderForm, step: StepDetail | None, phase: Phase) -> Iterator[tuple[str, str]]:
    """Yield the title and the address of what the order could be about: a step, or an answer to one."""
    if step is None:
        return
    if form.verb is Verb.APPROVE:
        for outcome in [form.outcome] if form.outcome in _ANSWERS else _ANSWERS:
            yield _ANSWERS[outcome] % {"step": step.plan.title}, offers.answer_address(detail, outcome, step)
        return
    title = step.undo_title if phase is Phase.COMPENSATION else step.plan.title
    url = reverse("sagas:run-action", args=[detail.run.id, offers.ADDRESS_WORDS[form.verb]])
    yield title, f"{url}?{urlencode({'step': step.key, 'phase': phase.value})}"
