"""Yes, no and signals from the dashboard: who is offered what, what the pages say, what comes of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sagas.catalog.publish import publish
from sagas.core.vocabulary import INTERNAL, Verb, WaitingFor
from sagas.engine.commands import start_run
from sagas.models import Order, SagaRun
from tests import factories as f
from tests.engine.actions import reset
from tests.engine.conftest import drive
from tests.faces.conftest import sign_in
from tests.faces.test_orders_pages import about, address, give
from tests.story import LEND_CAR, patient

YES, NO = {"step": "agree", "outcome": "succeeded"}, {"step": "agree", "outcome": "rejected"}


@pytest.fixture
def now(db):
    moment = timezone.now()
    f.make_beat(moment)
    return moment


def page_of(client: Client, run: SagaRun) -> str:
    return client.get(reverse("sagas:run-detail", args=[run.id])).text


def member(name: str, group: str) -> Client:
    """Sign in as one of the cast, who belongs to a group."""
    client = sign_in(name)
    Group.objects.create(name=group).user_set.add(client.session["_auth_user_id"])
    return client


def orders_of(run: SagaRun) -> list[tuple[str, str, str]]:
    found = Order.objects.filter(run=run, number__gt=run.inbox_done)
    return list(found.values_list("verb", "by", "reason"))


# ---- a yes and a no ------------------------------------------------------------


def test_the_page_of_a_yes_shows_the_question_and_says_what_goes_on(now):
    html = sign_in("alice").get(address(f.asking_for_approval(now), "approve"), YES).text
    assert "<h1>Approve “Agree”?</h1>" in html
    assert "“Lend it to 48243?”" in html
    assert "Go on with “Hand over”." in html
    assert "Comment" in html
    assert 'name="outcome" value="succeeded"' in html


def test_the_page_of_a_no_says_what_is_undone(now):
    html = sign_in("alice").get(address(f.asking_for_approval(now), "approve"), NO).text
    assert "<h1>Decline “Agree”?</h1>" in html
    assert "Count “Agree” as refused." in html
    assert "Run “Release”." in html
    assert "Decline and undo" in html
    assert "Stop waiting" not in html
    assert "Cool off" not in html.split("This will not")[1].split("</ul>")[0]


def test_a_no_behind_the_point_of_no_return_says_that_nothing_is_undone(now):
    run = f.asking_for_approval(now)
    SagaRun.objects.filter(id=run.id).update(is_past_pivot=True)
    html = sign_in("alice").get(address(run, "approve"), NO).text
    assert "the point of no return has been passed, so nothing is undone" in html
    assert "Release" not in html.split("This will")[1]


@pytest.mark.parametrize(("form", "outcome"), [(YES, "succeeded"), (NO, "rejected")])
def test_an_answer_is_stored_with_who_and_the_comment(now, form, outcome):
    run = f.asking_for_approval(now)
    answer = give(sign_in("alice"), run, "approve", **form, reason="I know her")
    assert answer.status_code == 302
    assert orders_of(run) == [("approve", "alice", "I know her")]
    assert Order.objects.get(run=run, verb="approve").details == {"step": "agree", "outcome": outcome}


def test_without_an_answer_the_page_asks_for_one_and_a_form_without_one_is_refused(now):
    run, alice = f.asking_for_approval(now), sign_in("alice")
    html = alice.get(address(run, "approve")).text
    assert "What do you answer?" in html
    assert f"{address(run, 'approve')}?step=agree&amp;outcome=succeeded" in html
    assert f"{address(run, 'approve')}?step=agree&amp;outcome=rejected" in html
    for outcome in ({}, {"outcome": "maybe"}):
        assert give(alice, run, "approve", step="agree", **outcome).status_code == 422
    assert orders_of(run) == []


def test_of_several_questions_one_is_chosen_and_only_those_that_i_may_answer(now):
    document = patient(
        LEND_CAR, "lend-twice", deposit={"approval": {"group": "front desk"}}, agree={"approval": {"group": "operator"}}
    )
    story = f.Story(now, document).do("reserve")
    story.wait("deposit", WaitingFor.APPROVAL, group="front desk", prompt="Paid?")
    run = story.wait("agree", WaitingFor.APPROVAL, group="operator", prompt="Lend it?").save()
    html = sign_in("alice").get(address(run, "approve"), {"outcome": "succeeded"}).text
    assert "<h1>Approve “Agree”?</h1>" in html
    html = sign_in("erin").get(address(run, "approve"), {"outcome": "rejected"}).text
    assert "Decline “Deposit”…" in html
    assert "Decline “Agree”…" in html
    page = page_of(sign_in("bob"), run)
    assert 'data-asks="g1 g2"' in page
    assert 'class="stack run-page" data-may-answer=""' in page


def test_what_has_its_answer_is_a_conflict(now):
    run, alice = f.approved(now), sign_in("alice")
    answer = give(alice, run, "approve", **YES)
    assert answer.status_code == 409
    assert "The run has ended" in answer.text
    waiting = f.waiting_for_signal(now)
    answer = give(alice, waiting, "approve", **YES)
    assert "waits for no answer of a person: it is pending" in answer.text


def test_a_comment_that_cannot_be_kept_is_said_beside_it(now):
    run = f.asking_for_approval(now)
    answer = give(sign_in("alice"), run, "approve", **YES, reason="a\x00b")
    assert answer.status_code == 422
    assert "U+0000" in about(answer.text, "reason")


# ---- who is asked --------------------------------------------------------------


@pytest.mark.parametrize("form", [YES, NO])
def test_only_those_of_the_group_come_to_the_page_and_others_are_told_who_may(now, form):
    run = f.asking_a_group(now)
    for name in ("alice", "bob", "dora"):
        client = sign_in(name)
        for answer in (client.get(address(run, "approve"), form), give(client, run, "approve", **form)):
            assert answer.status_code == 403
            assert "You may not answer this. It takes somebody of the group “front desk”, or an admin." in answer.text
        assert client.get(address(run, "approve")).status_code == 403
    assert give(sign_in("charlie"), run, "approve", **form).status_code == 403
    assert orders_of(run) == []
    assert give(sign_in("erin"), run, "approve", **form).status_code == 302
    assert orders_of(run) == [("approve", "erin", "")]


def test_a_viewer_who_is_asked_answers_but_gives_no_order(now):
    run, bob = f.asking_a_group(now), member("bob", "front desk")
    assert bob.get(address(run, "cancel")).status_code == 403
    assert give(bob, run, "cancel").status_code == 403
    assert "<h1>Approve “Agree”?</h1>" in bob.get(address(run, "approve"), YES).text
    assert give(bob, run, "approve", **YES).status_code == 302
    assert orders_of(run) == [("approve", "bob", "")]


def test_the_buttons_of_a_question_are_for_those_whom_it_asks(now):
    """A region is the same for all; the page around it lists the marks of the groups that its reader is one of."""
    run = f.asking_a_group(now)
    region = '<div class="step-answers" data-asks="g1">'
    for name, marks in (("alice", ""), ("erin", "g1")):
        html = page_of(sign_in(name), run)
        assert region in html
        assert f'data-may-answer="{marks}"' in html
        assert ('data-verb="approve"' in html) is bool(marks)
        assert re.search(r'id="actions-state"[^>]*data-asks="g1"', html)
    html = page_of(member("bob", "front desk"), run)
    assert 'data-may-answer="g1"' in html
    assert 'data-verb="decline"' in html
    assert 'data-verb="cancel"' not in html
    assert "somebody of the group “front desk”, or an admin" in html


def test_a_step_page_offers_the_answers_to_those_whom_it_asks(now):
    run = f.asking_a_group(now)
    page = reverse("sagas:step-detail", args=[run.id, "agree"])
    assert "/actions/" not in sign_in("alice").get(page).text
    html = member("bob", "front desk").get(page).text
    assert html.count("/actions/approve/?step=agree&amp;outcome=") == 2
    assert "Asks somebody of the group “front desk”, or an admin. It waits as long as the run may last." in html
    assert "Not tried yet" not in html.split('id="undo"')[0]


def test_a_question_that_is_asked_no_more_shows_no_buttons(now):
    html = page_of(sign_in("alice"), f.approved(now))
    assert "step-answers" not in html
    assert re.search(r'id="actions-state"[^>]*data-asks=""', html)


def test_the_first_button_of_a_run_that_asks_is_the_answer(now):
    html = page_of(sign_in("alice"), f.asking_for_approval(now))
    assert 'data-primary="approve"' in html


def test_a_step_that_was_answered_shows_question_answer_and_times(now):
    run = f.approved(now)
    html = sign_in("bob").get(reverse("sagas:step-detail", args=[run.id, "agree"])).text
    assert "Asked: “Lend it to 48245?”" in html
    assert "approved by alice: she is a good driver" in html
    assert "&quot;approved_by&quot;: &quot;alice&quot;" in html
    assert "Waited from" in html


# ---- signals -------------------------------------------------------------------


def test_the_page_of_a_signal_says_which_wait_it_ends_and_takes_json(now):
    run, alice = f.waiting_for_signal(now), sign_in("alice")
    html = alice.get(address(run, "signal")).text
    assert "“deposit_paid”: end the wait of “Deposit”" in html
    assert "<option>deposit_paid</option>" in html
    assert give(alice, run, "signal", signal="deposit_paid", payload='{"cents": 20000}').status_code == 302
    order = Order.objects.get(run=run, verb="signal")
    assert (order.by, order.details) == ("alice", {"signal": "deposit_paid", "with": {"cents": 20_000}})


def test_a_signal_may_bring_nothing_and_may_come_before_it_is_waited_for(now):
    run, alice = f.sleeping(now), sign_in("alice")
    assert "“deposit_paid”: keep it until a step waits for it." in alice.get(address(run, "signal")).text
    assert give(alice, run, "signal", signal="deposit_paid", payload="  ").status_code == 302
    assert Order.objects.get(run=run).details == {"signal": "deposit_paid", "with": None}


def test_what_is_wrong_with_a_signal_is_said_beside_its_field_and_what_was_typed_stays(now):
    run, alice = f.waiting_for_signal(now), sign_in("alice")
    answer = give(alice, run, "signal", signal="deposit_paid", payload="{oops")
    assert answer.status_code == 422
    assert "This is not JSON: line 1, column 2" in about(answer.text, "payload")
    assert "{oops</textarea>" in answer.text
    assert "<option selected>deposit_paid</option>" in answer.text
    answer = give(alice, run, "signal", signal="deposit_payed")
    assert answer.status_code == 422
    assert "waits for no signal named &quot;deposit_payed&quot;. It waits for `deposit_paid`." in about(
        answer.text, "signal"
    )
    answer = give(alice, run, "signal", signal="deposit_paid", payload='{"a": {"b": "\\u0000"}}')
    assert "U+0000" in about(answer.text, "payload")
    assert orders_of(run) == []


def test_signals_are_for_operators_and_runs_that_wait_for_some(now):
    run = f.waiting_for_signal(now)
    assert sign_in("bob").get(address(run, "signal")).status_code == 403
    alice = sign_in("alice")
    assert 'data-signal="yes"' in page_of(alice, run)
    assert "/actions/signal/?signal=deposit_paid" in page_of(alice, run)
    assert 'data-signal="no"' in page_of(alice, f.in_flight(now))
    assert 'data-signal="no"' in page_of(alice, f.declined(now))
    answer = give(alice, f.in_flight(now), "signal", signal="x")
    assert "It waits for none at all." in answer.text


def test_a_signal_that_is_kept_is_shown_in_the_head_of_the_run(now):
    bob = sign_in("bob")
    assert "1 signal kept: deposit_paid" in page_of(bob, f.asking_for_approval(now))
    assert "signal kept" not in page_of(bob, f.approved(now))


# ---- to the end ----------------------------------------------------------------

SOURCE = """
saga: lend-pages
title: Lend
steps:
  - {name: book, action: engine.plain, compensation: {action: engine.plain}}
  - {name: deposit, wait_for: {signal: deposit_paid, timeout: 2d}}
  - {name: agree, approval: {prompt: "Lend it to ${input.who}?"}}
  - {name: hand_over, action: engine.plain, compensation: none}
