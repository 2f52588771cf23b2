"""Subscribing an address to changes of runs and events, changing that, another secret, taking it away. For admins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from sagas import subscriptions
from sagas.core.vocabulary import Role
from sagas.dashboard.access import needs_role
from sagas.dashboard.service_form import read_number
from sagas.models import ChangeKind, Saga
from sagas.queries import webhooks as queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse

    from sagas.models import WebhookSubscription

SAGAS_LISTED_MAX = 200
VERBS = ("pause", "resume", "rotate-secret", "delete")


@dataclass(frozen=True, slots=True)
class SubscriptionForm:
    """A subscription as a person typed it."""

    name: str = ""
    url: str = ""
    kinds: tuple[str, ...] = ()
    saga: str = ""
    events: str = ""  # types, with commas or lines between them
    except_source: str = ""
    gets_redacted: bool = False
    allow_private: bool = False
    is_enabled: bool = True
    revision: int | None = None
    errors: Mapping[str, str] = field(default_factory=dict)  # by field; "" is about none of them


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.ADMIN)
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Subscribe an address; its secret is shown this once."""
    if request.method != "POST":
        return _show(request, SubscriptionForm(), None)
    return _put(request, None)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.ADMIN)
def webhook_edit(request: HttpRequest, name: str) -> HttpResponse:
    """Change what is told, and where."""
    one = _get(name)
    if request.method != "POST":
        form = SubscriptionForm(
            name=one.name, url=one.url, kinds=tuple(one.kinds), saga=one.saga, events="\n".join(one.events),
            except_source=one.except_source, gets_redacted=one.gets_redacted, allow_private=one.allow_private,
            is_enabled=one.is_enabled, revision=one.revision,
        )  # fmt: skip
        return _show(request, form, one)
    return _put(request, one)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs_role(Role.ADMIN)
def webhook_action(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Pause it, let it go on, make another secret, or take it away: the page before it says what happens."""
    one = _get(name)
    if verb not in VERBS:
        raise Http404(_("There is no such action."))
    context = {"subscription": one, "verb": verb, "refusal": ""}
    if request.method != "POST":
        return render(request, "sagas/webhooks/action.html", context)
    revision, by = read_number(request.POST.get("revision", "")), request.user.get_username()
    try:
        if verb == "delete":
            subscriptions.delete(name, by=by, revision=revision)
            messages.info(request, _("%(name)s is told nothing any more.") % {"name": name})
            return redirect("sagas:webhook-list")
        if verb in {"pause", "resume"}:
            return _switch(request, one, is_enabled=verb == "resume", revision=revision)
        done = subscriptions.rotate_secret(name, by=by, revision=revision)
    except subscriptions.SubscriptionUnknownError as error:
        raise Http404(str(error)) from None
    except subscriptions.SubscriptionStaleError:
        context |= {"subscription": _get(name), "refusal": _("It changed while you were deciding. Nothing was done.")}
        return render(request, "sagas/webhooks/action.html", context, status=412)
    except subscriptions.SubscriptionInvalidError as error:  # what was right when it was written
        return render(request, "sagas/webhooks/action.html", context | {"refusal": str(error)}, status=409)
    return _show_secret(request, done)


def _switch(request: HttpRequest, one: WebhookSubscription, *, is_enabled: bool, revision: int | None) -> HttpResponse:
    wanted = subscriptions.Wanted(
        url=one.url, kinds=tuple(one.kinds), saga=one.saga, events=tuple(one.events), except_source=one.except_source,
        gets_redacted=one.gets_redacted, allow_private=one.allow_private, is_enabled=is_enabled,
    )  # fmt: skip
    present = one.revision if revision is None else revision
    subscriptions.put(one.name, wanted, by=request.user.get_username(), revision=present)
    said = _("%(name)s is told again.") if is_enabled else _("%(name)s is told nothing until you let it.")
    messages.info(request, said % {"name": one.name})
    return redirect("sagas:webhook-detail", one.name)


def _put(request: HttpRequest, before: WebhookSubscription | None) -> HttpResponse:
    sent = request.POST
    form = SubscriptionForm(
        name=before.name if before else sent.get("name", "").strip(),
        url=sent.get("url", "").strip(),
        kinds=tuple(sent.getlist("kinds")),
        saga=sent.get("saga", "").strip(),
        events=sent.get("events", "").strip(),
        except_source=sent.get("except_source", "").strip(),
        gets_redacted=sent.get("gets_redacted") == "yes",
        allow_private=sent.get("allow_private") == "yes",
        is_enabled=before is None or sent.get("is_enabled") == "yes",
        revision=read_number(sent.get("revision", "")),
    )
    events = tuple(one.strip() for one in form.events.replace(",", "\n").splitlines() if one.strip())
    wanted = subscriptions.Wanted(
        url=form.url, kinds=form.kinds, saga=form.saga, events=events, except_source=form.except_source,
        gets_redacted=form.gets_redacted, allow_private=form.allow_private, is_enabled=form.is_enabled,
    )  # fmt: skip
    try:
        revision = form.revision if before else 0
        done = subscriptions.put(form.name, wanted, by=request.user.get_username(), revision=revision)
    except subscriptions.SubscriptionInvalidError as error:
        errors: dict[str, str] = {}
        for problem in error.problems:
            name = problem.pointer.split("/")[1] if "/" in problem.pointer else ""
            errors[name] = f"{errors.get(name, '')} {problem.message}".strip()
        return _show(request, replace(form, errors=errors), before, status=422)
    except subscriptions.SubscriptionStaleError:
        if before is None:
            errors = {"name": _("There is a subscription of this name already.")}
            return _show(request, replace(form, errors=errors), None, status=409)
        refusal = _("It changed while you were deciding. Nothing was changed; what you typed is below.")
        form = replace(form, revision=_get(before.name).revision)
        return _show(request, form, before, refusal=refusal, status=412)
    if done.secret:
        return _show_secret(request, done)
    messages.info(request, _("%(name)s is as you want it.") % {"name": done.subscription.name})
    return redirect("sagas:webhook-detail", done.subscription.name)


def _show(
    request: HttpRequest,
    form: SubscriptionForm,
    before: WebhookSubscription | None,
    *,
    refusal: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "subscription": before,
        "kinds": [(kind.value, kind.value in form.kinds) for kind in ChangeKind],
        "sagas": Saga.objects.values_list("name", flat=True)[:SAGAS_LISTED_MAX],
        "refusal": refusal,
    }
    return render(request, "sagas/webhooks/edit.html", context, status=status)


def _show_secret(request: HttpRequest, done: subscriptions.Done) -> HttpResponse:
    back = reverse("sagas:webhook-detail", args=[done.subscription.name])
    context = {"owner": done.subscription, "back": back, "secret": done.secret, "is_new": done.is_new}
    return render(request, "sagas/webhooks/secret.html", context)


def _get(name: str) -> WebhookSubscription:
    found = queries.find_subscription(name)
    if found is None:
        raise Http404(_("There is no such webhook subscription."))
    return found.subscription
