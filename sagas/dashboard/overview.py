"""Overview: the first line answers whether anybody needs to do something. And what needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from sagas.core.vocabulary import Role, RunStatus
from sagas.dashboard.access import needs_role
from sagas.presentation import strip, tiles
from sagas.presentation.why import ENGINE_SILENT
from sagas.queries import attention, counts
from sagas.queries.runs import RunFilter, list_runs

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

RECENT_ROWS = 8


@require_safe
@needs_role(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show counts and the latest runs; where nothing ever ran, the first five minutes."""
    recent = list_runs(RunFilter(), rows_max=RECENT_ROWS)
    if not recent.rows and settings.SAGAWEB_DEMO:
        return redirect("sagas:welcome")
    now = timezone.now()
    tally = counts.count_by_status(now)
    beat = counts.last_beat()
    context = {
        "rows": [strip.shown(row) for row in recent.rows],
        "tiles": tiles.shown(tally, chosen=(), address=_address),
        "needing": tally.by_status[RunStatus.NEEDS_ATTENTION.value],
        "is_capped": tally.is_capped,
        "counted_at": now,
        "beat_at": beat,
        "is_engine_silent": beat is None or now - beat > ENGINE_SILENT,
        "is_demo": settings.SAGAWEB_DEMO,
    }
    return render(request, "sagas/overview/overview.html", context)


def _address(statuses: tuple[str, ...]) -> str:
    return f"{reverse('sagas:run-list')}?{urlencode({'status': statuses}, doseq=True)}"


@require_safe
@needs_role(Role.VIEWER)
def attention_list(request: HttpRequest) -> HttpResponse:
    """Show the runs that only a person can move on, oldest first."""
    rows = [strip.shown(row) for row in attention.list_attention()]
    return render(request, "sagas/overview/attention.html", {"rows": rows, "rows_max": attention.ATTENTION_ROWS_MAX})