"""


@pytest.mark.parametrize(("answer", "status"), [(YES, "completed"), (NO, "compensated")])
def test_a_signal_and_an_answer_from_the_pages_bring_a_run_to_its_end(transactional_db, answer, status):
    reset()
    publish(SOURCE, by="dora")
    run = start_run("lend-pages", {"who": "Ann"}).run
    alice = sign_in("alice")
    f.make_beat(timezone.now() + timedelta(hours=1))  # between two shifts of this test no pump is at work

    def until(kind: str) -> SagaRun:
        drive(lambda: SagaRun.objects.get().waiting_for == kind and SagaRun.objects.get().lease_until is None)
        return SagaRun.objects.get()

    run = until("signal")
    assert "“Deposit” waits for the signal “deposit_paid”." in page_of(alice, run)
    assert give(alice, run, "signal", signal="deposit_paid", payload="7").status_code == 302
    run = until("approval")
    assert "Waiting for a person to decide: “Lend it to Ann?”" in page_of(alice, run)
    said = give(alice, run, "approve", **answer, reason="so be it")
    assert said.status_code == 302
    drive()
    run.refresh_from_db()
    assert run.status == status
    page = page_of(alice, run)
    words = "alice approved “Agree”: so be it" if status == "completed" else "alice declined “Agree”: so be it."
    assert words in page


def test_every_verb_of_people_has_a_page_and_those_of_runs_have_none(now):
    alice = sign_in("alice")
    run = f.asking_for_approval(now)
    for verb in Verb:
        expected = 404 if verb in INTERNAL else 200
        assert alice.get(address(run, verb.value.replace("_", "-"))).status_code == expected, verb


# ---- finding what is asked -----------------------------------------------------


def test_what_waits_for_an_answer_is_on_the_attention_page_and_mine_can_be_had_alone(now):
    mine, theirs = f.asking_for_approval(now), f.asking_a_group(now)
    alice, page = sign_in("alice"), reverse("sagas:attention")
    html = alice.get(page).text
    assert "“Lend it to 48243?”" in html
    assert f"{address(mine, 'approve')}?step=agree&amp;outcome=succeeded" in html
    assert address(theirs, "approve") not in html
    assert "It takes somebody of the group “front desk”, or an admin." in html
    assert "Nothing needs a person." not in html
    html = alice.get(page, {"mine": "1"}).text
    assert "48243" in html
    assert "48244" not in html
    html = sign_in("bob").get(page, {"mine": "1"}).text
    assert "No approval waits for you." in html


def test_the_overview_says_how_many_questions_wait(now):
    bob = sign_in("bob")
    assert "approval" not in bob.get(reverse("sagas:overview")).text
    f.asking_for_approval(now)
    html = bob.get(reverse("sagas:overview")).text
    assert "1 approval waits for an answer. Everything else is going its way." in html
    f.asking_a_group(now)
    f.undo_failed(now)
    html = bob.get(reverse("sagas:overview")).text
    assert "1 run needs a person" in html
    assert "2 approvals wait for an answer." in html


def test_the_list_is_narrowed_to_runs_that_wait_for_something(now):
    for tell in (f.asking_for_approval, f.waiting_for_signal, f.sleeping, f.retrying, f.completed):
        tell(now)
    bob, page = sign_in("bob"), reverse("sagas:run-list")
    for kind, key, words in (
        ("approval", "48243", "Waits for an answer"),
        ("signal", "48241", "Waits for a signal"),
        ("timer", "48240", "Sleeping"),
        ("retry", "48219", "Waiting to retry"),
    ):
        html = bob.get(page, {"waiting_for": kind}).text
        assert re.findall(r'<span class="number">(\d{5})</span>', html) == [key]
        assert f'aria-label="Remove the filter {words}"' in html
        assert f'<option value="{kind}" selected>' in html
        assert f"waiting_for={kind}" in html.split("/ws/runs/")[1].split('"')[0]
    answer = bob.get(page, {"waiting_for": "aproval"})
    assert answer.status_code == 400
    assert "No run waits for “aproval”. Did you mean “approval”?" in answer.text
    assert "nothing is listed" in answer.text
