"""What goes to a service through its broker."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from sagas.api.problems import not_found
from sagas.api.schema import describe
from sagas.api.shapes import Moment
from sagas.api.views import ApiView
from sagas.core.vocabulary import Role
from sagas.models import Service, ServiceKind
from sagas.queries.commands import find_traffic

if TYPE_CHECKING:
    from rest_framework.request import Request


class DeadReplyShape(serializers.Serializer[Any]):
    """A message in the queue of replies that nobody could take."""

    why = serializers.CharField()
    correlation = serializers.CharField(help_text="how it begins; empty when there was none")
    size_bytes = serializers.IntegerField()
    at = Moment()


class TrafficShape(serializers.Serializer[Any]):
    """Commands that wait, and replies that were put aside."""

    waiting = serializers.IntegerField(help_text="commands that wait to be handed to the broker")
    oldest_at = Moment(allow_null=True)
    last_error = serializers.CharField(help_text="why the last try to hand one of them over failed")
    dead_replies = DeadReplyShape(many=True, source="dead", help_text="of all services behind the broker, newest first")
    as_of = Moment(source="counted_at")


class ServiceTraffic(ApiView):
    """The traffic of one service behind a broker."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.VIEWER}

    @describe(
        name="services_traffic",
        summary="Read what goes to a service through its broker",
        answers={200: TrafficShape},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002 - Django passes it
        """Only of services that are called by commands."""
        service = Service.objects.filter(name=name, kind=ServiceKind.COMMAND.value).first()
        if service is None:
            message = f"No service called {name[:80]!r} is called by commands."
            raise not_found(message)
        return Response(TrafficShape(find_traffic(service, timezone.now())).data)
