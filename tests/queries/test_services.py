"""The services with how they are: bounded, and as few queries for a thousand as for ten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from sagas.models import Service, ServiceState, StepRun
from sagas.queries import services as queries
from tests import factories
from tests import registered as r

pytestmark = pytest.mark.django_db


def fill(count: int, now) -> None:
    """Register `count` services, each with a state, five minutes and a saga; and some steps that wait."""
    services = Service.objects.bulk_create(Service(name=f"s{n:04}", base_url=r.ADDRESS) for n in range(count))
    ServiceState.objects.bulk_create(ServiceState(service=one, last_success_at=now) for one in services)
    for one in services[:20]:
        r.make_minutes(one, now, (4, 1), (6, 0))
    for one in services[:10]:
        version = r.make_saga(f"of-{one.name}", r.document_naming(f"of-{one.name}", one.name))
        r.make_waiting(r.make_run(version, waiting_for="service"))


@pytest.mark.parametrize("count", [10, 1_000])
def test_all_services_take_five_queries(count, django_assert_num_queries):
    now = timezone.now()
    fill(count, now)
    with django_assert_num_queries(5):
        lines = queries.list_services(now)
        told = [(line.service.name, line.state.breaker, line.window.calls, line.waiting) for line in lines]
    assert len(told) == count
    assert told[0] == ("s0000", "closed", 10, 1)
    assert [use.saga for use in lines[0].uses] == ["of-s0000"]


@pytest.mark.parametrize("count", [10, 1_000])
def test_one_service_takes_seven_queries(count, django_assert_num_queries):
    now = timezone.now()
    fill(count, now)
    with django_assert_num_queries(7):
        page = queries.find_service("s0003", now)
        assert page.line.state.last_success_at is not None
    assert [minute.calls for minute in page.minutes] == [4, 6]
    assert (page.line.window.failures, page.line.window.error_rate, page.line.window.latency_ms_mean) == (1, 0.1, 120)


def test_nobody_is_found_in_an_empty_registry(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert queries.list_services(timezone.now()) == []
    assert queries.find_service("payments", timezone.now()) is None


def test_only_the_last_minutes_count_in_a_rate():
    now = timezone.now()
    service = r.register().service
    r.make_minutes(service, now, *[(100, 100)] * 3, *[(10, 0)] * 5)
    page = queries.find_service("payments", now)
    assert (page.line.window.calls, page.line.window.failures) == (50, 0)
    assert page.line.window.as_of == now.replace(second=0, microsecond=0)
    assert len(page.minutes) == 8
    later = queries.find_service("payments", now + timedelta(minutes=30))
    assert (later.line.window.calls, later.line.window.error_rate, later.line.window.as_of) == (0, None, None)


def test_a_step_that_waits_counts_for_the_half_that_waits():
    r.register("payments")
    r.register("refunds")
    document = r.document_naming("order", "payments")
    document["steps"][0]["compensation"] = {"action": {"command": {"service": "refunds", "name": "refund"}}}
    run = r.make_run(r.make_saga("order", document), waiting_for="service")
    r.make_waiting(run)
    other = r.make_run(run.version, waiting_for="service")
    r.make_waiting(other, status="succeeded", compensation_status="retrying")
    StepRun.objects.create(run=other, step="tell", status="waiting", waits_for="timer")
    waiting = {line.service.name: line.waiting for line in queries.list_services(timezone.now())}
    assert waiting == {"payments": 1, "refunds": 1}


def test_an_archived_saga_uses_nothing():
    r.register()
    version = r.make_saga("order", r.document_naming("order", "payments"))
    assert [use.saga for use in queries.sagas_naming("payments")] == ["order"]
    version.saga.archived_at = timezone.now()
    version.saga.save()
    assert queries.sagas_naming("payments") == ()
    assert queries.list_services(timezone.now())[0].uses == ()


def test_a_saga_of_python_actions_uses_no_service():
    r.register()
    factories.completed(timezone.now())
    assert queries.list_services(timezone.now())[0].uses == ()
