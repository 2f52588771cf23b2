"""What goes to a service through its broker: commands not handed over yet, and replies that nobody could take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.db.models import Count, Min

from sagas.models import DeadReply, OutgoingCommand

if TYPE_CHECKING:
    from datetime import datetime

    from sagas.models import Service

DEAD_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Traffic:
    """How commands get on. `last_error` is why the last try to hand one over failed, of those that wait."""

    waiting: int
    oldest_at: datetime | None
    last_error: str
    dead: tuple[DeadReply, ...]  # newest first
    counted_at: datetime


def broker_shown(base_url: str) -> str:
    """Return a broker's address as dead replies name it: without user and password.

    >>> broker_shown("amqp://shop@mq:5672/v")
    'amqp://mq:5672/v'
    """
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def find_traffic(service: Service, now: datetime) -> Traffic:
    """Return the traffic of one service behind a broker. Three queries; replies are of all that share the broker."""
    waiting = OutgoingCommand.objects.filter(service=service.name)
    counted = waiting.aggregate(count=Count("id"), oldest=Min("created_at"))
    failed = waiting.exclude(last_error="").order_by("-due_at").values_list("last_error", flat=True).first()
    dead = DeadReply.objects.filter(broker=broker_shown(service.base_url)).order_by("-id")[:DEAD_SHOWN_MAX]
    return Traffic(counted["count"], counted["oldest"], failed or "", tuple(dead), now)
