"""Webhooks: who is told of what becomes of runs and of which events, and each telling."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import Q

from sagas.core.delivery import DeliveryState
from sagas.core.limits import EVENT_NAME_LENGTH_MAX, EVENT_TYPE_LENGTH_MAX, KEY_LENGTH_MAX
from sagas.models.events import SagaEvent
from sagas.models.identity import uuid7
from sagas.models.run import SagaRun, _choices
from sagas.models.sealed_json import SealedJSONField


class ChangeKind(StrEnum):
    """What of a run a subscription may be told."""

    STARTED = "run.started"
    COMPENSATING = "run.compensating"
    NEEDS_ATTENTION = "run.needs_attention"
    COMPLETED = "run.completed"
    COMPENSATED = "run.compensated"
    PARTIALLY_COMPENSATED = "run.partially_compensated"
    TERMINATED = "run.terminated"


class WebhookSubscription(models.Model):
    """An address that is told of changes and events. Its secrets are sealed; two are valid while they are changed."""

    name = models.SlugField(max_length=64, unique=True)
    url = models.CharField(max_length=500)
    kinds = models.JSONField(default=list)  # of `ChangeKind`; empty: all, or none where there are `events`
    saga = models.CharField(max_length=64, blank=True, default="")  # only changes of its runs; empty: of all
    events = models.JSONField(default=list)  # types of events
    except_source = models.CharField(max_length=EVENT_NAME_LENGTH_MAX, blank=True, default="")  # not its events
    gets_redacted = models.BooleanField(default=False)  # events with the values that are redacted in them
    secret = SealedJSONField(null=True, editable=False)
    former_secret = SealedJSONField(null=True, editable=False)
    former_secret_until = models.DateTimeField(null=True, editable=False)
    allow_private = models.BooleanField(default=False)
    is_enabled = models.BooleanField(default=True)
    disabled_why = models.CharField(max_length=200, blank=True, default="")
    revision = models.PositiveIntegerField(default=1)
    changed_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One change or one event to be told to one subscription. Its id is the `webhook-id` of every try."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(WebhookSubscription, on_delete=models.CASCADE, related_name="deliveries")
    run = models.ForeignKey(SagaRun, null=True, on_delete=models.CASCADE, related_name="+")  # whose change it is
    event = models.ForeignKey(SagaEvent, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=EVENT_TYPE_LENGTH_MAX)  # a `ChangeKind`; of an event its type
    correlation = models.CharField(max_length=KEY_LENGTH_MAX, blank=True, default="")  # of an event, where it has one
    # Of the journal entry that a change is; of an event its place behind those of its correlation value that wait for
    # this subscription; of an event without such a value none: it waits for no other one.
    sequence = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=10, choices=_choices(DeliveryState), default=DeliveryState.PENDING.value)
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True)  # while pending; while a courier has it, when it may be taken again
    last_status = models.PositiveIntegerField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="delivery_once", fields=["subscription", "run", "sequence", "kind"]),
            models.UniqueConstraint(name="delivery_once_of_an_event", fields=["subscription", "event"]),
            models.CheckConstraint(
                name="delivery_tells_of_a_change_or_of_an_event",
                condition=Q(run__isnull=False, event__isnull=True, sequence__isnull=False, correlation="")
                | Q(run__isnull=True, event__isnull=False, sequence__isnull=True, correlation="")
                | (Q(run__isnull=True, event__isnull=False, sequence__isnull=False) & ~Q(correlation="")),
            ),
            models.CheckConstraint(
                name="delivery_has_a_next_try_iff_pending",
                condition=Q(state=DeliveryState.PENDING.value, next_at__isnull=False)
                | (~Q(state=DeliveryState.PENDING.value) & Q(next_at__isnull=True)),
            ),
        )
        indexes = (
            models.Index(name="delivery_due", fields=["subscription", "next_at"], condition=Q(next_at__isnull=False)),
            models.Index(
                name="delivery_in_order",
                fields=["subscription", "correlation", "sequence"],
                condition=Q(next_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} to {self.subscription_id}"


class WebhookVerb(StrEnum):
    """What was done to a subscription."""

    CREATED = "created"
    CHANGED = "changed"
    SECRET_ROTATED = "secret_rotated"  # noqa: S105 - words
    REPLAYED = "replayed"
    ENDED = "ended"  # its receiver answered 410
    DELETED = "deleted"


class WebhookChange(models.Model):
    """Who did what to a subscription, and when. Only ever added to; it outlives it, so it keeps the name."""

    subscription_name = models.CharField(max_length=64)
    verb = models.CharField(max_length=24, choices=_choices(WebhookVerb))
    by = models.CharField(max_length=150)
    fields = models.JSONField(default=dict)  # {name: [before, after]}, or {deliveries: how many}; nothing of secrets
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(name="webhook_change_by_name", fields=["subscription_name", "-id"]),)
        constraints = (
            models.CheckConstraint(
                name="webhook_verb_is_known", condition=Q(verb__in=[verb.value for verb in WebhookVerb])
            ),
        )

    def __str__(self) -> str:
        return f"{self.subscription_name} {self.verb} by {self.by}"
