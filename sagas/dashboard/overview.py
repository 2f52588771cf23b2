"""Overview: the first line answers whether anybody needs to do something. And what needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from sagas.access import has_role, standing_of
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.live import addresses
from sagas.presentation import fragments, strip
from sagas.presentation.questions import asked_words
from sagas.presentation.why import is_engine_silent
from sagas.queries import attention, counts, questions

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@require_safe
@needs_role(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show counts and the latest runs; where nothing ever ran, the first five minutes."""
    context = fragments.overview_context(timezone.now())
    if context["is_demo"] and not context["rows"]:
        return redirect("sagas:welcome")
    context["socket_path"] = addresses.OVERVIEW_PATH
    context["may_operate"] = has_role(request.user, Role.OPERATOR)
    return render(request, "sagas/overview/overview.html", context)


@require_safe
@needs_role(Role.VIEWER)
def attention_list(request: HttpRequest) -> HttpResponse:
    """Show the runs that only a person can move on, and what approvals ask, oldest first; mine alone when asked to."""
    standing = standing_of(request.user)
    is_mine = request.GET.get("mine") == "1"
    asked = questions.list_questions(standing.answerable if is_mine else None)
    context = {
        "questions": [(one, asked_words(one.wait.group), standing.may_answer(one.wait.group)) for one in asked],
        "questions_max": questions.QUESTIONS_MAX,
        "is_mine": is_mine,
        "rows": [strip.shown(row) for row in attention.list_attention()],
        "rows_max": attention.ATTENTION_ROWS_MAX,
        "is_engine_silent": is_engine_silent(counts.last_beat(), timezone.now()),
    }
    return render(request, "sagas/overview/attention.html", context)
