"""Tables, constraints, indexes. No behaviour."""

from __future__ import annotations

from sagas.models.access import ApiToken, IdempotencyKey, SignInLink
from sagas.models.definition import Draft, Saga, SagaVersion
from sagas.models.events import (
    OPEN_ROUTES,
    EventOrigin,
    EventRole,
    EventRoute,
    EventState,
    EventUse,
    RouteState,
    SagaEvent,
)
from sagas.models.inbox import Order
from sagas.models.journal import JournalEntry
from sagas.models.outbox import DeadReply, OutgoingCommand
from sagas.models.pump import PumpSlot
from sagas.models.run import SagaRun, StepRun
from sagas.models.services import (
    BreakerState,
    Service,
    ServiceChange,
    ServiceKind,
    ServiceMinute,
    ServiceState,
    ServiceVerb,
)
from sagas.models.webhooks import ChangeKind, WebhookChange, WebhookDelivery, WebhookSubscription, WebhookVerb

__all__ = [
    "OPEN_ROUTES",
    "ApiToken",
    "BreakerState",
    "ChangeKind",
    "DeadReply",
    "Draft",
    "EventOrigin",
    "EventRole",
    "EventRoute",
    "EventState",
    "EventUse",
    "IdempotencyKey",
    "JournalEntry",
    "Order",
    "OutgoingCommand",
    "PumpSlot",
    "RouteState",
    "Saga",
    "SagaEvent",
    "SagaRun",
    "SagaVersion",
    "Service",
    "ServiceChange",
    "ServiceKind",
    "ServiceMinute",
    "ServiceState",
    "ServiceVerb",
    "SignInLink",
    "StepRun",
    "WebhookChange",
    "WebhookDelivery",
    "WebhookSubscription",
    "WebhookVerb",
]
