from __future__ import annotations

from datetime import timedelta

import pytest

from sagas.core import messages as m
from sagas.core.vocabulary import Phase, Verb
from sagas.presentation.fragments import render_regions
from sagas.presentation.why import why
from sagas.queries.run_detail import find_run_detail
from tests import factories as f

pytestmark = pytest.mark.django_db


def say(tell, now=None):
    now = now or f.frozen_now()
    f.make_beat(now)
    run = tell(now)
    return why(find_run_detail(run.id), now)


@pytest.mark.parametrize(
    ("tell", "code", "parts"),
    [
        (f.queued, "queued", ["Queued for 6 s"]),
        (f.in_flight, "await_reply", ["“Create shipment” was sent 8 s ago. Times out in 0:22."]),
        (f.retrying, "retry_backoff", ["Waiting to retry “Create shipment”", "(3 of 3)", "The carrier answered 503."]),
        (f.draining, "turning", ["Cancelled by ana.", "Waiting for “Update inventory” to end"]),
        (f.compensating, "await_reply", ["was rejected: No carrier", "“Refund payment” was sent"]),
        (f.undo_retrying, "retry_backoff", ["Waiting to retry “Refund payment”", "(4 of 8)", "payments answered 503"]),
        (f.undo_failed, "compensation_failed", ["“Refund payment” failed 8 times", "still in place"]),
        (f.in_doubt, "outcome_unknown", ["Nobody could say whether “Process payment” happened", "undone anyway"]),
        (f.completed, "completed", ["all 3 steps succeeded"]),
        (f.compensated, "compensated", ["“Update inventory” and “Process payment” were undone."]),
        (f.cancelled, "compensated", ["Cancelled by ana.", "“Process payment” was undone."]),
        (f.past_pivot, "past_pivot", ["after the point of no return", "(try 13)"]),
        (f.paused, "paused_run", ["Paused by ana: the warehouse is closed.", "until somebody resumes it"]),
        (f.undo_failed, "compensation_failed", ["and retry it; or undo it by hand and settle it; or give it up"]),
        (f.asking, "decision", ["Nobody can say whether “Update inventory” happened", "settle it; or retry it"]),
        (
            f.unreadable,
            "version_unreadable",
            ["Version 1 cannot be carried out: The code that is here", "`later` is not a key of a step.", "then retry"],
        ),
        (
            f.action_missing,
            "action_not_registered",
            ["“Update inventory” cannot be carried out: No installed app registers", "then retry"],
        ),
        (f.failed_past_pivot, "decision", ["no such address.", "retry it; or do it by hand and settle it; or skip it"]),
        (f.skipped, "completed", ["2 of 3 steps succeeded.", "“Create shipment” was skipped by a person."]),
        (f.settled, "compensated", ["“Update inventory” was undone.", "“Process payment” was undone by hand."]),
        (
            f.partly,
            "partially_compensated",
            [
                "“Create shipment” was rejected",
                "“Update inventory” was undone.",
                "Undoing “Process payment” was given up by alice: the account is closed. What it did stays behind.",
            ],
        ),
        (
            f.terminated,
            "terminated",
            [
                "Terminated by alice: the shop burned down.",
                "“Process payment” stays behind.",
                "Nobody knows whether “Update inventory” happened",
            ],
        ),
    ],
)
def test_every_state_says_why(tell, code, parts):
    found = say(tell)
    assert found.code == code
    assert [part for part in parts if part not in found.text] == []


def test_a_paused_run_that_goes_back_says_that_undoing_waits_too():
    def tell(now):
        story = f.Story(now - timedelta(seconds=9)).do(f.PAY).order(Verb.PAUSE, by="ana").tell(m.RunPaused())
        return story.turn(cause="cancel", by="bob").save()

    assert "Paused by ana. Nothing new is sent" in say(tell).text
    assert "Undoing what was done waits for that too." in say(tell).text


def test_a_paused_run_that_needs_a_person_says_both():
    def tell(now):
        run = f.undo_failed(now)
        run.is_paused = True
        run.save()
        return run

    assert "The run is paused too" in say(tell).text


def test_a_turn_that_a_person_brought_about_by_settling_names_the_reason():
    def tell(now):
        story = f.Story(now - timedelta(seconds=9)).do(f.PAY)
        story.turn(cause="step_failed", step=f.STOCK, outcome="rejected", code="settled", message="the shelf is full")
        return story.turned(f.PAY).do(f.PAY, phase=Phase.COMPENSATION).tell(m.RunCompensated()).save()

    assert "A person said that “Update inventory” did not happen: the shelf is full." in say(tell).text


