"""What calls to services came to, counted in a pump and written about once a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F
from django.db.models.functions import Greatest

from sagas.models import ServiceMinute, ServiceState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

ERROR_LENGTH_MAX = 300


@dataclass(slots=True)
class Tally:
    """Calls to one service that ended since the last writing."""

    calls: int = 0
    refusals: int = 0
    failures: int = 0
    latency_ms_sum: int = 0
    latency_ms_max: int = 0
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_error: str = ""

    def note(self, now: datetime, *, took_s: float, is_refusal: bool, error: str) -> None:
        """Count a call that ended; `error` is empty where it did not fail."""
        took_ms = max(0, round(1000 * took_s))
        self.calls += 1
        self.latency_ms_sum += took_ms
        self.latency_ms_max = max(self.latency_ms_max, took_ms)
        if error:
            self.failures += 1
            self.last_failure_at, self.last_error = now, error[:ERROR_LENGTH_MAX]
        else:
            self.refusals += is_refusal
            self.last_success_at = now


def write_tallies(tallies: Mapping[UUID, Tally], now: datetime) -> None:
    """Add what was counted to the minute that runs, and say what was last seen. Blocks."""
    if not tallies:
        return
    minute = now.replace(second=0, microsecond=0)
    ServiceMinute.objects.bulk_create(
        [ServiceMinute(service_id=service, minute=minute) for service in tallies], ignore_conflicts=True
    )
    ServiceState.objects.bulk_create([ServiceState(service_id=service) for service in tallies], ignore_conflicts=True)
    for service, tally in tallies.items():
        ServiceMinute.objects.filter(service=service, minute=minute).update(
            calls=F("calls") + tally.calls,
            refusals=F("refusals") + tally.refusals,
            failures=F("failures") + tally.failures,
            latency_ms_sum=F("latency_ms_sum") + tally.latency_ms_sum,
            latency_ms_max=Greatest(F("latency_ms_max"), tally.latency_ms_max),
        )
        seen: dict[str, object] = {"seen_at": now}
        if tally.last_success_at is not None:
            seen["last_success_at"] = tally.last_success_at
        if tally.last_failure_at is not None:
            seen |= {"last_failure_at": tally.last_failure_at, "last_error": tally.last_error}
        ServiceState.objects.filter(service=service).update(**seen)
