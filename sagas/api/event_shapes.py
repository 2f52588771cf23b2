"""What goes in and out about events."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from sagas.api.shapes import Anything, Moment, word
from sagas.api.views import StrictSerializer, Text
from sagas.core.limits import EVENT_NAME_LENGTH_MAX, EVENT_TYPE_LENGTH_MAX
from sagas.models import EventOrigin, EventState, RouteState


class CloudEventBody(serializers.Serializer[Any]):
    """An event in structured mode (CloudEvents 1.0). Other attributes are taken and not kept."""

    specversion = serializers.ChoiceField(["1.0"])
    id = serializers.CharField(max_length=EVENT_NAME_LENGTH_MAX)
    source = serializers.CharField(max_length=EVENT_NAME_LENGTH_MAX)
    type = serializers.CharField(max_length=EVENT_TYPE_LENGTH_MAX, help_text="such as order.placed")
    subject = serializers.CharField(max_length=EVENT_NAME_LENGTH_MAX, required=False)
    time = serializers.DateTimeField(required=False)
    datacontenttype = serializers.CharField(required=False)
    data = Anything(required=False)
    data_base64 = serializers.CharField(required=False)
    causationid = serializers.CharField(required=False, help_text="id of the event that this one follows from")


class EventsTaken(serializers.Serializer[Any]):
    """What became of what was sent."""

    accepted = serializers.IntegerField(help_text="events that are new; each is stored")
    duplicates = serializers.IntegerField(help_text="those that were here before, by source and id; ignored")


class RouteShape(serializers.Serializer[Any]):
    """What became of an event for one saga."""

    saga = serializers.CharField(source="saga.name")
    state = word(RouteState)
    run = serializers.UUIDField(source="run_id", allow_null=True)
    correlation = serializers.CharField()
    until = Moment(allow_null=True, help_text="while it is buffered")
    why = serializers.CharField()
    by = serializers.CharField(help_text="the person who decided")
    at = Moment()


class EventShape(serializers.Serializer[Any]):
    """One event, and where it went."""

    id = serializers.UUIDField(help_text="ours")
    event_id = serializers.CharField(help_text="its own")
    source = serializers.CharField()
    type = serializers.CharField()
    subject = serializers.CharField()
    time = Moment(allow_null=True)
    data = Anything()
    cause = serializers.CharField(help_text="id of the event that it follows from")
    depth = serializers.IntegerField()
    origin = word(EventOrigin)
    state = word(EventState)
    emitter = serializers.CharField(help_text="the reaction of ours that emitted it")
    sent_by = serializers.CharField()
    dropped_why = serializers.CharField()
    duplicates = serializers.IntegerField()
    received_at = Moment()
    routes = RouteShape(many=True)


class EventPage(serializers.Serializer[Any]):
    """One page of events, newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = EventShape(many=True)


class AssignBody(StrictSerializer):
    """To which run an event belongs."""

    run = serializers.UUIDField()
    reason = Text(max_length=300)


class DropBody(StrictSerializer):
    """Why an event is dropped."""

    reason = Text(max_length=300)


class DraftShape(serializers.Serializer[Any]):
    """A draft, to edit and to publish."""

    document = Anything(help_text="the definition")
    source = serializers.CharField(help_text="the same as YAML")
    events = serializers.IntegerField(help_text="how many it was made of")
