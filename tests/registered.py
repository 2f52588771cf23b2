"""Plain functions that make services and what is known of them, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from sagas.models import Saga, SagaRun, SagaVersion, Service, ServiceMinute, ServiceState, StepRun
from sagas.models.identity import uuid7
from sagas.services import changes
from sagas.services.wanted import Wanted

ADDRESS = "https://payments.example.com/v1"
BROKER = "amqp://guest:hunter2canary@broker.example.com:5672/vhost"


def register(name: str = "payments", by: str = "erin", **wanted: Any) -> changes.Done:
    """Register a service, or make it what is wanted."""
    return changes.put_service(name, Wanted(**{"base_url": ADDRESS, **wanted}), by=by)


def make_state(service: Service, now: datetime, **facts: Any) -> ServiceState:
    """Tell of a service what a pump would."""
    return ServiceState.objects.create(
        service=service, **{"seen_at": now, "last_success_at": now - timedelta(seconds=3), **facts}
    )


def make_minutes(service: Service, now: datetime, *calls: tuple[int, int]) -> None:
    """Count `(calls, failures)` for each minute, the last one the present one."""
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=len(calls) - 1)
    ServiceMinute.objects.bulk_create(
        ServiceMinute(
            service=service, minute=first + timedelta(minutes=place), calls=count, failures=failed,
            latency_ms_sum=120 * count, latency_ms_max=240,
        )
        for place, (count, failed) in enumerate(calls)
    )  # fmt: skip


def document_naming(saga: str, service: str, *, half: str = "action") -> dict[str, Any]:
    """Return a document in canonical form with a step that names a service."""
    call = {"http": {"service": service, "method": "POST", "path": "/charges"}}
    step: dict[str, Any] = {"name": "pay", "action": "test.pay", "compensation": {"action": "test.refund"}}
    if half == "action":
        step["action"] = call
    elif half == "compensation":
        step["compensation"] = {"action": call}
    else:
        step["probe"] = call
    return {"saga": saga, "steps": [step, {"name": "tell", "action": "test.tell", "compensation": "none"}]}


def make_saga(name: str, document: dict[str, Any]) -> SagaVersion:
    """Store a saga and its next version as if it had been published."""
    saga, _ = Saga.objects.get_or_create(name=name, defaults={"title": name.title()})
    number = saga.versions.count() + 1
    version = SagaVersion.objects.create(
        saga=saga, number=number, document=document, source="", content_hash=f"{number:064}", published_by="dora"
    )
    saga.latest = version
    saga.save()
    return version


def make_waiting(run: SagaRun, step: str = "pay", **facts: Any) -> StepRun:
    """Let a step of a run wait before its service, as the engine leaves it."""
    error = {"code": "service_held", "message": "payments is held by alice: stock-taking"}
    return StepRun.objects.create(run=run, step=step, **{"status": "retrying", "error": error, **facts})


def make_run(version: SagaVersion, status: str = "running", **facts: Any) -> SagaRun:
    """Store a run of a version."""
    now = timezone.now()
    ended = now if status in {"completed", "compensated", "partially_compensated", "terminated"} else None
    return SagaRun.objects.create(
        id=uuid7(), saga=version.saga, version=version, status=status, input={}, input_hash="", created_by="alice",
        created_at=now, updated_at=now, finished_at=ended, **facts,
    )  # fmt: skip