@pytest.mark.parametrize(
    ("lease_s", "words"),
    [
        (None, "no worker waits for its answer any more. The next free worker takes the run over."),
        (-1, "no worker waits for its answer any more. The next free worker takes the run over."),
        (3, "its time is up. Its worker writes that down at once; if it has died, another takes the run over in 0:03."),
    ],
)
@pytest.mark.parametrize("tell", [f.in_flight, f.draining])
def test_an_answer_that_is_overdue_is_not_counted_down_to(tell, lease_s, words):
    now = f.frozen_now()
    f.make_beat(now)
    run = tell(now - timedelta(seconds=40))
    run.lease_until = None if lease_s is None else now + timedelta(seconds=lease_s)
    run.save()
    text = why(find_run_detail(run.id), now).text
    assert words in text
    assert "0:00" not in text


def test_a_run_whose_lease_has_ended_says_that_nobody_waits_for_its_answer():
    now = f.frozen_now()
    f.make_beat(now)
    run = f.in_flight(now)
    run.lease_until = now - timedelta(seconds=1)
    run.save()
    assert "sent 8 s ago, and no worker waits for its answer any more." in why(find_run_detail(run.id), now).text


@pytest.mark.parametrize("tell", [f.retrying, f.undo_retrying, f.past_pivot])
def test_a_try_whose_time_has_come_is_due_and_counts_nothing_down(tell):
    now = f.frozen_now()
    f.make_beat(now)
    detail = find_run_detail(tell(now - timedelta(minutes=10)).id)
    regions = render_regions(detail, now)
    assert "The next try is due" in why(detail, now).text
    assert "next try is due" in regions["steps"]
    assert "· due" in regions["graph"]
    assert [name for name in ("why", "steps", "graph") if "data-until" in regions[name]] == []


def test_what_a_pause_holds_is_said_to_be_held_and_counts_nothing_down():
    def tell(now):
        story = f.Story(now - timedelta(seconds=4)).do(f.PAY).retry(f.STOCK, 44, message="503")
        return story.order(Verb.PAUSE, by="ana").tell(m.RunPaused()).save()

    now = f.frozen_now()
    f.make_beat(now)
    regions = render_regions(find_run_detail(tell(now).id), now)
    assert "held: the run is paused" in regions["steps"]
    assert "Retrying · 2 of 3 · held" in regions["graph"]
    assert [name for name in ("why", "steps", "graph") if "data-until" in regions[name]] == []


def test_the_engine_being_silent_is_the_cause_and_comes_before_the_symptom():
    now = f.frozen_now()
    f.make_beat(now - timedelta(seconds=40))
    found = why(find_run_detail(f.retrying(now).id), now)
    assert found.code == "engine_down"
    assert "has not reported for 40 s" in found.text
    assert "Nothing is lost" in found.text


def test_a_finished_run_does_not_care_about_the_engine():
    assert why(find_run_detail(f.completed(f.frozen_now()).id), f.frozen_now()).code == "completed"


def test_a_run_that_stands_still_for_no_known_reason_says_so():
    now = f.frozen_now()
    f.make_beat(now)
    run = f.Story(now - timedelta(minutes=4)).do(f.PAY).save()
    assert why(find_run_detail(run.id), now).code == "unknown"


def test_what_has_no_compensation_is_named_as_staying():
    now = f.frozen_now()
    story = f.Story(now - timedelta(seconds=9)).do(f.PAY, f.STOCK, f.SHIP).turn(cause="cancel", by="ana")
    story.turned(f.PAY, f.STOCK, not_needed=[f.SHIP]).do(f.STOCK, f.PAY, phase=Phase.COMPENSATION)
    run = story.tell(m.RunCompensated()).save()
    assert "“Create shipment” has no compensation and stays." in why(find_run_detail(run.id), now).text


def test_what_a_participant_said_is_escaped_and_countdowns_tick():
    now = f.frozen_now()
    f.make_beat(now)
    run = f.Story(now - timedelta(seconds=3)).retry(f.PAY, 40, message="<b>100 % %(no)s</b>").save()
    html = render_regions(find_run_detail(run.id), now)["why"]
    assert "&lt;b&gt;100 % %(no)s&lt;/b&gt;" in html
    assert f'data-until="{(now + timedelta(seconds=37.5)).isoformat()}">0:38</span>' in html


def test_what_only_reads_leaves_nothing_behind():
    now = f.frozen_now()
    look, ship = ({"name": name, "title": name.title(), "action": f"shop.{name}"} for name in ("look", "ship"))
    document = {**f.BOOK_ORDER, "saga": "look-first", "steps": [look, {**ship, "compensation": "none"}]}
    story = f.Story(now - timedelta(seconds=9), document).do("look", "ship").turn(cause="cancel", by="ana")
    run = story.turned(not_needed=["look", "ship"]).tell(m.RunCompensated()).save()
    said = why(find_run_detail(run.id), now).text
    assert "“Ship” has no compensation and stays." in said
    assert "Look" not in said
