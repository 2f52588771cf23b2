"""What goes out of the registry of services. Nothing here knows a secret, but for one that was made just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from rest_framework import serializers

from sagas.api.shapes import Moment, word
from sagas.models import BreakerState, ServiceKind
from sagas.presentation.services import LOOKS, address_of, health_sentence, service_look
from sagas.queries.services import WINDOW

if TYPE_CHECKING:
    from rest_framework.request import Request

    from sagas.core.vocabulary import Json
    from sagas.queries.services import ServiceLine

MILLISECONDS = 1000


class ServiceHealth(serializers.Serializer[Any]):
    """How the calls of the last minutes went; a figure is null where there was none."""

    window = serializers.FloatField(help_text="seconds that the counts and latencies are over")
    calls = serializers.IntegerField(help_text="that ended")
    refusals = serializers.IntegerField(help_text="rejected: the service is well and said no")
    failures = serializers.IntegerField(help_text="failed or unknown")
    error_rate = serializers.FloatField(allow_null=True, help_text="failures of calls, 0 to 1")
    latency_mean = serializers.FloatField(allow_null=True, help_text="seconds")
    latency_max = serializers.FloatField(allow_null=True, help_text="seconds")
    as_of = Moment(allow_null=True, help_text="the newest minute that is counted")
    last_success_at = Moment(allow_null=True)
    last_failure_at = Moment(allow_null=True)
    last_error = serializers.CharField(help_text="its code and message; nothing of a payload")


class ServiceBreaker(serializers.Serializer[Any]):
    """Whether calls are let through."""

    state = word(BreakerState)
    opened_at = Moment(allow_null=True)
    try_at = Moment(allow_null=True, help_text="when an open one lets the first calls through")
    as_of = Moment(allow_null=True, help_text="when a worker last told of it; null: never")


class ServiceWaiting(serializers.Serializer[Any]):
    """What waits until it may enter."""

    steps = serializers.IntegerField()
    as_of = Moment()


class ServiceShape(serializers.Serializer[Any]):
    """One service and how it is."""

    name = serializers.CharField()
    kind = word(ServiceKind)
    base_url = serializers.CharField(help_text="with `•••` for a broker's password")
    timeout = serializers.FloatField(allow_null=True, help_text="seconds; null: as steps say")
    max_concurrency = serializers.IntegerField()
    allow_private = serializers.BooleanField()
    follows_redirects = serializers.BooleanField()
    has_secret = serializers.BooleanField(help_text="whether what is sent to it is signed")
    former_secret_until = Moment(allow_null=True, help_text="until then the former secret is valid too")
    held = serializers.BooleanField()
    held_by = serializers.CharField()
    held_reason = serializers.CharField()
    held_at = Moment(allow_null=True)
    revision = serializers.IntegerField()
    created_at = Moment()
    updated_at = Moment()
    state = serializers.CharField(help_text=f"one of {', '.join(look.value for look in LOOKS)}")
    sentence = serializers.CharField(help_text="the same in words")
    health = ServiceHealth()
    breaker = ServiceBreaker()
    waiting = ServiceWaiting()
    sagas = serializers.ListField(child=serializers.CharField(), help_text="whose latest version names it")
    url = serializers.URLField()


class ServiceShown(ServiceShape):
    """One service, and once, in the answer to what made it, its new secret."""

    secret = serializers.CharField(required=False, help_text="only when it was made for this answer")


class ServicePage(serializers.Serializer[Any]):
    """One page of services, by name."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ServiceShape(many=True)


class ServiceGone(serializers.Serializer[Any]):
    """What was deleted."""

    name = serializers.CharField()


def show_line(request: Request, line: ServiceLine) -> dict[str, Any]:
    """Return one service as it goes out."""
    service = line.service
    same = ("name", "kind", "max_concurrency", "allow_private", "follows_redirects", "held_by", "held_reason")
    facts = {name: getattr(service, name) for name in (*same, "held_at", "revision", "created_at", "updated_at")}
    until = service.former_secret_until
    facts |= {
        "base_url": address_of(service),
        "timeout": service.timeout_s,
        "has_secret": service.secret is not None,
        "former_secret_until": until if until is not None and until > line.counted_at else None,
        "held": service.is_held,
        "state": service_look(line).value,
        "sentence": health_sentence(line),
        "health": _health(line),
        "breaker": _breaker(line),
        "waiting": {"steps": line.waiting, "as_of": line.counted_at},
        "sagas": [use.saga for use in line.uses],
        "url": request.build_absolute_uri(reverse("sagas:api-service", args=[service.name])),
    }
    return dict(ServiceShape(facts).data)


def _health(line: ServiceLine) -> dict[str, Json]:
    window, state = line.window, line.state
    mean = window.latency_ms_mean
    return {
        "window": WINDOW.total_seconds(),
        "calls": window.calls,
        "refusals": window.refusals,
        "failures": window.failures,
        "error_rate": window.error_rate,
        "latency_mean": None if mean is None else mean / MILLISECONDS,
        "latency_max": window.latency_ms_max / MILLISECONDS if window.calls else None,
        "as_of": window.as_of,
        "last_success_at": state.last_success_at if state else None,
        "last_failure_at": state.last_failure_at if state else None,
        "last_error": state.last_error if state else "",
    }


def _breaker(line: ServiceLine) -> dict[str, Json]:
    state = line.state
    return {
        "state": state.breaker if state else BreakerState.CLOSED.value,
        "opened_at": state.opened_at if state else None,
        "try_at": state.try_at if state else None,
        "as_of": state.seen_at if state else None,
    }
