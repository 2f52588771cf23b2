"""The pages that ask before an order is given: what they say, what they keep, what they send."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sagas.models import Order, SagaRun
from tests import factories as f
from tests.faces.conftest import sign_in

TELLERS = {  # an address word, its query, a run that allows it, what a good form holds beside the revision
    "cancel": (f.in_flight, {}, {}),
    "retry": (f.undo_failed, {}, {}),
    "skip": (f.failed_past_pivot, {"step": "send_receipt"}, {"reason": "INC-1"}),
    "settle": (f.asking, {"step": f.STOCK, "phase": "action"}, {"reason": "INC-1", "outcome": "succeeded"}),
    "give-up": (f.undo_failed, {}, {"reason": "INC-1"}),
    "pause": (f.in_flight, {}, {}),
    "resume": (f.paused, {}, {}),
    "terminate": (f.in_flight, {}, {"reason": "INC-1"}),
    "signal": (f.waiting_for_signal, {}, {"signal": "deposit_paid", "payload": "[1]"}),
    "approve": (f.asking_for_approval, {"step": "agree", "outcome": "succeeded"}, {}),
}
VERBS = sorted(TELLERS)
NEED_A_REASON = ("skip", "settle", "give-up", "terminate")


@pytest.fixture
def now(db):
    moment = timezone.now()
    f.make_beat(moment)
    return moment


def address(run: SagaRun, verb: str) -> str:
    return reverse("sagas:run-action", args=[run.id, verb])


def give(client: Client, run: SagaRun, verb: str, **form: object):
    return client.post(address(run, verb), {"revision": run.revision, **form})


def about(html: str, field: str) -> str:
    """Return what is said beside a field."""
    return re.search(rf'<p id="{field}-about".*?</p>', html, re.DOTALL)[0]


@pytest.mark.parametrize(
    ("tell", "query", "heading"),
    [
        (f.undo_failed, {}, "Retry “Refund payment” now?"),
        (f.undo_failed, {"step": f.PAY}, "Retry “Refund payment” now?"),
        (f.retrying, {}, "Retry “Create shipment” now?"),
        (f.retrying, {"step": f.SHIP}, "Retry “Create shipment” now?"),
    ],
)
def test_a_retry_names_what_is_retried(now, tell, query, heading):
    assert f"<h1>{heading}</h1>" in sign_in("alice").get(address(tell(now), "retry"), query).text


# ---- all of them -------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_a_page_says_what_will_and_will_not_happen_and_changes_nothing(now, verb):
    tell, query, _ = TELLERS[verb]
    run = tell(now)
    answer = sign_in("alice").get(address(run, verb), query)
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "This will</h2>" in html
    assert "This will not</h2>" in html
    assert f'name="revision" value="{run.revision}"' in html
    assert not re.search(r"<script(?![^>]*\bsrc=)| style=|\son\w+=", html)
    assert not Order.objects.filter(number__gt=run.inbox_done).exists()
    assert SagaRun.objects.get(id=run.id).revision == run.revision


@pytest.mark.parametrize("verb", VERBS)
def test_a_good_form_gives_the_order_with_who_and_why(now, verb):
    tell, query, form = TELLERS[verb]
    run = tell(now)
    answer = give(sign_in("alice"), run, verb, **query, **form)
    assert answer.status_code == 302
    assert answer.url == reverse("sagas:run-detail", args=[run.id])
    order = Order.objects.get(run=run)
    assert (order.verb, order.by, order.reason) == (verb.replace("-", "_"), "alice", form.get("reason", ""))


@pytest.mark.parametrize("verb", VERBS)
def test_a_run_that_moved_is_left_alone_and_what_was_typed_is_kept(now, verb):
    tell, query, form = TELLERS[verb]
    run = tell(now)
    answer = give(sign_in("alice"), run, verb, **query, **(form | {"reason": "typed", "revision": run.revision - 1}))
    assert answer.status_code == 412
    html = answer.content.decode()
    assert "moved while you were deciding" in html
    assert f'name="revision" value="{run.revision}"' in html
    assert 'value="typed"' in html
    assert not Order.objects.filter(run=run).exists()


@pytest.mark.parametrize("verb", VERBS)
def test_what_the_state_does_not_allow_is_a_conflict(now, verb):
    _, query, form = TELLERS[verb]
    run = f.approved(now) if verb == "signal" else f.completed(now)
    answer = give(sign_in("alice"), run, verb, **(query | {"step": f.PAY}), **form)
    assert answer.status_code == 409
    html = answer.content.decode()
    assert "The run has ended" in html
    assert "The run does not allow this now." in html
    assert not Order.objects.exists()
    assert "<form" not in html.split("<main")[1]


@pytest.mark.parametrize("verb", NEED_A_REASON)
def test_an_order_that_needs_a_reason_says_so_beside_the_field(now, verb):
    tell, query, form = TELLERS[verb]
    run = tell(now)
    alice = sign_in("alice")
    for reason in ("", "   "):
        answer = give(alice, run, verb, **query, **(form | {"reason": reason}))
        assert answer.status_code == 422
        html = answer.content.decode()
        assert "Say why: it is written down." in about(html, "reason")
        field = re.search(r'<input id="reason"[^>]*>', html)[0]
        assert 'aria-invalid="true"' in field
        assert 'aria-describedby="reason-about"' in field
    assert not Order.objects.filter(run=run).exists()


@pytest.mark.parametrize("verb", VERBS)
def test_orders_are_for_operators_and_others_sign_in_first(now, verb):
    tell, query, form = TELLERS[verb]
    run = tell(now)
    bob, passer_by = sign_in("bob"), Client()
    for method in (bob.get, bob.post):
        assert method(address(run, verb), query | form).status_code == 403
    for method in (passer_by.get, passer_by.post):
        answer = method(address(run, verb), query | form)
        assert answer.status_code == 302
        assert answer.url.startswith(reverse("sagas:sign-in"))
    assert not Order.objects.filter(run=run).exists()


@pytest.mark.parametrize("verb", VERBS)
def test_an_order_needs_the_csrf_token(now, verb):
    tell, query, form = TELLERS[verb]
    run = tell(now)
    assert give(sign_in("alice", enforces_csrf=True), run, verb, **query, **form).status_code == 403
    assert not Order.objects.filter(run=run).exists()


@pytest.mark.parametrize("verb", ["give_up", "GIVE-UP", "explode", "action"])
def test_there_is_no_action_of_another_name(now, verb):
    assert sign_in("alice").get(address(f.undo_failed(now), verb)).status_code == 404


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "form",
    [
        {"revision": "²"},
        {"reason": "\x00"},
        {"step": "\x00"},
        {"step": "no_such_step"},
        {"step": "process_payment[zero"},
        {"phase": "probe"},
        {"outcome": "unknown"},
        {"output": '"\\ud800"'},
        {"output": "[" * 5000},
        {"output": "NaN"},
        {"output": '"\\u0000"'},
    ],
)
def test_a_broken_form_is_never_an_error_of_ours(now, verb, form):
    tell, query, good = TELLERS[verb]
    answer = give(sign_in("alice"), tell(now), verb, **(query | good | form))
    assert answer.status_code in {302, 409, 412, 422}


# ---- each of them ------------------------------------------------------------


def test_settling_an_action_asks_for_an_answer_and_keeps_everything_that_was_typed(now):
    run = f.asking(now)
    typed = {"step": f.STOCK, "phase": "action", "output": "{oops", "reference": "T-1", "reason": "seen <b>it</b>"}
    answer = give(sign_in("alice"), run, "settle", **typed)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Say which of the two is true." in about(html, "outcome")
    assert "This is not JSON: line 1, column 2" in about(html, "output")
    assert "{oops</textarea>" in html
    assert 'value="T-1"' in html
    assert "seen &lt;b&gt;it&lt;/b&gt;" in html
    assert html.count('type="radio"') == 2
    assert " checked" not in html
    assert not Order.objects.exists()


def test_settling_says_when_the_run_turns_round_whatever_the_answer_is(now):
    run = f.asking(now)
    SagaRun.objects.filter(id=run.id).update(is_overdue=True)
    html = sign_in("alice").get(address(run, "settle")).content.decode()
    assert "turn round all the same, because the deadline has passed" in html


def test_the_answer_that_was_chosen_stays_chosen(now):
    run = f.asking(now)
    html = give(sign_in("alice"), run, "settle", step=f.STOCK, outcome="rejected").content.decode()
    assert 'value="rejected" checked' in html


def test_what_a_settled_step_gave_goes_with_the_order(now):
    run = f.asking(now)
    form = {"step": f.STOCK, "phase": "action", "outcome": "succeeded", "reason": "seen", "reference": " T-1 "}
    assert give(sign_in("alice"), run, "settle", **form, output='{"shelf": 7}').status_code == 302
    assert Order.objects.get(run=run).details == {
        "step": f.STOCK,
        "phase": "action",
        "outcome": "succeeded",
        "reference": "T-1",
        "output": {"shelf": 7},
    }


def test_an_output_of_what_did_not_happen_is_not_sent(now):
    run = f.asking(now)
    form = {"step": f.STOCK, "phase": "action", "outcome": "rejected", "reason": "looked"}
    assert give(sign_in("alice"), run, "settle", **form, output="{oops").status_code == 302
    assert "output" not in Order.objects.get(run=run).details


def test_a_step_that_is_known_to_have_failed_is_settled_only_as_done(now):
    run = f.failed_past_pivot(now)
    alice = sign_in("alice")
    html = alice.get(address(run, "settle")).content.decode()
    assert "was it done after all?" in html
    assert html.count('type="radio"') == 1
    assert give(alice, run, "settle", step="send_receipt", outcome="rejected", reason="r").status_code == 409


def test_a_compensation_is_settled_with_a_reference(now):
    run = f.undo_failed(now)
    alice = sign_in("alice")
    html = alice.get(address(run, "settle"), {"step": f.PAY, "phase": "compensation"}).content.decode()
    assert "was it undone by hand?" in html
    assert 'type="radio"' not in html
    form = {"step": f.PAY, "phase": "compensation", "reason": "at the bank"}
    answer = give(alice, run, "settle", **form)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Say where the evidence is" in about(html, "reference")
    assert 'value="at the bank"' in html
    assert "at most 200 characters" in about(
        give(alice, run, "settle", **form, reference="x" * 201).content.decode(), "reference"
    )
    assert give(alice, run, "settle", **form, reference="BANK-7").status_code == 302


def test_the_one_step_that_can_be_settled_is_found_without_its_name(now):
    html = sign_in("alice").get(address(f.undo_failed(now), "settle")).content.decode()
    assert f'name="step" value="{f.PAY}"' in html
    assert 'name="phase" value="compensation"' in html


def test_where_several_steps_can_be_skipped_one_is_asked_for(now):
    run = f.paused(now)
    alice = sign_in("alice")
    html = alice.get(address(run, "skip")).content.decode()
    assert "Which step?" in html
    assert f"?step={f.STOCK}&amp;phase=action" in html
    assert f"?step={f.SHIP}&amp;phase=action" in html
    assert f.PAY not in html
    html = alice.get(address(run, "skip"), {"step": f.STOCK}).content.decode()
    assert "Skip “Update inventory”?" in html
    assert "Run “Restore inventory” if the run turns round later." in html
    assert "Send anything before the run is resumed" in html
    answer = give(alice, run, "skip", reason="typed")
    assert answer.status_code == 422
    assert "Say which step." in answer.content.decode()


def test_giving_up_says_what_stays_behind_and_how_the_run_ends(now):
    run = f.undo_failed(now)
    alice = sign_in("alice")
    for query in ({}, {"step": f.PAY}):
        html = alice.get(address(run, "give-up"), query).content.decode()
        assert "End the run as partially compensated." in html
        assert "Leave what “Process payment” did in place." in html
        assert "button-danger" in html
    assert "The run does not allow this" in alice.get(address(run, "give-up"), {"step": f.STOCK}).content.decode()


def test_giving_up_says_what_is_still_undone(now):
    story = f.Story(now, key="9").do(f.PAY, f.STOCK).fail(f.SHIP, message="no").turned(f.PAY, f.STOCK)
    story.start(f.STOCK, f.COMPENSATION).end(f.STOCK, f.REJECTED, f.COMPENSATION, message="no")
    story.tell(f.m.CompensationFailed(step=f.STOCK, outcome=f.REJECTED, message="no"))
    story.tell(f.m.AttentionNeeded(step=f.STOCK, phase=f.COMPENSATION, code="compensation_failed"))
    html = sign_in("alice").get(address(story.save(), "give-up")).content.decode()
    assert "Go on and run “Refund payment”." in html
    assert "End the run" not in html


def test_terminating_says_what_is_written_off_and_what_stays(now):
    run = f.in_flight(now)
    alice = sign_in("alice")
    html = alice.get(address(run, "terminate")).content.decode()
    assert "Write off “Create shipment” as unknown" in html
    assert "Create shipment (perhaps: nobody knows whether it happened)" in html
    assert "<span>Process payment</span>" in html
    assert "button-danger" in html
    answer = alice.post(address(run, "terminate"), {"revision": run.revision, "reason": "INC-9"}, follow=True)
    page = answer.content.decode()
    assert "Nothing was undone." in page
    assert "Terminated by alice: INC-9." in page
    assert SagaRun.objects.get(id=run.id).status == "terminated"


def test_pausing_says_that_the_clock_goes_on(now):
    html = sign_in("alice").get(address(f.in_flight(now), "pause")).content.decode()
    assert "Let “Create shipment” end, which is in flight" in html
    assert "the deadline still count" in html
    assert "It can be taken back at any time" in html


# ---- buttons -----------------------------------------------------------------


def test_the_buttons_of_steps_are_shown_only_to_those_who_may_press_them(now):
    run = f.undo_failed(now)
    page = reverse("sagas:run-detail", args=[run.id])
    assert "data-may-operate" in sign_in("alice").get(page).content.decode()
    bob = sign_in("bob")
    assert "data-may-operate" not in bob.get(page).content.decode()
    step = reverse("sagas:step-detail", args=[run.id, f.PAY])
    assert "/actions/" not in bob.get(step).content.decode()


def test_a_step_page_offers_what_applies_to_it(now):
    run = f.undo_failed(now)
    alice = sign_in("alice")
    html = alice.get(reverse("sagas:step-detail", args=[run.id, f.PAY])).content.decode()
    assert re.findall(r"/actions/([\w-]+)/\?step=process_payment", html) == ["retry", "settle", "give-up"]
    assert "/actions/" not in alice.get(reverse("sagas:step-detail", args=[run.id, f.STOCK])).content.decode()
