"""The registry of services: who takes part in sagas over HTTP or behind a broker, and how each does."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import F, Q

from sagas.models.identity import uuid7
from sagas.models.run import _choices
from sagas.models.sealed_json import SealedJSONField


class ServiceKind(StrEnum):
    """How a service is reached."""

    HTTP = "http"
    COMMAND = "command"  # command messages through a broker


class BreakerState(StrEnum):
    """Whether runs may enter a service."""

    CLOSED = "closed"  # they may
    OPEN = "open"  # the service is sick: they wait before it
    HALF_OPEN = "half_open"  # a few are let through, to see whether it is well again


class Service(models.Model):
    """A participant outside this process. Sagas call only services that stand here.

    Secrets are sealed: no page, log, API answer or export opens them. Two are
    valid at once while `former_secret_until` lasts, so that a service can change
    over without a gap.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=_choices(ServiceKind), default=ServiceKind.HTTP.value)
    base_url = models.CharField(max_length=500)  # or the broker's address; never with a password
    password = SealedJSONField(null=True, editable=False)  # of the broker's address
    secret = SealedJSONField(null=True, editable=False)  # signs what we send: `whsec_…`
    former_secret = SealedJSONField(null=True, editable=False)
    former_secret_until = models.DateTimeField(null=True, editable=False)
    timeout_s = models.FloatField(null=True, blank=True)  # the most that is waited for one answer; None: as steps say
    max_concurrency = models.PositiveIntegerField(default=100)  # calls in flight at once, over all pumps
    allow_private = models.BooleanField(default=False)  # loopback and private addresses too
    follows_redirects = models.BooleanField(default=False)  # within its own host and port
    is_held = models.BooleanField(default=False)  # no run enters it until a person lets go
    held_by = models.CharField(max_length=150, blank=True, default="")
    held_reason = models.TextField(blank=True, default="")
    held_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="service_kind_is_known", condition=Q(kind__in=[kind.value for kind in ServiceKind])
            ),
            models.CheckConstraint(name="service_takes_one_call_at_least", condition=Q(max_concurrency__gte=1)),
        )

    def __str__(self) -> str:
        return self.name


class ServiceState(models.Model):
    """The breaker of a service and what was last seen of it. Written by pumps; no row: never called."""

    service = models.OneToOneField(Service, primary_key=True, on_delete=models.CASCADE, related_name="state")
    breaker = models.CharField(max_length=10, choices=_choices(BreakerState), default=BreakerState.CLOSED.value)
    opened_at = models.DateTimeField(null=True)
    try_at = models.DateTimeField(null=True)  # when an open breaker lets the first ones through
    openings = models.PositiveIntegerField(default=0)  # in a row; each makes the next wait longer
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")  # `code: message`, nothing of a payload
    seen_at = models.DateTimeField(null=True)  # when a pump last told of it

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="breaker_is_known", condition=Q(breaker__in=[state.value for state in BreakerState])
            ),
        )

    def __str__(self) -> str:
        return f"{self.breaker} of {self.service_id}"


class ServiceMinute(models.Model):
    """What calls to a service came to in one minute, over all pumps."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="minutes", db_index=False)
    minute = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)  # that ended
    refusals = models.PositiveIntegerField(default=0)  # rejected: the service is well and said no
    failures = models.PositiveIntegerField(default=0)  # failed or unknown
    latency_ms_sum = models.PositiveBigIntegerField(default=0)
    latency_ms_max = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="service_minute_once", fields=["service", "minute"]),
            models.CheckConstraint(name="service_minute_adds_up", condition=Q(failures__lte=F("calls"))),
        )

    def __str__(self) -> str:
        return f"{self.service_id} {self.minute:%H:%M}"


class ServiceVerb(StrEnum):
    """What a person or a program did to a service."""

    CREATED = "created"
    CHANGED = "changed"
    SECRET_ROTATED = "secret_rotated"  # noqa: S105 - words
    FORMER_SECRET_DROPPED = "former_secret_dropped"  # noqa: S105 - words
    HELD = "held"
    RELEASED = "released"
    DELETED = "deleted"


class ServiceChange(models.Model):
    """Who did what to a service, when and why. Only ever added to; it outlives the service, so it keeps the name."""

    service_name = models.CharField(max_length=64)
    verb = models.CharField(max_length=24, choices=_choices(ServiceVerb))
    by = models.CharField(max_length=150)
    reason = models.TextField(blank=True, default="")
    fields = models.JSONField(default=dict)  # {name: [before, after]}; of secrets only that they changed
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="service_change_by_name", fields=["service_name", "-id"]),)
        constraints = (
            models.CheckConstraint(
                name="service_verb_is_known", condition=Q(verb__in=[verb.value for verb in ServiceVerb])
            ),
        )

    def __str__(self) -> str:
        return f"{self.service_name} {self.verb} by {self.by}"
