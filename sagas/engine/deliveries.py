"""Telling subscriptions what becomes of runs, and of events: written down with what is told, delivered by couriers.

A delivery exists if and only if its change or its event was committed, for every
subscription that is a second old at least. Changes of one run go to one subscription
in the order of its journal, events of one correlation value in the order in which they
were stored: the next one is not due before the one before it has an end.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q

from sagas.core import messages as m
from sagas.core.delivery import DeliveryState
from sagas.core.vocabulary import RunStatus
from sagas.models import (
    ChangeKind,
    EventRoute,
    SagaRun,
    WebhookChange,
    WebhookDelivery,
    WebhookSubscription,
    WebhookVerb,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sagas.core.delivery import AfterTry
    from sagas.core.vocabulary import Json
    from sagas.engine.journal import Append
    from sagas.models import SagaEvent

KNOWN_FOR_S = 1.0  # which subscriptions there are is read so often, not with every change
TAKEN = timedelta(seconds=60)  # longer than a try may take
TAKEN_MAX = 10  # of one subscription at a time
ERROR_LENGTH_MAX = 300
GONE = "It answered 410 Gone."

_OF_EVENT: dict[type, ChangeKind] = {
    m.TurnedRound: ChangeKind.COMPENSATING,
    m.RunCompleted: ChangeKind.COMPLETED,
    m.RunCompensated: ChangeKind.COMPENSATED,
    m.RunPartiallyCompensated: ChangeKind.PARTIALLY_COMPENSATED,
    m.RunTerminated: ChangeKind.TERMINATED,
}

_reading = threading.Lock()
_known: tuple[WebhookSubscription, ...] = ()
_known_until = 0.0


def forget() -> None:
    """Read the subscriptions anew at the next change; what other processes know is up to a second old."""
    global _known_until  # noqa: PLW0603 - one memory per process
    _known_until = 0.0


def _subscriptions() -> tuple[WebhookSubscription, ...]:
    global _known, _known_until  # noqa: PLW0603 - one memory per process
    if time.monotonic() >= _known_until:
        with _reading:
            _known = tuple(WebhookSubscription.objects.filter(is_enabled=True).defer("secret", "former_secret"))
            _known_until = time.monotonic() + KNOWN_FOR_S
    return _known


def _standing() -> list[WebhookSubscription]:
    """Return the subscriptions that are known and still there; those stay until the caller's transaction ends.

    One that was taken away within the last second is still known. What is written for it
    would break the transaction, and with it the change of a run.
    """
    known = _subscriptions()
    if not known:
        return []
    ids = [one.pk for one in known]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # the lock that a foreign key takes: it holds up deletions, and no writer
            cursor.execute(_STANDING, [ids])
            found = {row[0] for row in cursor.fetchall()}
    else:
        found = set(WebhookSubscription.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return [one for one in known if one.pk in found]


_STANDING = "SELECT id FROM sagas_webhooksubscription WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"


# ---- writing down ----------------------------------------------------------


def note(batch: Sequence[Append]) -> None:
    """Write down what is to be told of these changes, in their transaction."""
    changes = [(one, sequence, kind) for one in batch for sequence, kind in _changes(one)]
    if not changes or not (subscriptions := _standing()):
        return
    sagas: dict[object, str] = {}
    if any(subscription.saga for subscription in subscriptions):
        ids = {one.run_id for one, _, _ in changes}
        sagas = dict(SagaRun.objects.filter(id__in=ids).values_list("id", "saga__name"))
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            subscription=subscription,
            run_id=one.run_id,
            sequence=sequence,
            kind=kind.value,
            next_at=one.at,
            created_at=one.at,
        )
        for one, sequence, kind in changes
        for subscription in subscriptions
        if _wants(subscription, kind, sagas.get(one.run_id, ""))
    )


def note_start(run: SagaRun, saga: str, now: datetime) -> None:
    """Write down that a run began, in the transaction that makes it."""
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            subscription=one, run=run, sequence=1, kind=ChangeKind.STARTED.value, next_at=now, created_at=now
        )
        for one in _standing()
        if _wants(one, ChangeKind.STARTED, saga)
    )


def _changes(one: Append) -> Iterator[tuple[int, ChangeKind]]:
    asked = one.before.status is RunStatus.NEEDS_ATTENTION
    for sequence, (event, _) in enumerate(one.events, start=one.before.sequence + 1):
        kind = _OF_EVENT.get(type(event))
        if kind is not None:
            yield sequence, kind
        elif isinstance(event, m.AttentionNeeded) and not asked:
            asked = True
            yield sequence, ChangeKind.NEEDS_ATTENTION


def _wants(subscription: WebhookSubscription, kind: ChangeKind, saga: str) -> bool:
    is_asked = kind.value in subscription.kinds if subscription.kinds else not subscription.events
    return is_asked and subscription.saga in {"", saga}


def note_events(rows: Sequence[SagaEvent]) -> None:
    """Write down what is to be told of events, in the transaction that stored them and brought them to their runs."""
    wanted = {kind for one in _subscriptions() for kind in one.events}
    told = [row for row in rows if row.type in wanted]
    if not told or not (subscriptions := _standing()):
        return
    values = _correlations(told)
    places = _places([one.pk for one in subscriptions], set(values.values()))
    deliveries = []
    for row in told:
        value = values.get(row.id, "")
        for one in subscriptions:
            if row.type not in one.events or row.source == one.except_source:
                continue
            if value:
                places[one.pk, value] += 1
            deliveries.append(
                WebhookDelivery(
                    subscription=one,
                    event=row,
                    kind=row.type,
                    correlation=value,
                    sequence=places[one.pk, value] if value else None,
                    next_at=row.received_at,
                    created_at=row.received_at,
                )
            )
    WebhookDelivery.objects.bulk_create(deliveries)


def _correlations(rows: Sequence[SagaEvent]) -> dict[UUID, str]:
    """Return the correlation value of each event that has one: where sagas read several, that of the oldest of them."""
    routes = EventRoute.objects.filter(event__in=[row.id for row in rows]).exclude(correlation="")
    return dict(routes.order_by("-saga_id").values_list("event_id", "correlation"))


def _places(subscriptions: Sequence[int], values: set[str]) -> dict[tuple[int, str], int]:
    """Return the last place of those that wait, of each correlation value for each subscription.

    Who stores an event of a run holds its correlation value or its row, so two of one run never get the same place.
    Two of different runs with one value may: then neither waits for the other.
    """
    waiting = WebhookDelivery.objects.filter(
        subscription__in=subscriptions, correlation__in=values, next_at__isnull=False, event__isnull=False
    )
    rows = waiting.order_by().values_list("subscription_id", "correlation").annotate(Max("sequence"))
    return defaultdict(int, {(subscription, value): place for subscription, value, place in rows})


# ---- delivering ------------------------------------------------------------


def due_subscriptions(now: datetime) -> list[int]:
    """Return the ids of subscriptions for which something is due."""
    due = WebhookDelivery.objects.filter(next_at__lte=now, subscription__is_enabled=True)
    return list(due.order_by().values_list("subscription_id", flat=True).distinct())


def take(subscription_id: int, now: datetime) -> list[WebhookDelivery]:
    """Take what is due for a subscription, the first of each run; nobody else takes it for a while. Counts the try."""
    pending = WebhookDelivery.objects.filter(subscription=subscription_id, next_at__isnull=False)
    before = pending.filter(sequence__lt=OuterRef("sequence"))
    is_first = ~Exists(before.filter(run=OuterRef("run"))) & ~Exists(
        before.filter(~Q(correlation=""), correlation=OuterRef("correlation"))
    )
    with transaction.atomic():
        due = pending.filter(is_first, next_at__lte=now, subscription__is_enabled=True)
        rows = list(due.select_for_update(skip_locked=True, of=("self",)).order_by("next_at", "id")[:TAKEN_MAX])
        WebhookDelivery.objects.filter(id__in=[row.id for row in rows]).update(
            next_at=now + TAKEN, tries=F("tries") + 1
        )
    for row in rows:
        row.tries += 1
    return rows


def finish(row: WebhookDelivery, after: AfterTry, now: datetime, *, status: int | None, error: str) -> None:
    """Write down what a try came to. One that another courier has ended meanwhile stays as that one left it."""
    is_over = after.state is not DeliveryState.PENDING
    with transaction.atomic():
        if after.disables_subscription:  # the subscription before its delivery, as those do who take it away
            ended = WebhookSubscription.objects.filter(id=row.subscription_id, is_enabled=True)
            if ended.update(is_enabled=False, disabled_why=GONE, revision=F("revision") + 1):
                name = WebhookSubscription.objects.values_list("name", flat=True).get(id=row.subscription_id)
                write_down(name, WebhookVerb.ENDED, by="", fields={"disabled_why": ["", GONE]}, at=now)
        WebhookDelivery.objects.filter(id=row.id, state=DeliveryState.PENDING.value).update(
            state=after.state.value,
            next_at=None if is_over else now + timedelta(seconds=after.wait_s or 0.0),
            last_status=status,
            last_error=error[:ERROR_LENGTH_MAX],
            ended_at=now if is_over else None,
        )


def replay(name: str, rows: Sequence[WebhookDelivery], now: datetime, *, by: str) -> int:
    """Deliver again what is dead or was delivered of a subscription, with all tries before it; return how many."""
    with transaction.atomic():
        count = WebhookDelivery.objects.filter(
            id__in=[row.id for row in rows], state__in=[DeliveryState.DEAD.value, DeliveryState.DELIVERED.value]
        ).update(state=DeliveryState.PENDING.value, next_at=now, tries=0, ended_at=None)
        if count:
            write_down(name, WebhookVerb.REPLAYED, by=by, fields={"deliveries": count}, at=now)
    return count


def write_down(name: str, verb: WebhookVerb, *, by: str, fields: Mapping[str, Json], at: datetime) -> None:
    """Keep what was done to a subscription, in the transaction that does it. `by` is empty when its receiver did."""
    WebhookChange.objects.create(subscription_name=name, verb=verb.value, by=by, fields=dict(fields), at=at)
