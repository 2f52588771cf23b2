"""Each item of a list asks and is answered by itself, from the pages and over REST."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.models import SagaRun
from sagas.presentation.why import why
from sagas.queries.run_detail import find_run_detail
from tests import factories as f
from tests.engine.actions import reset
from tests.engine.conftest import drive
from tests.faces.conftest import Api, sign_in
from tests.faces.test_answers_pages import page_of
from tests.faces.test_orders_pages import address, give

SOURCE = """
saga: many
steps:
  - {name: book, action: engine.plain, compensation: {action: engine.plain}}
  - {name: agree, for_each: "${input.who}", max_parallel: 5, approval: {prompt: "Lend it to ${item}?", timeout: 1h}}
  - {name: paid, for_each: "${input.who}", max_parallel: 2, wait_for: {signal: paid}}
"""


def rests(kind: str) -> SagaRun:
    drive(lambda: SagaRun.objects.get().waiting_for == kind and SagaRun.objects.get().lease_until is None)
    return SagaRun.objects.get()


def say(run: SagaRun) -> str:
    return why(find_run_detail(run.id), timezone.now()).text


@pytest.fixture
def asking(transactional_db) -> SagaRun:
    """A run that asks about four people at once."""
    reset()
    publish(SOURCE, by="dora")
    start_run("many", {"who": ["Ann", "Bo", "Cy", "Di"]})
    f.make_beat(timezone.now() + timedelta(hours=1))
    return rests("approval")


def test_each_item_has_its_own_question_and_its_own_answer(asking):
    alice, api = sign_in("alice"), Api()
    assert "“Lend it to Ann?” It takes" in say(asking)
    assert "3 more questions wait too." in say(asking)
    listed = alice.get(reverse("sagas:attention")).text
    assert re.findall(r"“(Lend it to \w+\?)”<div class=\"line-2\">(Agree \[\d\])", listed) == [
        (f"Lend it to {who}?", f"Agree [{number}]") for number, who in enumerate(["Ann", "Bo", "Cy", "Di"])
    ]
    html = alice.get(address(asking, "approve"), {"step": "agree[1]", "outcome": "rejected"}).text
    assert "Decline “Agree [1]”?" in html
    assert "“Lend it to Bo?”" in html
    assert "Stop waiting for “Agree (3 items)”." in html
    assert give(alice, asking, "approve", step="agree[1]", outcome="succeeded", reason="ok").status_code == 302
    for number in (0, 2, 3):
        assert api.post(f"runs/{asking.id}/approvals/agree[{number}]/", {"approve": True}).status_code == 202
    assert api.post(f"runs/{asking.id}/approvals/agree[4]/", {"approve": True}).status_code == 409

    run = rests("signal")
    assert "“Paid [0]” waits for the signal “paid”." in say(run)
    assert "“Paid (1 item)” waits too." in say(run)
    for cents in range(4):
        assert api.post(f"runs/{run.id}/signals/", {"name": "paid", "payload": cents}).status_code == 202
    drive()
    run.refresh_from_db()
    assert run.status == "completed"
    assert "alice approved “Agree [1]”: ok" in page_of(alice, run)
    step = alice.get(reverse("sagas:step-detail", args=[run.id, "agree[1]"])).text
    assert "approved by alice: ok" in step
    assert "Asked: “Lend it to Bo?”" in step


def test_one_no_undoes_the_run_and_the_other_questions_are_asked_no_more(asking):
    answer = give(sign_in("alice"), asking, "approve", step="agree[2]", outcome="rejected", reason="no licence")
    assert answer.status_code == 302
    drive()
    asking.refresh_from_db()
    assert asking.status == "compensated"
    assert say(asking).startswith("alice declined “Agree [2]”: no licence. “Book” was undone.")
    assert "by a person" not in say(asking)
