"""Runs: the list, one run, one step of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from sagas.access import includes, standing_of
from sagas.core.limits import ITEMS_MAX
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.dashboard.run_filter import SINCE, read_filter, read_place
from sagas.live import addresses
from sagas.models import Saga
from sagas.presentation import fragments, item_page, offers, probes, questions, steps, strip, tiles, waits
from sagas.presentation.status import RUN_LOOKS, compensation_look, step_look
from sagas.queries import counts
from sagas.queries.items import rows_from
from sagas.queries.run_detail import RunDetail, StepDetail, find_run_detail
from sagas.queries.runs import RunFilter, RunPage, list_runs

if TYPE_CHECKING:
    from uuid import UUID

    from django.http import HttpRequest, HttpResponse, QueryDict

SAGAS_LISTED_MAX = 200


@require_safe
@needs_role(Role.VIEWER)
def run_list(request: HttpRequest) -> HttpResponse:
    """Fifty runs, newest first, narrowed by what the address says; none when it says what makes no sense."""
    now = timezone.now()
    wanted, problems = read_filter(request.GET, now)
    older, newer = (read_place(request.GET, name) for name in ("older", "newer"))
    page = RunPage() if problems else list_runs(wanted, older_than=older, newer_than=newer)
    matching = None if wanted.is_empty or problems else counts.count_matching(wanted)
    tally = counts.count_by_status(now)
    context = {
        "rows": [strip.shown(row) for row in page.rows],
        "older": _address(request.GET, older=page.older_than) if page.older_than else "",
        "newer": _address(request.GET, newer=page.newer_than) if page.newer_than else "",
        "wanted": wanted,
        "problems": problems,
        "understood": _understood(wanted, request.GET),
        "since": request.GET.get("since", ""),
        "matching": matching,
        "matching_max": counts.COUNT_MAX,
        "tiles": tiles.shown(
            tally,
            chosen=wanted.statuses,
            address=lambda statuses: _address(request.GET, status=list(statuses)),
        ),
        "is_capped": tally.is_capped,
        "counted_at": now,
        "chips": _chips(request.GET, wanted),
        "sagas": Saga.objects.values_list("name", flat=True)[:SAGAS_LISTED_MAX],
        "socket_path": addresses.list_path(
            [row.run.id for row in page.rows], wanted, is_first_page=page.newer_than is None and not problems
        ),
    }
    return render(request, "sagas/runs/list.html", context, status=400 if problems else 200)


@require_safe
@needs_role(Role.VIEWER)
def run_detail(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run: why, the picture, steps, journal."""
    detail = get_detail(run_id)
    context = fragments.run_context(detail, timezone.now())
    standing = standing_of(request.user)
    context["may_operate"] = includes(standing.role, Role.OPERATOR)
    context["may_answer"] = questions.marks_of(standing, (step.plan for step in detail.wholes))
    context["socket_path"] = addresses.run_path(run_id)
    return render(request, "sagas/runs/detail.html", context)


@require_safe
@needs_role(Role.VIEWER)
def step_detail(request: HttpRequest, run_id: UUID, step: str) -> HttpResponse:
    """One step: every try of both halves, with what went in and what came out."""
    detail = get_detail(run_id, step)
    found = detail.find_step(step)
    if found is None:
        raise Http404(_("This run has no step of that name."))
    plan = found.plan
    context = {
        "detail": detail,
        "run": detail.run,
        "step": found,
        "action_look": step_look(found.status, found.last_outcome),
        "undo_look": (
            compensation_look(found.compensation_status, found.last_undo_outcome) if found.is_undoing else None
        ),
        "undo_words": steps.undo_words(found),
        "action_policy": (
            waits.plan_words(plan.wait) if plan.wait else steps.policy_words(plan.attempts_max, plan.timeout_s)
        ),
        "told": waits.card_words(found, timezone.now(), is_paused=detail.run.is_paused),
        "undo_policy": (
            steps.policy_words(plan.compensation_attempts_max, plan.compensation_timeout_s) if plan.compensation else ""
        ),
        "probe_policy": probes.policy_words(plan.timeout_s),
        "offers": _offers(request, detail, found),
        "items": _items(detail, found, request.GET.get("from", "")),
    }
    return render(request, "sagas/runs/step.html", context)


def _offers(request: HttpRequest, detail: RunDetail, step: StepDetail) -> tuple[offers.Offer, ...]:
    """Return what this person may order or answer at a step."""
    standing = standing_of(request.user)
    may_answer = step.wait is not None and standing.may_answer(step.wait.group)
    return (
        *(offers.answers_of(detail, step) if may_answer else ()),
        *(offers.offers_of(detail, step) if includes(standing.role, Role.OPERATOR) else ()),
    )


def _items(detail: RunDetail, step: StepDetail, first: str) -> item_page.ItemPage | None:
    """Return a page of the items of a list, from the one that the address names; None for anything else."""
    if step.tally is None:
        return None
    number = int(first) if first.isascii() and first.isdecimal() and len(first) <= len(str(ITEMS_MAX)) else 0
    number = max(min(number, step.tally.total - 1), 0)
    return item_page.page(step, rows_from(detail.run, step.plan.name, number), number)


def get_detail(run_id: UUID, step: str = "") -> RunDetail:
    """Return one run, with the item that `step` names, or show the page that says there is none."""
    detail = find_run_detail(run_id, step)
    if detail is None:
        raise Http404(_("There is no run %(id)s here. It may be on another installation.") % {"id": run_id})
    return detail


def _understood(wanted: RunFilter, query: QueryDict) -> str:
    """Return the address that says only what was understood."""
    pairs = [("status", status) for status in wanted.statuses] + [("saga", wanted.saga), ("q", wanted.search)]
    pairs += [("waiting_for", wanted.waiting_for), ("style", wanted.style)]
    if wanted.started_after:
        since = query.get("since", "")
        pairs.append(("since", since) if since in SINCE else ("started_after", wanted.started_after.isoformat()))
    return f"{reverse('sagas:run-list')}?{urlencode([pair for pair in pairs if pair[1]])}"


def _address(query: QueryDict, **changes: object) -> str:
    """Return the address of this list with some values changed; None takes one out."""
    copy = query.copy()
    for name in ("older", "newer"):
        copy.pop(name, None)
    for name, value in changes.items():
        if isinstance(value, list):
            copy.setlist(name, value)
        elif value is None:
            copy.pop(name, None)
        else:
            copy[name] = str(value)
    return f"?{copy.urlencode()}"


def _chips(query: QueryDict, wanted: RunFilter) -> list[dict[str, str]]:
    """Return each condition with the address that leaves it out."""
    chips = [
        {
            "text": str(RUN_LOOKS[status].label),
            "url": _address(query, status=[other for other in wanted.statuses if other != status]),
        }
        for status in wanted.statuses
    ]
    if wanted.saga:
        chips.append({"text": _("Saga %s") % wanted.saga, "url": _address(query, saga=None)})
    if wanted.search:
        chips.append({"text": _("“%s”") % wanted.search, "url": _address(query, q=None)})
    if wanted.waiting_for:
        text = strip.waits_words(wanted.waiting_for).capitalize()
        chips.append({"text": text, "url": _address(query, waiting_for=None)})
    if wanted.style:
        chips.append({"text": _("Style: %s") % wanted.style, "url": _address(query, style=None)})
    if wanted.started_after:
        text = _("Since %s UTC") % wanted.started_after.strftime("%Y-%m-%d %H:%M")
        chips.append({"text": text, "url": _address(query, since=None, started_after=None)})
    return chips
