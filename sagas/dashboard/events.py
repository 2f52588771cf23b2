"""Events: who publishes and who reacts, what came, and what people decide about what reached no run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from sagas.access import includes, standing_of
from sagas.choreography import decisions
from sagas.choreography.listeners import shown_data
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.models import OPEN_ROUTES, EventState, RouteState
from sagas.presentation import event_map as matrix
from sagas.presentation import event_picture
from sagas.queries import events as queries

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from sagas.models import SagaEvent

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
WINDOW = "7d"
STATE_WORDS = {
    RouteState.PARKED.value: gettext_lazy(
        "They came before their run, and it has not begun by itself. Open one to look again once it has begun, to give "
        "it to a run, or to drop it."
    ),
    RouteState.UNCORRELATED.value: gettext_lazy(
        "Their data does not say which run they are of. Open one to give it to its run, or to drop it."
    ),
    EventState.ORPHAN.value: gettext_lazy(
        "No published saga names their type. Publish one that does, then open one to look again; or drop it."
    ),
    RouteState.LATE.value: gettext_lazy(
        "Their run had ended when they came. It got them all the same, and is open again if anything reacts to them."
    ),
    RouteState.BUFFERED.value: gettext_lazy(
        "They wait quietly for their run to begin, as the saga says; when their time is up they are parked."
    ),
}
VERBS = ("replay", "assign", "drop")
REASON_LENGTH_MAX = 300


@require_safe
@needs_role(Role.VIEWER)
def event_map(request: HttpRequest) -> HttpResponse:
    """Types of events by services, as a table or as a picture: what is declared, and what was seen in a while."""
    query = request.GET
    is_map = query.get("view") == "map"
    window = query["window"] if query.get("window") in WINDOWS else WINDOW
    saga = query.get("saga", "").replace("\0", "")
    only_odd = query.get("show") == "disagreements"
    rows = queries.map_rows(timezone.now() - WINDOWS[window], saga)
    words = {"1h": _("the last hour"), "24h": _("the last 24 hours"), "7d": _("the last 7 days")}
    kept = [(name, query[name]) for name in ("window", "saga", "show") if query.get(name)]
    table, picture = None, None
    if is_map:
        picture = event_picture.draw(rows, queries.registered_services(), words[window], only_odd=only_odd)
    else:
        table = matrix.draw(rows, only_odd=only_odd)
    context = {
        "is_map": is_map,
        "map": table,
        "picture": picture,
        "has_rows": bool(picture.arrows if picture else table and table.lines),
        "is_capped": any(row.is_capped for row in rows),
        "only_odd": only_odd,
        "window": window,
        "windows": words,
        "saga": saga,
        "matrix_url": f"?{urlencode(kept)}",
        "map_url": f"?{urlencode([('view', 'map'), *kept])}",
        "waiting": queries.count_waiting(),
        "may_author": includes(standing_of(request.user).role, Role.AUTHOR),
    }
    return render(request, "sagas/events/map.html", context)


@require_safe
@needs_role(Role.VIEWER)
def event_list(request: HttpRequest) -> HttpResponse:
    """Fifty events, newest first, narrowed by what the address says."""
    query = request.GET
    state = query.get("state", "") if query.get("state", "") in _states() else ""
    run = _id(query.get("run", ""))
    wanted = queries.EventFilter(
        type=query.get("type", "").replace("\0", ""),
        saga=query.get("saga", "").replace("\0", ""),
        run=run,
        state=state,
        key=query.get("key", "").replace("\0", ""),
    )
    rows = queries.page(wanted, _id(query.get("before", "")))
    shown = rows[: queries.EVENTS_SHOWN_MAX]
    kept = [(name, query[name]) for name in ("type", "saga", "run", "state", "key") if query.get(name)]
    older = f"?{urlencode([*kept, ('before', str(shown[-1].id))])}" if len(rows) > len(shown) else ""
    context = {
        "rows": shown,
        "wanted": wanted,
        "older": older,
        "states": _states(),
        "state_words": STATE_WORDS.get(state, ""),
        "waiting": queries.count_waiting(),
    }
    return render(request, "sagas/events/list.html", context)


@require_safe
@needs_role(Role.VIEWER)
def event_detail(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One event: where it went, what it follows from, what follows from it."""
    row = _get(event_id)
    before, after = queries.follows_from(row)
    may_decide = includes(standing_of(request.user).role, Role.OPERATOR) and _waits(row)
    context = {
        "event": row, "data": shown_data([row])[0], "before": before, "after": after, "may_decide": may_decide,
        "waits": _waits(row),
    }  # fmt: skip
    return render(request, "sagas/events/detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.OPERATOR)
def event_action(request: HttpRequest, event_id: UUID, verb: str) -> HttpResponse:
    """Look again, give it to a run, or drop it: the page before it says what happens."""
    row = _get(event_id)
    if verb not in VERBS:
        raise Http404(_("There is no such action."))
    errors: dict[str, str] = {}
    run, reason = request.POST.get("run", "").strip(), request.POST.get("reason", "").strip()[:REASON_LENGTH_MAX]
    if request.method == "POST":
        errors = _wrong(verb, run, reason)
        try:
            if not errors:
                _decide(request, row, verb, run, reason)
                return redirect("sagas:event-detail", event_id)
        except decisions.RunNotChosenError as error:
            errors = {"run": str(error)}
        except decisions.EventSettledError as error:
            messages.warning(request, str(error))
            return redirect("sagas:event-detail", event_id)
    context = {"event": row, "verb": verb, "errors": errors, "run": run, "reason": reason, "waits": _waits(row)}
    return render(request, "sagas/events/action.html", context, status=422 if errors else 200)


def _wrong(verb: str, run: str, reason: str) -> dict[str, str]:
    errors = {}
    if verb == "assign" and _id(run) is None:
        errors["run"] = _("Give the id of a run, as its page shows it.")
    if verb != "replay" and not reason:
        errors["reason"] = _("Say why: it is kept with the event, with your name.")
    return errors


def _decide(request: HttpRequest, row: SagaEvent, verb: str, run: str, reason: str) -> None:
    by = request.user.get_username()
    match verb:
        case "replay":
            decisions.replay(row.id, by=by)
            messages.info(request, _("It was looked at again."))
        case "assign":
            decisions.assign(row.id, UUID(run), by=by, reason=reason)
            messages.info(request, _("The run has it in its inbox."))
        case "drop":
            decisions.drop(row.id, by=by, reason=reason)
            messages.info(request, _("It is dropped; it stays stored."))


def _states() -> tuple[str, ...]:
    return tuple(dict.fromkeys([*(one.value for one in RouteState), EventState.ORPHAN.value]))


def _waits(row: SagaEvent) -> bool:
    return row.state == EventState.ORPHAN.value or any(route.state in OPEN_ROUTES for route in row.routes.all())


def _get(event_id: UUID) -> SagaEvent:
    row = queries.find_event(event_id)
    if row is None:
        raise Http404(_("There is no such event."))
    return row


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
