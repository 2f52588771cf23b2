"""A service that something still needs: reactions need it as steps do, and of another kind it is another service."""

from __future__ import annotations

import pytest

from sagas.models import Service, ServiceKind
from sagas.services import changes, errors
from sagas.services.wanted import Wanted
from tests import registered as r
from tests.faces.conftest import sign_in

pytestmark = pytest.mark.django_db

BROKER = Wanted(kind=ServiceKind.COMMAND, base_url="amqp://mq.example.com/")
FORM = {"kind": "command", "base_url": "amqp://mq.example.com/", "max_concurrency": "5", "revision": "1"}


def reacting(saga, service):
    """A choreography whose one reaction calls a service."""
    call = {"http": {"service": service, "method": "POST", "path": "/charges"}}
    return {"saga": saga, "style": "choreography", "reactions": [{"name": "pay", "on": ["a"], "action": call}]}


def test_a_service_that_a_reaction_calls_stays_and_its_page_says_who_calls_it():
    r.register()
    r.make_saga("order", reacting("order", "payments"))
    with pytest.raises(errors.ServiceInUseError) as refusal:
        changes.delete("payments", by="erin")
    assert refusal.value.sagas == ("order",)
    assert "/sagas/order/" in sign_in("erin").get("/services/payments/").content.decode()


def test_a_service_does_not_become_another_kind_under_a_run_that_calls_it():
    r.register()
    run = r.make_run(r.make_saga("order", r.document_naming("order", "payments", half="compensation")))
    with pytest.raises(errors.ServiceInUseError) as refusal:
        changes.put_service("payments", BROKER, by="erin")
    assert refusal.value.runs == (str(run.id),)
    page = sign_in("erin").post("/services/payments/actions/edit/", FORM)
    assert page.status_code == 409
    assert "stays as it is" in page.content.decode()
    assert Service.objects.get().kind == "http"


def test_a_service_that_was_registered_as_the_wrong_kind_becomes_the_right_one():
    changes.put_service("payments", BROKER, by="erin")
    r.make_run(r.make_saga("order", r.document_naming("order", "payments")))  # it waits: it calls over HTTP
    assert r.register().service.kind == "http"


def test_a_service_becomes_another_kind_when_nothing_runs():
    r.register()
    r.make_run(r.make_saga("order", r.document_naming("order", "payments")), "completed")
    assert changes.put_service("payments", BROKER, by="erin").service.kind == "command"
