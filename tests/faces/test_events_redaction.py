"""No page and no answer of the API shows what a choreography redacts."""

from __future__ import annotations

import json

import pytest

from sagas import Rejected
from sagas.catalog.publish import publish
from sagas.core.sealed import MASK
from sagas.core.vocabulary import Role
from sagas.live import frames
from sagas.models import SagaEvent, SagaRun
from tests.choreography.conftest import send, settle
from tests.choreography.redacted import CARD, SECRETS, SOURCE, give_token, placed
from tests.engine import actions
from tests.faces.conftest import Api, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def refuse_telling(call):
    """Refuse, and tell all that was given."""
    raise Rejected(f"No: {call.arguments}", details={"card": [CARD]})


@pytest.fixture
def run():
    """Let a run be undone, one rest parked, one have no run at all."""
    actions.reset()
    actions.BEHAVIOUR |= {"take_payment": give_token, "ship": refuse_telling}
    publish(SOURCE, by="dora")
    send(placed(), placed("9", "payment.taken"), placed("", "payment.refunded"))
    settle()
    return SagaRun.objects.get(key="7")


def assert_hidden(text: str) -> None:
    for secret in SECRETS:
        found = text.find(secret)
        assert found < 0, text[max(0, found - 200) : found + 60]


def test_pages_show_dots(run):
    assert run.status == "compensated"
    erin = sign_in("erin")
    pages = [
        "/", "/runs/", "/attention/", "/events/", "/events/?view=map", "/events/list/", f"/runs/{run.id}/",
        "/sagas/actions/new/?from=events",
        *(f"/events/{row.id}/" for row in SagaEvent.objects.all()),
        *(f"/runs/{run.id}/steps/{step}/" for step in ("take_payment", "ship", "refund_payment")),
        *(f"/runs/{run.id}/actions/{verb}/" for verb in ("retry", "settle", "terminate")),
        *(f"/admin/sagas/{table}/" for table in ("sagarun", "steprun", "order")),
        f"/admin/sagas/sagarun/{run.id}/change/",
        *(f"/admin/sagas/steprun/{row.pk}/change/" for row in run.steps.all()),
        *(f"/admin/sagas/order/{row.pk}/change/" for row in run.orders.all()),
    ]  # fmt: skip
    shown = ""
    for page in pages:
        answer = erin.get(page)
        assert answer.status_code in {200, 409}, page
        assert_hidden(answer.content.decode())
        shown += answer.content.decode()
    assert shown.count(MASK) > 10
    assert "Dora" in shown
    assert_hidden(frames.render_run(run.id).html + frames.render_overview().html)


def test_the_api_answers_with_dots(run):
    api = Api(Role.ADMIN)
    events = api.get("events/").json()["results"]
    assert len(events) == 6
    assert {one["data"]["card"]["number"] for one in events} == {MASK}
    paths = [
        "events/", "events/draft/", "runs/", f"runs/{run.id}/", f"runs/{run.id}/journal/",
        *(f"events/{row.id}/" for row in SagaEvent.objects.all()),
    ]  # fmt: skip
    for path in paths:
        answer = api.get(path)
        assert answer.status_code == 200, path
        assert_hidden(answer.content.decode())
        assert_hidden(json.dumps(answer.json(), ensure_ascii=False))


def test_decisions_answer_with_dots(run):
    api = Api(Role.ADMIN)
    parked = SagaEvent.objects.get(event_id="9-payment.taken")
    lost = SagaEvent.objects.get(event_id="-payment.refunded")
    for answer in (
        api.post(f"events/{parked.id}/replay/", {}),
        api.post(f"events/{parked.id}/assign/", {"run": str(run.id), "reason": "it is of 7"}),
        api.post(f"events/{lost.id}/drop/", {"reason": "of nobody"}),
    ):
        assert answer.status_code == 200
        assert answer.json()["data"]["card"]["number"] == MASK


def test_a_list_of_events_asks_the_database_no_more_for_more_events(run, django_assert_max_num_queries):
    api = Api(Role.ADMIN)
    with django_assert_max_num_queries(12):
        assert len(api.get("events/").json()["results"]) == 6


def test_a_refused_document_says_where_it_hides_nothing():
    source = SOURCE.replace("event.data.card.pin]", "event.subject]")
    answer = Api(Role.AUTHOR).put("sagas/charge/", source, "application/yaml")
    assert answer.status_code == 422
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/redact/1", "redact_place")]
