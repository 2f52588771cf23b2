"""Services: the list, one page for each, the form of one, and what is done to one after a page that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from sagas import access
from sagas.core.limits import SERVICES_SHOWN_MAX
from sagas.core.steps import SAGA_NAME
from sagas.core.vocabulary import Role
from sagas.dashboard import service_action as action
from sagas.dashboard import service_form as forms
from sagas.dashboard.access import needs_role
from sagas.dashboard.service_form import ServiceForm
from sagas.models import BreakerState, Service, ServiceKind
from sagas.presentation.services import BREAKERS, KINDS, VERBS, draw_strip
from sagas.queries import services as queries
from sagas.queries.commands import find_traffic
from sagas.services import changes, errors

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from sagas.queries.services import ServicePage
    from sagas.services.changes import Done

SECRETS = ("base_url", "secret")  # what the form sends and no error report shows


@require_safe
@needs_role(Role.VIEWER)
def service_list(request: HttpRequest) -> HttpResponse:
    """The services, by name, with how they are; a page of them."""
    now, after = timezone.now(), request.GET.get("after", "")
    after = after if SAGA_NAME.fullmatch(after) else ""
    lines = queries.list_services(now, after, SERVICES_SHOWN_MAX + 1)
    context = {
        "lines": lines[:SERVICES_SHOWN_MAX],
        "after": after,
        "has_more": len(lines) > SERVICES_SHOWN_MAX,
        "counted_at": now,
        "may_operate": access.has_role(request.user, Role.OPERATOR),
        "may_manage": access.has_role(request.user, Role.ADMIN),
    }
    return render(request, "sagas/services/list.html", context)


@require_safe
@needs_role(Role.VIEWER)
def service_detail(request: HttpRequest, name: str) -> HttpResponse:
    """One service: how it is, its last hour, who needs it, what was done to it."""
    now = timezone.now()
    page = _get(name)
    service, state = page.line.service, page.line.state
    until = service.former_secret_until
    context = {
        "page": page,
        "line": page.line,
        "service": service,
        "state": state,
        "strip": draw_strip(page.minutes, now),
        "kind": KINDS.get(service.kind, service.kind),
        "breaker": BREAKERS[state.breaker if state else BreakerState.CLOSED.value],
        "former_until": until if until is not None and until > now else None,
        "traffic": find_traffic(service, now) if service.kind == ServiceKind.COMMAND else None,
        "verbs": VERBS,
        "may_operate": access.has_role(request.user, Role.OPERATOR),
        "may_manage": access.has_role(request.user, Role.ADMIN),
    }
    return render(request, "sagas/services/detail.html", context)


@never_cache
@sensitive_post_parameters(*SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.ADMIN)
def service_new(request: HttpRequest) -> HttpResponse:
    """Register a service; a secret that was made for it is shown this once."""
    if request.method != "POST":
        return _show_form(request, ServiceForm(), None)
    return _put(request, None)


@never_cache
@sensitive_post_parameters(*SECRETS)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.ADMIN)
def service_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Change what a service is; its secret is rotated elsewhere."""
    service = _get(name).line.service
    if request.method != "POST":
        return _show_form(request, forms.form_of(service), service)
    return _put(request, service)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.OPERATOR)
def service_action(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Show what an action would do; on POST do it, unless the service changed since the page was shown."""
    act = action.ACTIONS.get(verb)
    if act is None:
        raise Http404(_("There is no such action."))
    action.check_right(request.user, act)
    form = action.read_form(request.POST if request.method == "POST" else {})
    if request.method != "POST":
        return _show_action(request, act, _get(name), form)
    try:
        done = act.perform(name, form, request.user.get_username())
    except errors.ServiceUnknownError as error:
        raise Http404(str(error)) from None
    except errors.ServiceInvalidError as error:
        form = action.with_problems(form, error.problems)
        return _show_action(request, act, _get(name), form, status=422)
    except errors.ServiceStaleError:
        refusal = _("This service changed while you were deciding. Nothing was changed. These are the facts now.")
        return _show_action(request, act, _get(name), form, refusal=refusal, status=412)
    except errors.ServiceError as error:
        return _show_action(request, act, _get(name), form, refusal=str(error), status=409)
    if done is not None and done.secret:
        return _show_secret(request, done)
    messages.info(request, act.receipt % {"name": name})
    return redirect("sagas:service-list") if done is None else redirect("sagas:service-detail", name)


def _put(request: HttpRequest, before: Service | None) -> HttpResponse:
    form = forms.read_form(request.POST, before.name if before else None)
    wanted, form = forms.read_wanted(form)
    if wanted is None:
        return _show_form(request, form, before, status=422)
    revision = form.revision if before else 0
    try:
        done = changes.put_service(
            form.name, wanted, by=request.user.get_username(), revision=revision, reason=form.reason
        )
    except errors.ServiceInvalidError as error:
        return _show_form(request, forms.with_problems(form, error.problems), before, status=422)
    except errors.ServiceStaleError:
        if before is None:
            refusal = _("There is a service of this name already. Nothing was changed.")
            return _show_form(request, form, before, refusal=refusal, status=412)
        refusal = _(
            "Somebody changed this service while you were writing. Nothing was changed; these are the facts now."
        )
        return _show_form(request, forms.form_of(_get(form.name).line.service), before, refusal=refusal, status=412)
    except errors.ServiceInUseError as error:
        return _show_form(request, form, before, refusal=str(error), status=409)
    if done.secret:
        return _show_secret(request, done)
    said = _("%(name)s is registered.") if done.is_new else _("%(name)s is changed.")
    messages.info(request, (said if done.has_changed else _("Nothing was changed.")) % {"name": form.name})
    return redirect("sagas:service-detail", form.name)


def _get(name: str) -> ServicePage:
    page = queries.find_service(name, timezone.now())
    if page is None:
        message = f"There is no service {name[:80]!r}."
        raise Http404(message)
    return page


def _show_form(
    request: HttpRequest, form: ServiceForm, before: Service | None, *, refusal: str = "", status: int = 200
) -> HttpResponse:
    if request.method == "POST":
        form = forms.without_secrets(form, before)
    context = {"form": form, "service": before, "refusal": refusal or form.errors.get("", "")}
    return render(request, "sagas/services/edit.html", context, status=status)


def _show_action(
    request: HttpRequest,
    act: action.Action,
    page: ServicePage,
    form: action.ActionForm,
    *,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    service = page.line.service
    context = {
        "act": act,
        "heading": act.heading % {"name": service.name},
        "page": page,
        "line": page.line,
        "service": service,
        "form": form,
        "why_not": act.why_not(page),
        "will": act.will(page),
        "will_not": act.will_not(page),
        "refusal": refusal or form.errors.get("", ""),
    }
    return render(request, "sagas/services/action.html", context, status=status)


def _show_secret(request: HttpRequest, done: Done) -> HttpResponse:
    """Show a secret this once: in the answer to the POST, which nobody keeps; asking for it again is a stale POST."""
    back = reverse("sagas:service-detail", args=[done.service.name])
    context = {"owner": done.service, "back": back, "secret": done.secret, "is_new": done.is_new}
    return render(request, "sagas/services/secret.html", context)
