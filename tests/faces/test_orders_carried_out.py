"""Orders from the dashboard, to the end: a form, a real pump, and what the run's page says then."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from sagas.catalog.publish import publish
from sagas.engine.commands import start_run
from sagas.models import SagaRun
from tests.engine.actions import BEHAVIOUR, CALLS, break_down, refuse, reset
from tests.engine.conftest import drive
from tests.faces.conftest import sign_in

SOURCE = """
saga: {name}
{more}
defaults:
  timeout: 5s
  retry: {{attempts: 1}}
  compensation_retry: {{attempts: 1}}
steps:
  - {{name: pay, action: engine.plain, compensation: {{action: engine.plain}}}}
  - {{name: stock, action: engine.plain, {stock}}}
  - {{name: ship, action: engine.plain, {ship}}}
"""
UNDONE = {"stock": "compensation: {action: engine.plain}", "ship": "compensation: none"}
PIVOT = {"stock": "pivot: true", "ship": "timeout: 5s"}


@pytest.fixture
def started(transactional_db):
    """Start a run of a saga and drive it until nothing moves."""
    reset()

    def make(more: str = "", **steps: str) -> SagaRun:
        saga = publish(SOURCE.format(name="orders-pages", more=more, **(steps or UNDONE)), by="dora")
        run = start_run(saga.version.saga.name, {}).run
        drive()
        run.refresh_from_db()
        return run

    yield make
    reset()


def press(client: Client, run: SagaRun, verb: str, **form: object):
    """Send the form of a confirm page."""
    return client.post(reverse("sagas:run-action", args=[run.id, verb]), {"revision": run.revision, **form})


def carry_out(client: Client, run: SagaRun, verb: str, **form: object) -> SagaRun:
    """Press the button, let the engine act, and return the run."""
    answer = press(client, run, verb, **form)
    assert answer.status_code == 302, answer.content.decode()
    BEHAVIOUR.clear()
    drive()
    return SagaRun.objects.get(id=run.id)


def page_of(client: Client, run: SagaRun) -> str:
    return client.get(reverse("sagas:run-detail", args=[run.id])).content.decode()


def test_what_cannot_be_undone_is_given_up_and_the_run_ends(started):
    BEHAVIOUR.update({"ship:action": refuse, "pay:compensation": refuse})
    run = started()
    alice = sign_in("alice")
    run = carry_out(alice, run, "give-up", step="pay", reason="the bank is gone")
    assert run.status == "partially_compensated"
    page = page_of(alice, run)
    assert "Undoing “Pay” was given up by alice: the bank is gone. What it did stays behind." in page
    assert "alice ordered: give up “Pay” (the bank is gone)" in page


def test_what_was_undone_by_hand_is_settled_and_the_rest_is_undone(started):
    BEHAVIOUR.update({"ship:action": refuse, "stock:compensation": refuse})
    run = started()
    alice = sign_in("alice")
    form = {"step": "stock", "phase": "compensation", "reason": "done", "reference": "T-1"}
    run = carry_out(alice, run, "settle", **form)
    assert run.status == "compensated"
    assert ("pay:compensation", 1) in CALLS
    page = page_of(alice, run)
    assert "“Stock” was undone by hand: T-1" in page
    assert "“Pay” was undone. “Stock” was undone by hand." in re.sub(r"</?span>", "", page)


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "completed"), ("rejected", "compensated")])
def test_what_nobody_knew_is_settled_and_the_run_goes_its_way(started, outcome, status):
    BEHAVIOUR.update({"stock:action": break_down})
    run = started("in_doubt: ask")
    assert run.status == "needs_attention"
    run = carry_out(sign_in("alice"), run, "settle", step="stock", phase="action", outcome=outcome, reason="I looked")
    assert run.status == status


def test_a_step_past_the_pivot_is_skipped_and_the_run_completes(started):
    BEHAVIOUR.update({"ship:action": refuse})
    run = started(**PIVOT)
    assert run.status == "needs_attention"
    alice = sign_in("alice")
    run = carry_out(alice, run, "skip", step="ship", reason="fetched in person", output='{"by": "hand"}')
    assert run.status == "completed"
    assert "“Ship” was skipped by a person." in page_of(alice, run)


def test_a_run_is_paused_resumed_and_terminated(started):
    BEHAVIOUR.update({"ship:action": refuse, "pay:compensation": refuse})
    run = started()
    alice = sign_in("alice")
    run = carry_out(alice, run, "pause", reason="the bank closes at six")
    assert run.is_paused
    assert "The run is paused too" in page_of(alice, run)
    assert press(alice, run, "retry").status_code == 409
    run = carry_out(alice, run, "resume")
    assert not run.is_paused
    press(alice, run, "terminate", reason="written off")
    run.refresh_from_db()
    assert run.status == "terminated"
    assert "“Pay” stays behind." in page_of(alice, run)
