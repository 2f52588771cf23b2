"""Webhooks: subscriptions to changes of runs and to events, and each delivery."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from sagas import subscriptions
from sagas.api.pages import Keyset, paged
from sagas.api.problems import Fault, ProblemError, invalid, not_found
from sagas.api.sagas import PAGING
from sagas.api.schema import describe, in_header, in_query
from sagas.api.services import Seconds
from sagas.api.shapes import Moment, word
from sagas.api.views import ApiView, Flag, StrictSerializer, Text, read_body, read_if_match
from sagas.core import limits
from sagas.core.delivery import DeliveryState
from sagas.core.vocabulary import Role
from sagas.engine import deliveries
from sagas.models import ChangeKind, WebhookDelivery, WebhookSubscription
from sagas.services.wanted import FORMER_VALID_S

if TYPE_CHECKING:
    from rest_framework.request import Request

REPLAYED_MAX = 1_000  # dead ones at once; the same again takes the next
IF_MATCH = in_header("If-Match", "the subscription's revision as you read it; another one now is a 412")
STATE = in_query("state", f"one of {', '.join(DeliveryState)}")
STALE = (HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)


class WebhookBody(StrictSerializer):
    """A whole subscription; what is left out is as a new one has it."""

    url = Text(max_length=limits.SERVICE_ADDRESS_LENGTH_MAX, help_text="http(s)://…")
    kinds = serializers.ListField(
        child=Text(max_length=64), required=False, default=list, max_length=len(ChangeKind),
        help_text=f"of {', '.join(ChangeKind)}; none: all, or where there are `events` none of them",
    )  # fmt: skip
    saga = Text(
        max_length=limits.NAME_LENGTH_MAX, required=False, default="", allow_blank=True,
        help_text="only changes of its runs",
    )  # fmt: skip
    events = serializers.ListField(
        child=Text(max_length=limits.EVENT_TYPE_LENGTH_MAX), required=False, default=list,
        max_length=limits.EVENT_TYPES_MAX, help_text="types of events, such as order.placed",
    )  # fmt: skip
    except_source = Text(
        max_length=limits.EVENT_NAME_LENGTH_MAX, required=False, default="", allow_blank=True,
        help_text="the subscriber's own source: its events are not sent back to it",
    )  # fmt: skip
    gets_redacted = Flag(required=False, default=False, help_text="events with the values that are redacted in them")
    allow_private = Flag(required=False, default=False, help_text="this machine and private networks too")
    enabled = Flag(required=False, default=True)


class WebhookRotation(StrictSerializer):
    """For how long the present secret signs beside the new one."""

    former_valid = Seconds(
        required=False, default=FORMER_VALID_S, min_value=0, max_value=limits.FORMER_SECRET_S_MAX,
        help_text="seconds; 0 ends the present one now",
    )  # fmt: skip


class Nothing(StrictSerializer):
    """A body that says nothing, if there is one."""


class WebhookShape(serializers.Serializer[Any]):
    """One subscription and how its deliveries stand."""

    name = serializers.CharField()
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    saga = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    except_source = serializers.CharField()
    gets_redacted = serializers.BooleanField()
    allow_private = serializers.BooleanField()
    enabled = serializers.BooleanField(source="is_enabled")
    disabled_why = serializers.CharField()
    former_secret_until = Moment(allow_null=True)
    revision = serializers.IntegerField()
    changed_by = serializers.CharField()
    created_at = Moment()
    updated_at = Moment()
    pending = serializers.IntegerField(help_text="deliveries that wait for their first or next try")
    dead = serializers.IntegerField(help_text="deliveries that were given up; `replay-dead/` begins them anew")
    deliveries_url = serializers.URLField()


class WebhookShown(WebhookShape):
    """One subscription, and once, in the answer to what made it, its new secret."""

    secret = serializers.CharField(required=False, help_text="only when it was made for this answer")


class WebhookPage(serializers.Serializer[Any]):
    """One page of subscriptions, by name."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = WebhookShape(many=True)


class WebhookGone(serializers.Serializer[Any]):
    """What was deleted."""

    name = serializers.CharField()


