"""Webhook subscriptions and their deliveries, for pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Q

from sagas.core.delivery import DeliveryState
from sagas.core.limits import SUBSCRIPTIONS_MAX
from sagas.models import WebhookChange, WebhookDelivery, WebhookSubscription

if TYPE_CHECKING:
    from uuid import UUID

DELIVERIES_SHOWN_MAX = 50
CHANGES_SHOWN_MAX = 20
_PENDING, _DEAD = Q(state=DeliveryState.PENDING.value), Q(state=DeliveryState.DEAD.value)


@dataclass(frozen=True, slots=True)
class SubscriptionLine:
    """One subscription and how its deliveries stand."""

    subscription: WebhookSubscription
    pending: int
    dead: int


def list_subscriptions() -> list[SubscriptionLine]:
    """Return all subscriptions by name. Two queries."""
    return _lines(list(WebhookSubscription.objects.order_by("name")[:SUBSCRIPTIONS_MAX]))


def find_subscription(name: str) -> SubscriptionLine | None:
    """Return one, or None. Two queries."""
    found = _lines(list(WebhookSubscription.objects.filter(name=name)))
    return found[0] if found else None


def list_deliveries(
    subscription: WebhookSubscription, state: str = "", before: UUID | None = None
) -> list[WebhookDelivery]:
    """Return deliveries, newest first, one more than a page shows; those older than `before`. One query."""
    rows = WebhookDelivery.objects.filter(subscription=subscription).select_related("run", "event")
    rows = rows.filter(state=state) if state else rows
    rows = rows.filter(id__lt=before) if before else rows
    return list(rows.order_by("-id").only(*_SHOWN)[: DELIVERIES_SHOWN_MAX + 1])


def list_changes(name: str) -> list[WebhookChange]:
    """Return what was done last to a subscription, newest first; also to one of that name before. One query."""
    return list(WebhookChange.objects.filter(subscription_name=name).order_by("-id")[:CHANGES_SHOWN_MAX])


_SHOWN = (
    "id", "sequence", "kind", "state", "tries", "next_at", "last_status", "last_error", "created_at", "run__key",
    "correlation", "event__event_id",
)  # fmt: skip


def _lines(subscriptions: list[WebhookSubscription]) -> list[SubscriptionLine]:
    open_ones = WebhookDelivery.objects.filter(_PENDING | _DEAD, subscription__in=[one.pk for one in subscriptions])
    rows = open_ones.order_by().values("subscription_id").annotate(
        pending=Count("id", filter=_PENDING), dead=Count("id", filter=_DEAD)
    )  # fmt: skip
    counted = {row["subscription_id"]: (row["pending"], row["dead"]) for row in rows} if subscriptions else {}
    return [SubscriptionLine(one, *counted.get(one.pk, (0, 0))) for one in subscriptions]
