"""Events that cross services: each stored once, where each went, and which versions name which types."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models import Q

from sagas.core.limits import EVENT_NAME_LENGTH_MAX, EVENT_TYPE_LENGTH_MAX, KEY_LENGTH_MAX, NAME_LENGTH_MAX
from sagas.models.definition import Saga, SagaVersion
from sagas.models.identity import uuid7
from sagas.models.run import SagaRun, _choices
from sagas.models.sealed_json import SealedJSONField


class EventOrigin(StrEnum):
    """How an event came here."""

    API = "api"
    BROKER = "broker"
    REACTION = "reaction"  # a reaction of ours emitted it


class EventState(StrEnum):
    """What was done with an event as a whole."""

    WAITING = "waiting"  # stored; nobody has looked yet whom it is for
    ROUTED = "routed"
    ORPHAN = "orphan"  # no choreography names its type
    DROPPED = "dropped"  # it was an orphan, and a person let it be


class RouteState(StrEnum):
    """What became of an event for one saga."""

    DELIVERED = "delivered"
    LATE = "late"  # delivered to a run that had ended
    BUFFERED = "buffered"  # no run yet; kept quietly until a time
    PARKED = "parked"  # no run yet; kept, and shown
    DROPPED = "dropped"  # by the document, or by a person
    UNCORRELATED = "uncorrelated"  # its data does not say which run it is of


OPEN_ROUTES = (RouteState.BUFFERED.value, RouteState.PARKED.value, RouteState.UNCORRELATED.value)


class EventRole(StrEnum):
    """How a version names a type of event."""

    STARTS = "starts"
    REACTS = "reacts"
    COMPLETES = "completes"
    COMPENSATES = "compensates"
    EMITS = "emits"
    PUBLISHES = "publishes"


class SagaEvent(models.Model):
    """One event, as it came. `(source, event_id)` is what makes it the same event."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.CharField(max_length=EVENT_NAME_LENGTH_MAX)
    event_id = models.CharField(max_length=EVENT_NAME_LENGTH_MAX + 100)  # those of ours are longer
    type = models.CharField(max_length=EVENT_TYPE_LENGTH_MAX)
    subject = models.CharField(max_length=EVENT_NAME_LENGTH_MAX, blank=True, default="")
    time = models.DateTimeField(null=True)  # as its source says
    data = SealedJSONField(null=True)
    cause = models.CharField(max_length=EVENT_NAME_LENGTH_MAX + 100, blank=True, default="")  # id of the event before
    depth = models.PositiveIntegerField(default=0)  # events before it, as far as they are known
    origin = models.CharField(max_length=10, choices=_choices(EventOrigin))
    state = models.CharField(max_length=10, choices=_choices(EventState), default=EventState.WAITING.value)
    emitter = models.CharField(max_length=80, blank=True, default="")  # the reaction of ours that emitted it
    sent_by = models.CharField(max_length=150, blank=True, default="")
    dropped_why = models.CharField(max_length=300, blank=True, default="")
    is_to_publish = models.BooleanField(default=False)  # to the exchange, once it has it: no more
    duplicates = models.PositiveIntegerField(default=0)  # how often it came again
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(name="event_once", fields=["source", "event_id"]),)
        indexes = (
            models.Index(name="event_by_type", fields=["type", "-id"]),
            models.Index(name="event_by_id", fields=["event_id"]),
            models.Index(name="event_waiting", fields=["id"], condition=Q(state=EventState.WAITING.value)),
            models.Index(name="event_to_publish", fields=["id"], condition=Q(is_to_publish=True)),
            models.Index(name="event_orphan", fields=["-id"], condition=Q(state=EventState.ORPHAN.value)),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class EventRoute(models.Model):
    """What became of one event for one saga."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.ForeignKey(SagaEvent, on_delete=models.CASCADE, related_name="routes", db_index=False)
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.ForeignKey(SagaRun, null=True, on_delete=models.CASCADE, related_name="event_routes")
    state = models.CharField(max_length=12, choices=_choices(RouteState))
    correlation = models.CharField(max_length=KEY_LENGTH_MAX, blank=True, default="")
    until = models.DateTimeField(null=True)  # while it is buffered
    why = models.CharField(max_length=300, blank=True, default="")
    by = models.CharField(max_length=150, blank=True, default="")  # the person who decided
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(name="route_once_per_saga", fields=["event", "saga"]),
            models.CheckConstraint(
                name="route_has_a_run_iff_delivered",
                condition=Q(state__in=[RouteState.DELIVERED.value, RouteState.LATE.value], run__isnull=False)
                | (~Q(state__in=[RouteState.DELIVERED.value, RouteState.LATE.value]) & Q(run__isnull=True)),
            ),
        )
        indexes = (
            models.Index(name="route_open", fields=["saga", "correlation", "id"], condition=Q(state__in=OPEN_ROUTES)),
            models.Index(name="route_by_state", fields=["state", "-id"]),
            models.Index(name="route_buffered", fields=["until"], condition=Q(until__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.event_id} {self.state}"


class EventUse(models.Model):
    """That a version names a type of event, in which role. Written when it is published."""

    version = models.ForeignKey(SagaVersion, on_delete=models.CASCADE, related_name="event_uses")
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="event_uses", db_index=False)
    type = models.CharField(max_length=EVENT_TYPE_LENGTH_MAX)
    role = models.CharField(max_length=12, choices=_choices(EventRole))
    service = models.CharField(max_length=NAME_LENGTH_MAX, blank=True, default="")
    reaction = models.CharField(max_length=NAME_LENGTH_MAX, blank=True, default="")
    undoes = models.CharField(max_length=NAME_LENGTH_MAX, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(name="event_use_once", fields=["version", "type", "role", "service", "reaction"]),
        )
        indexes = (models.Index(name="event_use_by_type", fields=["type", "saga"]),)

    def __str__(self) -> str:
        return f"{self.version_id} {self.role} {self.type}"