class DeliveryShape(serializers.Serializer[Any]):
    """One delivery. `id` is the `webhook-id` of every try."""

    id = serializers.UUIDField()
    run = serializers.UUIDField(source="run_id", allow_null=True, help_text="whose change it is")
    event = serializers.UUIDField(source="event_id", allow_null=True, help_text="which event it is, by our id")
    kind = serializers.CharField(help_text=f"one of {', '.join(ChangeKind)}; of an event its type")
    correlation = serializers.CharField(help_text="the correlation value of an event, where it has one")
    sequence = serializers.IntegerField(
        allow_null=True,
        help_text="of the journal entry; of an event its place behind those of its correlation value that waited",
    )
    state = word(DeliveryState)
    tries = serializers.IntegerField()
    next_at = Moment(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField()
    created_at = Moment()
    ended_at = Moment(allow_null=True)


class DeliveryPage(serializers.Serializer[Any]):
    """One page of deliveries, newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DeliveryShape(many=True)


class Replayed(serializers.Serializer[Any]):
    """How many deliveries begin anew."""

    replayed = serializers.IntegerField()


class WebhookList(ApiView):
    """All subscriptions."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.OPERATOR}

    @describe(
        name="webhooks_list", summary="List the webhook subscriptions", answers={200: WebhookPage}, parameters=PAGING
    )
    def get(self, request: Request) -> Response:
        """By name; no answer holds a secret."""
        keyset = Keyset("name", is_descending=False, parse=_name)
        rows = WebhookSubscription.objects.all()
        return Response(paged(request, rows, keyset, lambda found: [_show(request, one) for one in found]))


class WebhookOne(ApiView):
    """One subscription, by name."""

    http_method_names: ClassVar[list[str]] = [*ApiView.http_method_names, "delete"]
    roles: ClassVar[dict[str, Role]] = {"GET": Role.OPERATOR, "PUT": Role.ADMIN, "DELETE": Role.ADMIN}

    @describe(
        name="webhooks_read",
        summary="Read one webhook subscription",
        answers={200: WebhookShape},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, name: str) -> Response:
        """`ETag` is the revision, which `If-Match` takes."""
        return _answer(request, _get(name), HTTPStatus.OK)

    @describe(
        name="webhooks_put",
        summary="Subscribe to changes of runs and to events, or make a subscription what is wanted",
        body={"application/json": WebhookBody},
        answers={200: WebhookShown, 201: WebhookShown},
        parameters=(IF_MATCH,),
        refusals=(HTTPStatus.PRECONDITION_FAILED,),
    )
    def put(self, request: Request, name: str) -> Response:
        """201 for a new one. Its secret is in this answer and in no other one."""
        body = read_body(request, WebhookBody)
        wanted = subscriptions.Wanted(
            url=body["url"],
            kinds=tuple(body["kinds"]),
            saga=body["saga"],
            events=tuple(body["events"]),
            except_source=body["except_source"],
            gets_redacted=body["gets_redacted"],
            allow_private=body["allow_private"],
            is_enabled=body["enabled"],
        )
        try:
            done = subscriptions.put(name, wanted, by=self.caller().by, revision=read_if_match(request.headers))
        except (subscriptions.SubscriptionInvalidError, subscriptions.SubscriptionStaleError) as error:
            raise _problem(error) from None
        status = HTTPStatus.CREATED if done.is_new else HTTPStatus.OK
        return _answer(request, done.subscription, status, done.secret)

    @describe(
        name="webhooks_delete",
        summary="Take a webhook subscription away, with its deliveries",
        answers={200: WebhookGone},
        parameters=(IF_MATCH,),
        refusals=STALE,
    )
    def delete(self, request: Request, name: str) -> Response:
        """What was not delivered is not told any more."""
        try:
            subscriptions.delete(name, by=self.caller().by, revision=read_if_match(request.headers))
        except (subscriptions.SubscriptionUnknownError, subscriptions.SubscriptionStaleError) as error:
            raise _problem(error) from None
        return Response(WebhookGone({"name": name}).data)


class WebhookRotate(ApiView):
    """Another secret."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.ADMIN}

    @describe(
        name="webhooks_rotate_secret",
        summary="Give a webhook subscription another secret",
        body={"application/json": WebhookRotation},
        answers={200: WebhookShown},
        parameters=(IF_MATCH,),
        refusals=STALE,
    )
    def post(self, request: Request, name: str) -> Response:
        """Both sign until `former_secret_until`. The new one is in this answer and in no other one."""
        body = read_body(request, WebhookRotation)
        try:
            done = subscriptions.rotate_secret(
                name,
                by=self.caller().by,
                former_valid_s=body["former_valid"],
                revision=read_if_match(request.headers),
            )
        except (subscriptions.SubscriptionUnknownError, subscriptions.SubscriptionStaleError) as error:
            raise _problem(error) from None
        return _answer(request, done.subscription, HTTPStatus.OK, done.secret)


class DeliveryList(ApiView):
    """What was, is and will be told to one subscription."""

    roles: ClassVar[dict[str, Role]] = {"GET": Role.OPERATOR}

    @describe(
        name="webhooks_deliveries",
        summary="List the deliveries of a webhook subscription",
        answers={200: DeliveryPage},
        parameters=(*PAGING, STATE),
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def get(self, request: Request, name: str) -> Response:
        """Newest first."""
        rows = WebhookDelivery.objects.filter(subscription=_get(name))
        if (state := request.query_params.get("state")) is not None:
            if state not in set(DeliveryState):
                detail = f"There is no state {state[:80]!r}; there are {', '.join(DeliveryState)}."
                raise ProblemError(
                    HTTPStatus.BAD_REQUEST, "bad-query", detail, faults=[Fault(detail, parameter="state")]
                )
            rows = rows.filter(state=state)
        keyset = Keyset("id", is_descending=True, parse=UUID)
        return Response(paged(request, rows, keyset, lambda found: DeliveryShape(found, many=True).data))


class DeliveryReplay(ApiView):
    """Tell one of them again."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="webhooks_replay",
        summary="Deliver again what is dead or was delivered",
        answers={200: Replayed},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def post(self, request: Request, name: str, delivery: UUID) -> Response:
        """Under the same id. One that waits for a try is left as it is: 0."""
        read_body(request, Nothing)
        row = WebhookDelivery.objects.filter(subscription=_get(name), id=delivery).first()
        if row is None:
            message = "This subscription has no such delivery."
            raise not_found(message)
        return Response(
            Replayed({"replayed": deliveries.replay(name, [row], timezone.now(), by=self.caller().by)}).data
        )


class DeadReplay(ApiView):
    """Tell again all that was given up."""

    roles: ClassVar[dict[str, Role]] = {"POST": Role.OPERATOR}

    @describe(
        name="webhooks_replay_dead",
        summary="Deliver again what is dead",
        answers={200: Replayed},
        refusals=(HTTPStatus.NOT_FOUND,),
    )
    def post(self, request: Request, name: str) -> Response:
        """The oldest thousand; the same again takes the next."""
        read_body(request, Nothing)
        dead = WebhookDelivery.objects.filter(subscription=_get(name), state=DeliveryState.DEAD.value)
        rows = list(dead.order_by("id")[:REPLAYED_MAX])
        return Response(Replayed({"replayed": deliveries.replay(name, rows, timezone.now(), by=self.caller().by)}).data)


def _get(name: str) -> WebhookSubscription:
    found = WebhookSubscription.objects.filter(name=name).first()
    if found is None:
        message = f"There is no webhook subscription {name[:80]!r}."
        raise not_found(message)
    return found


def _show(request: Request, subscription: WebhookSubscription) -> dict[str, Any]:
    rows = subscription.deliveries.order_by()
    subscription.pending = rows.filter(state=DeliveryState.PENDING.value).count()
    subscription.dead = rows.filter(state=DeliveryState.DEAD.value).count()
    address = reverse("sagas:api-webhook-deliveries", args=[subscription.name])
    subscription.deliveries_url = request.build_absolute_uri(address)
    return dict(WebhookShape(subscription).data)


def _answer(request: Request, subscription: WebhookSubscription, status: HTTPStatus, secret: str = "") -> Response:
    body = _show(request, subscription) | ({"secret": secret} if secret else {})
    return Response(body, status=status, headers={"ETag": f'"{subscription.revision}"'})


def _problem(error: Exception) -> ProblemError:
    match error:
        case subscriptions.SubscriptionStaleError():
            return ProblemError(HTTPStatus.PRECONDITION_FAILED, "stale", str(error), revision=error.revision)
        case subscriptions.SubscriptionInvalidError():
            return invalid(Fault(one.message, pointer=one.pointer, code=one.code) for one in error.problems)
    return not_found(str(error))


def _name(text: str) -> str:
    if not subscriptions.NAME.fullmatch(text):
        raise ValueError
    return text
