"""Webhooks: who is told of changes, what was told, and telling again what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from sagas.access import has_role
from sagas.core.delivery import DeliveryState
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.engine import deliveries
from sagas.models import WebhookDelivery
from sagas.queries import webhooks as queries

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from sagas.queries.webhooks import SubscriptionLine

REPLAYED_MAX = 1_000  # dead ones at once; the same again takes the next


@require_safe
@needs_role(Role.OPERATOR)
def webhook_list(request: HttpRequest) -> HttpResponse:
    """All subscriptions and how their deliveries stand."""
    return render(
        request,
        "sagas/webhooks/list.html",
        {"lines": queries.list_subscriptions(), "may_manage": has_role(request.user, Role.ADMIN)},
    )


@require_safe
@needs_role(Role.OPERATOR)
def webhook_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One subscription with its deliveries, newest first."""
    line = _get(name)
    state = request.GET.get("state", "")
    state = state if state in set(DeliveryState) else ""
    rows = queries.list_deliveries(line.subscription, state, _id(request.GET.get("before", "")))
    shown = rows[: queries.DELIVERIES_SHOWN_MAX]
    context = {
        "line": line,
        "subscription": line.subscription,
        "rows": shown,
        "state": state,
        "states": [one.value for one in DeliveryState],
        "older": shown[-1].id if len(rows) > len(shown) else None,
        "may_manage": has_role(request.user, Role.ADMIN),
        "changes": queries.list_changes(name),
    }
    return render(request, "sagas/webhooks/detail.html", context)


@require_POST
@needs_role(Role.OPERATOR)
def webhook_replay(request: HttpRequest, name: str) -> HttpResponse:
    """Tell again: the one delivery that the form names, or all that is dead."""
    line = _get(name)
    rows = WebhookDelivery.objects.filter(subscription=line.subscription)
    if wanted := request.POST.get("delivery", ""):
        rows = rows.filter(id=_id(wanted))
    else:
        rows = rows.filter(state=DeliveryState.DEAD.value)
    chosen = list(rows.order_by("id")[:REPLAYED_MAX])
    count = deliveries.replay(name, chosen, timezone.now(), by=request.user.get_username())
    said = ngettext("%(count)s delivery begins anew.", "%(count)s deliveries begin anew.", count)
    messages.info(request, said % {"count": count} if count else _("Nothing was to be told again."))
    return redirect("sagas:webhook-detail", name)


def _get(name: str) -> SubscriptionLine:
    found = queries.find_subscription(name)
    if found is None:
        raise Http404(_("There is no such webhook subscription."))
    return found


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
