"""The first five minutes: one picture, one sentence, one button."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from sagas.access import has_role
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.dashboard.event_start import NotBegunError, send_event
from sagas.dashboard.form_key import make_form_key, start_once
from sagas.engine import commands, errors

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

DEMO_SAGA = "create-order"
DEMO_CHOREOGRAPHY = "order-choreography"
IN_CHARGE = {
    "orchestrator": gettext_lazy("An orchestrator"),
    "nobody": gettext_lazy("Nobody: services react to events"),
}
PACE_MS = 700  # each step takes its time, so that it can be watched
FAILS_AT = {
    "nothing": gettext_lazy("Nothing"),
    "process_payment": gettext_lazy("Payment"),
    "update_inventory": gettext_lazy("Stock"),
    "create_shipment": gettext_lazy("Shipment"),
}
HOW = {
    "reject": gettext_lazy("It says no"),
    "fail": gettext_lazy("It fails twice, then works"),
    "time_out": gettext_lazy("It never answers"),
    "crash": gettext_lazy("It takes its worker down"),
}
_FAULTS: dict[str, dict[str, Any]] = {
    "reject": {"mode": "reject"},
    "fail": {"mode": "fail", "times": 2},
    "time_out": {"mode": "time_out"},
    "crash": {"mode": "crash", "times": 1},
}


@require_safe
@needs_role(Role.VIEWER)
def welcome(request: HttpRequest) -> HttpResponse:
    """Show the one thing to press."""
    context = {
        "fails_at": FAILS_AT,
        "how": HOW,
        "in_charge": IN_CHARGE,
        "form_key": make_form_key(),
        "is_demo": settings.SAGAWEB_DEMO,
        "may_operate": has_role(request.user, Role.OPERATOR),
    }
    return render(request, "sagas/overview/welcome.html", context)


@require_POST
@needs_role(Role.OPERATOR)
def demo_start(request: HttpRequest) -> HttpResponse:
    """Start the demo order, with the fault that was chosen, and show it."""
    fails_at, how = request.POST.get("fails_at", ""), request.POST.get("how", "")
    faults = {fails_at: _FAULTS[how]} if fails_at in FAILS_AT and fails_at != "nothing" and how in _FAULTS else {}
    order = {
        "order_id": str(secrets.randbelow(9_000_000) + 1_000_000),
        "amount": 4200,
        "customer": "ada",
        "items": [{"sku": "teapot", "quantity": 1}, {"sku": "cup", "quantity": 2}],
        "pace_ms": PACE_MS,
        "faults": faults,
    }
    if request.POST.get("in_charge") == "nobody":
        return _choreographed(request, order)
    try:
        started = start_once(
            request, DEMO_SAGA, lambda: commands.start_run(DEMO_SAGA, order, by=request.user.get_username())
        )
    except (errors.SagaUnknownError, errors.SagaArchivedError):
        messages.error(request, _("The demo shop is not loaded. Start Sagaweb with --demo to have it."))
        return redirect("sagas:welcome")
    except errors.SagaUnreadableError as error:
        messages.error(request, _("No run can be started: %(why)s") % {"why": error})
        return redirect("sagas:welcome")
    return redirect("sagas:run-detail", started.run_id)


def _choreographed(request: HttpRequest, order: dict[str, Any]) -> HttpResponse:
    """Tell that the order was placed, as the storefront would, and show the run that begins with it."""
    try:
        run_id = send_event(request, DEMO_CHOREOGRAPHY, "order.placed", order)
    except NotBegunError:
        messages.error(request, _("The demo shop is not loaded. Start Sagaweb with --demo to have it."))
        return redirect("sagas:welcome")
    return redirect("sagas:run-detail", run_id)
