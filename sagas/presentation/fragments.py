"""The regions of a page as HTML, for the page itself and for the socket alike.

Rendered without a request: nothing personal, no form, no permission, no local
time. Each is a file whose root element carries the region's id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from sagas.core.vocabulary import RunStatus, Verb
from sagas.engine import orders, reruns
from sagas.presentation import graph, journal, offers, questions, status, steps, strip, tiles, trace, waits
from sagas.presentation.why import is_engine_silent, why
from sagas.queries import counts, run_detail
from sagas.queries import questions as questions_asked
from sagas.queries.runs import RunFilter, list_runs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sagas.queries.run_detail import RunDetail
    from sagas.queries.runs import RunRow

ENTRIES_SHOWN = 200  # the newest; the API has the rest
RUN_REGIONS = ("run-head", "actions-state", "why", "graph", "trace", "steps", "journal", "output")
OVERVIEW_REGIONS = {
    "answer": "sagas/overview/_answer.html",
    "tiles": "sagas/components/_tiles.html",
    "latest": "sagas/overview/_latest.html",
    "attention-count": "sagas/components/_attention_count.html",
}
LATEST_ROWS = 8  # on the overview
ASKING_MAX = 100  # counted; the overview then says so


def render_run_regions(run_id: UUID) -> dict[str, str]:
    """Return every region of a run's page by its id; empty when there is no such run."""
    detail = run_detail.find_run_detail(run_id)
    return {} if detail is None else render_regions(detail, timezone.now())


def render_regions(detail: RunDetail, now: datetime) -> dict[str, str]:
    """Return every region of this run as it is at `now`."""
    context = run_context(detail, now)
    return {region: render_to_string(f"sagas/runs/_{region.replace('-', '_')}.html", context) for region in RUN_REGIONS}


def changes_at(detail: RunDetail, now: datetime) -> datetime | None:
    """Return when the regions would say something else although the run did not move: a time is up."""
    moments = [step.next_attempt_at for step in detail.steps]
    moments += [step.wait.until for step in detail.steps if step.wait]
    flying = [attempt for step in detail.steps if (attempt := step.in_flight())]
    moments += [attempt.times_out_at for attempt in flying]
    if any(attempt.times_out_at <= now for attempt in flying):  # else the lease is renewed before it ends
        moments.append(detail.run.lease_until)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def run_context(detail: RunDetail, now: datetime) -> dict[str, Any]:
    """Return what the regions of a run's page are made of."""
    run = detail.run
    by_name = {step.plan.name: step for step in detail.wholes}
    allowed = _allowed(detail)
    shown = detail.journal[-ENTRIES_SHOWN:]
    return {
        "detail": detail,
        "run": run,
        "now": now,
        "look": status.run_look(run.status, is_paused=run.is_paused, waiting_for=run.waiting_for),
        "took": (run.finished_at or now) - run.created_at,
        "kept": "" if run.finished_at else waits.kept_words(run.signals),
        "why": why(detail, now),
        "graph": graph.draw_run(detail, now),
        "trace": trace.draw(detail, now),
        "steps": steps.all_shown(detail, now),
        "steps_hidden": steps.hidden_count(detail),
        "asks": questions.marks_asked(detail),
        "orders": {verb.value: verb in allowed for verb in Verb} | {"rerun": reruns.refusal(detail.run) is None},
        "primary": offers.likeliest(detail, allowed),
        "entries": [(entry, journal.sentence(entry, by_name), journal.tone_of(entry)) for entry in shown],
        "entries_hidden": run.sequence - len(shown),
    }


def _allowed(detail: RunDetail) -> tuple[Verb, ...]:
    try:
        return orders.allowed_orders(detail.run)
    except ValueError:  # a status of a later release: the page stands
        return ()


def render_overview_regions() -> dict[str, str]:
    """Return every region of the overview by its id. Six queries."""
    context = overview_context(timezone.now())
    return {region: render_to_string(template, context) for region, template in OVERVIEW_REGIONS.items()}


def overview_context(now: datetime) -> dict[str, Any]:
    """Return what the overview is made of. Six queries."""
    tally = counts.count_by_status(now)
    beat = counts.last_beat()
    needing = tally.by_status[RunStatus.NEEDS_ATTENTION.value]
    return {
        "rows": [strip.shown(row) for row in list_runs(RunFilter(), rows_max=LATEST_ROWS).rows],
        "tiles": tiles.shown(tally, chosen=(), address=_list_address),
        "needing": needing,
        "asking": questions_asked.count_questions(most=ASKING_MAX),
        "attention_count": needing,
        "is_capped": tally.is_capped,
        "counted_at": now,
        "beat_at": beat,
        "is_engine_silent": is_engine_silent(beat, now),
        "is_demo": settings.SAGAWEB_DEMO,
    }


def _list_address(statuses: tuple[str, ...]) -> str:
    return f"{reverse('sagas:run-list')}?{urlencode({'status': statuses}, doseq=True)}"


def render_rows(rows: Iterable[RunRow]) -> str:
    """Return the body of a table of runs: `<tbody id="rows">`."""
    return render_to_string("sagas/runs/_rows.html", {"rows": [strip.shown(row) for row in rows]})
