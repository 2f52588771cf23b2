"""What a page says of steps that wait: why the run rests, the card, the node, the line of the journal, the list."""

from __future__ import annotations

import doctest
import re
from datetime import timedelta

import pytest

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.vocabulary import StepKey, Verb, WaitingFor
from sagas.models import Order, SagaRun
from sagas.presentation import format as written
from sagas.presentation import fragments, graph, journal, steps, strip
from sagas.presentation.why import why
from sagas.queries.plan import step_plans
from sagas.queries.run_detail import Entry, find_run_detail
from sagas.queries.runs import RunFilter, list_runs
from tests import factories as f
from tests import lending
from tests.story import LEND_CAR, patient

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def now():
    moment = f.frozen_now()
    f.make_beat(moment)
    return moment


def say(run: SagaRun, now) -> str:
    return why(find_run_detail(run.id), now).text


def card(run: SagaRun, step: str, now, **options) -> list[str]:
    shown = steps.shown(find_run_detail(run.id).find_step(step), now, **options)
    return [str(sentence) for sentence in shown.action.told]


@pytest.mark.parametrize(
    ("tell", "code", "parts"),
    [
        (f.sleeping, "timer", ["“Cool off” sleeps until", "0:42 left. Then the run goes on by itself."]),
        (
            f.waiting_for_signal,
            "await_signal",
            ["“Deposit” waits for the signal “deposit_paid”.", "If none comes by", "1 d 23 h left), what was done is"],
        ),
        (f.waiting_for_ever, "await_signal", ["It waits as long as it takes."]),
        (
            f.asking_for_approval,
            "decision",
            [
                "Waiting for a person to decide: “Lend it to 48243?”",
                "It takes an operator, an author or an admin. Nobody has answered yet.",
                "If nobody answers by",
                "what was done is undone.",
            ],
        ),
        (f.asking_a_group, "decision", ["somebody of the group “front desk”, or an admin", "as long as it takes"]),
        (f.approved, "completed", ["all 5 steps succeeded"]),
        (f.declined, "compensated", ["alice declined “Agree”: no licence.", "“Reserve” was undone."]),
        (f.timed_out, "compensated", ["The signal “deposit_paid” did not come in time for “Deposit”."]),
        (f.went_on_without, "completed", ["4 of 5", "Nothing came for “Deposit” in time, so the run went on without"]),
        (f.cancelled_while_waiting, "compensated", ["Cancelled by ana."]),
    ],
)  # fmt: skip
def test_every_wait_says_why_the_run_rests_or_how_it_ended(now, tell, code, parts):
    run = tell(now)
    found = why(find_run_detail(run.id), now)
    assert found.code == code
    assert [part for part in parts if part not in found.text] == []


@pytest.mark.parametrize("tell", [f.went_on_without, f.cancelled_while_waiting, f.timed_out, f.declined])
def test_a_wait_that_is_over_is_neither_a_persons_skip_nor_needless_nor_something_that_stays(now, tell):
    text = say(tell(now), now)
    assert not re.search(r"by a person|not needed|stay", text)


def test_a_skip_by_a_person_and_one_by_its_condition_are_still_said(now):
    document = patient(LEND_CAR, "lend-some", deposit={"wait_for": {"signal": "deposit_paid"}, "when": "${input.x}"})
    story = f.Story(now, document).do("reserve").wait("cool_off", WaitingFor.TIMER, 5)
    story.tell(m.WaitEnded(step="cool_off")).tell(m.StepSkipped(step="deposit", is_condition=True))
    story.order(Verb.SKIP, "agree").tell(m.StepSkipped(step="agree")).do("hand_over")
    text = say(story.tell(m.RunCompleted()).save(), now)
    assert "“Deposit” was not needed." in text
    assert "“Agree” was skipped by a person." in text


def test_a_wait_with_a_condition_whose_time_was_up_is_not_called_needless(now):
    waits = {"wait_for": {"signal": "deposit_paid", "timeout": "2d", "on_timeout": "continue"}, "when": "${true}"}
    story = f.Story(now, patient(LEND_CAR, "lend-if", deposit=waits)).do("reserve")
    story.wait("deposit", WaitingFor.SIGNAL, 5, signal="deposit_paid")
    story.tell(m.StepSkipped(step="deposit", cause="timed_out"))
    text = say(story.tell(m.RunCompleted()).save(), now)
    assert "Nothing came for “Deposit” in time" in text
    assert "not needed" not in text


def test_when_its_time_is_up_a_wait_counts_nothing_down(now):
    run = f.waiting_for_signal(now)
    later = now + 3 * DAY
    f.make_beat(later)
    regions = fragments.render_regions(find_run_detail(run.id), later)
    assert "Its time is up: the next free worker ends the wait." in regions["why"]
    assert "its time is up" in regions["steps"]
    assert "Waits for signal · due" in regions["graph"]
    assert [name for name in ("why", "steps", "graph") if "data-until" in regions[name]] == []
    sleeping = f.sleeping(now)
    assert "has slept long enough" in say(sleeping, later)


@pytest.mark.parametrize("tell", [f.sleeping, f.waiting_for_signal, f.asking_for_approval])
def test_what_is_waited_for_counts_down_in_the_sentence_on_the_card_and_on_the_node(now, tell):
    detail = find_run_detail(tell(now).id)
    until = next(step.wait.until for step in detail.steps if step.wait)
    regions = fragments.render_regions(detail, now)
    assert [
        name for name in ("why", "steps", "graph") if f'data-until="{until.isoformat()}"' not in regions[name]
    ] == []
    assert fragments.changes_at(detail, now) == until
    assert "next try" not in regions["steps"]


def test_a_deadline_that_comes_first_is_said_and_what_it_does(now):
    run = f.waiting_for_ever(now)
    run.deadline_at = now + timedelta(hours=1)
    run.save()
    assert "It waits as long as it takes" not in say(run, now)
    assert "The deadline of the run comes at" in say(run, now)
    run.is_past_pivot = True
    run.save()
    assert "deadline" not in say(run, now)
    run.deadline_at, run.is_overdue = now - DAY, True
    run.save()
    assert "The deadline of the run has passed." in say(run, now)


def test_behind_the_point_of_no_return_a_time_out_asks_a_person_and_undoes_nothing(now):
    run = f.waiting_for_signal(now)
    run.is_past_pivot = True
    run.save()
    assert "a person is asked how to go on: nothing is undone any more" in say(run, now)
    other = f.asking_for_approval(now)
    other.is_past_pivot = True
    other.save()
    assert "the run needs attention: nothing is undone any more" in say(other, now)


def test_a_wait_that_goes_on_says_so(now):
    story = f.Story(now, lending.LENIENT).do("reserve").wait("deposit", WaitingFor.SIGNAL, 60, signal="deposit_paid")
    assert "the run goes on without it" in say(story.save(), now)


def test_of_several_waits_the_one_that_a_person_can_end_speaks_and_names_the_others(now):
    story = f.Story(now, LEND_CAR).do("reserve").wait("cool_off", WaitingFor.TIMER, 60)
    story.wait("agree", WaitingFor.APPROVAL, group="operator", prompt="Now?")
    text = say(story.save(), now)
    assert text.startswith("Waiting for a person to decide: “Now?”")
    assert "“Cool off” waits too." in text


def test_an_answer_that_waits_to_be_taken_up_is_told(now):
    run = f.asking_for_approval(now)
    Order.objects.create(run=run, number=run.inbox_last + 1, verb="approve", by="alice", at=now, details={})
    SagaRun.objects.filter(id=run.id).update(inbox_last=run.inbox_last + 1)
    text = say(run, now)
    assert "alice has answered; the next free worker takes that up." in text
    assert "Nobody has answered yet" not in text


def test_a_paused_run_says_that_it_still_asks_and_that_waits_end_later(now):
    run = f.asking_for_approval(now)
    SagaRun.objects.filter(id=run.id).update(is_paused=True, waiting_for="")
    text = say(run, now)
    assert "It still asks: “Lend it to 48243?” An answer is taken." in text
    assert "A wait whose time is up meanwhile ends when the run is resumed." in text
    assert card(run, "agree", now + 3 * DAY, is_paused=True)[-1] == "its time is up; held: the run is paused"


def test_a_decline_behind_the_point_of_no_return_offers_what_helps(now):
    story = f.Story(now, LEND_CAR).do("reserve").wait("agree", WaitingFor.APPROVAL, group="operator", prompt="Now?")
    story.tell(m.StepFailed(step="agree", outcome=f.REJECTED, code="declined", message="alice said no."))
    story.tell(m.AttentionNeeded(step="agree", phase=f.ACTION, code="failed_past_pivot"))
    assert "retry it, and it waits anew" in say(story.save(is_past_pivot=True), now)


def test_nobody_who_answers_in_time_is_a_cause(now):
    story = f.Story(now, LEND_CAR).do("reserve").wait("agree", WaitingFor.APPROVAL, 5, group="operator", prompt="Now?")
    story.give_up_waiting("agree", "timed_out", "No answer came in time.").turned("reserve")
    run = story.do("reserve", phase=f.COMPENSATION).tell(m.RunCompensated()).save()
    assert say(run, now).startswith("Nobody answered “Agree” in time. “Reserve” was undone.")


@pytest.mark.parametrize(
    ("tell", "step", "words"),
    [
        (f.sleeping, "cool_off", ["sleeping", "until"]),
        (f.waiting_for_ever, "deposit", ["for the signal “deposit_paid”", "no time-out"]),
        (f.asking_a_group, "agree", ["“Agree?” It takes somebody of the group “front desk”, or an admin.", "no time"]),
        (f.approved, "agree", ["approved by alice: she is a good driver"]),
        (f.approved, "deposit", ["the signal “deposit_paid” came from token:bank"]),
        (f.approved, "cool_off", []),
        (f.declined, "agree", ["alice said no: no licence."]),
        (f.timed_out, "deposit", ["No signal came in time."]),
        (f.went_on_without, "deposit", ["nothing came in time, and the run went on without it"]),
        (f.cancelled_while_waiting, "deposit", ["stopped waiting: the run turned round"]),
        (f.skipped, f.SHIP, ["a person went on without it"]),
        (f.sleeping, "reserve", []),
    ],
)
def test_the_card_of_a_step_says_what_it_waits_for_or_what_came_of_it(now, tell, step, words):
    found = card(tell(now), step, now)
    assert len(found) == len(words)
    assert [word for word, said in zip(words, found, strict=True) if not said.startswith(word)] == []


def test_a_step_that_waits_never_says_that_it_was_not_tried_and_needs_no_compensation(now):
    shown = steps.shown(find_run_detail(f.sleeping(now).id).find_step("cool_off"), now)
    assert shown.undo.words == "Nothing to undo: it only waits"


def test_a_node_has_the_icon_of_what_it_waits_for_its_words_and_how_long_it_took(now):
    nodes = {node.title: node for node in graph.draw_run(find_run_detail(f.asking_for_approval(now).id), now).forward}
    assert {title: node.kind for title, node in nodes.items()} == {
        "Reserve": "", "Cool off": "timer", "Deposit": "radio", "Agree": "user-round-check", "Hand over": "",
    }  # fmt: skip
    assert (nodes["Agree"].facts, str(nodes["Agree"].left)) == (("Waits for answer",), "23:50:03")
    assert nodes["Agree"].full_title == "Agree: Waits for answer Lend it to 48243?"
    assert nodes["Cool off"].facts == ("Succeeded", "1 h 00 m")


def test_a_definition_says_on_its_nodes_what_is_waited_for_and_how_long():
    picture = graph.draw_definition(LEND_CAR)
    assert [node.facts for node in picture.forward[1:4]] == [
        ("timer", "1 h"),
        ("signal", "2 d at most"),
        ("approval", "1 d at most"),
    ]
    assert picture.forward[2].full_title == "Deposit: Waits for the signal “deposit_paid”. After 2 d it fails."
    assert picture.words[0].lines == ("Nothing to undo", "it only waits")
    until = graph.draw_definition({"steps": [{"name": "day", "sleep_until": "${input.from}"}]})
    assert until.forward[0].facts == ("timer", "until a moment")
    assert until.forward[0].full_title == "Day: Sleeps until ${input.from}; no worker is held."


@pytest.mark.parametrize("wait", [7, None, [], "x", {"signal": 5, "timeout": []}, {"group": {}, "on_timeout": 1}])
@pytest.mark.parametrize("key", ["sleep", "sleep_until", "wait_for", "approval"])
def test_a_wait_of_another_form_never_breaks_a_picture(key, wait):
    assert graph.draw_definition({"steps": [{"name": "a", key: wait}]}).label
    assert step_plans({"steps": [{"name": "a", key: wait}]})[0].wait is not None


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            m.WaitStarted(step="deposit", waits_for=WaitingFor.SIGNAL, about={"signal": "paid"}),
            "“Deposit” waits for the signal “paid”",
        ),
        (
            m.WaitStarted(step="agree", waits_for=WaitingFor.APPROVAL, about={"group": "finance", "prompt": "100 %?"}),
            "“Agree” asks somebody of the group “finance”, or an admin: “100 %?”",
        ),
        (m.WaitStarted(step="agree", waits_for=WaitingFor.CHILD), "“Agree” waits"),
        (m.WaitEnded(step="cool_off"), "“Cool off” has slept long enough"),
        (
            m.WaitEnded(step="deposit", by="bank", output={"approved_by": "bank", "comment": "x"}),
            "“Deposit” has its signal, from bank",
        ),
        (m.WaitEnded(step="agree", by="eve", output={"approved_by": "eve", "comment": ""}), "eve approved “Agree”"),
        (m.WaitEnded(step="agree", by="eve", output={"comment": "100 %"}), "eve approved “Agree”: 100 %"),
        (m.WaitEnded(step="gone", by="eve"), "“gone” has what it waited for"),
        (m.SignalReceived(name="paid", by="bank"), "The signal “paid” came from bank"),
        (m.StepFailed(step="agree", outcome=f.REJECTED, code="declined", message="no"), "“Agree” was declined: no"),
        (m.StepSkipped(step="deposit", cause="terminated"), "“Deposit” stopped waiting: the run was terminated"),
        (m.StepSkipped(step="deposit", cause="later"), "“Deposit” is left out"),
        (m.OrderTaken(number=1, verb=Verb.SIGNAL, by="bank"), "bank sent a signal"),
        (m.OrderTaken(number=1, verb=Verb.APPROVE, by="eve", step="agree"), "eve answered “Agree”"),
        (m.OrderTaken(number=1, verb=Verb.APPROVE, by="eve", step="agree", reason="ok"), "eve answered “Agree”: ok"),
        (
            m.RunTerminated(by="eve", stays=(StepKey("reserve"), StepKey("cool_off"))),
            "Terminated by eve: nothing more is done or undone; “Reserve” stays behind",
        ),
    ],
)
def test_each_line_about_a_wait_is_a_sentence(now, event, sentence):
    steps_by_name = {step.plan.name: step for step in find_run_detail(f.sleeping(now).id).steps}
    assert journal.sentence(Entry(9, *codec.encode(event), now), steps_by_name) == sentence


@pytest.mark.parametrize(
    ("tell", "label", "reason", "where"),
    [
        (f.sleeping, "Waiting", "sleeping", "Cool off"),
        (f.waiting_for_signal, "Waiting", "waits for a signal", "Deposit"),
        (f.asking_for_approval, "Waiting", "waits for an answer", "Agree"),
        (f.retrying, "Running", "waiting to retry", "Create shipment"),
        (f.declined, "Compensated", "alice said no: no licence", "Agree"),
    ],
)
def test_a_list_says_in_a_word_what_a_run_waits_for(now, tell, label, reason, where):
    tell(now)
    row = strip.shown(list_runs(RunFilter()).rows[0])
    assert (row.look.label, row.reason, row.where) == (label, reason, where)


def test_lengths_and_moments_are_written_for_people():
    assert doctest.testmod(written).failed == 0


def test_each_question_of_a_run_is_told_with_whom_it_asks(now):
    story = f.Story(now, LEND_CAR).do("reserve").wait("deposit", WaitingFor.APPROVAL, group="desk", prompt="Paid?")
    text = say(story.wait("agree", WaitingFor.APPROVAL, group="admin", prompt="Now?").save(), now)
    assert "Another question waits too: “Now?” That takes an admin." in text


def test_a_wait_behind_the_pivot_leaves_nothing_behind_when_the_run_is_terminated(now):
    steps_of = [{**LEND_CAR["steps"][0], "pivot": True}, *LEND_CAR["steps"][1:]]
    del steps_of[0]["compensation"]
    story = f.Story(now, {**LEND_CAR, "saga": "lend-surely", "steps": steps_of}).do("reserve")
    story.wait("cool_off", WaitingFor.TIMER, 1).tell(m.WaitEnded(step="cool_off"))
    stays = (StepKey("reserve"), StepKey("cool_off"))
    run = story.tell(m.RunTerminated(by="alice", message="enough", stays=stays)).save(is_past_pivot=True)
    assert "“Reserve” stays behind." in say(run, now)
    assert "Cool off" not in say(run, now)


def test_a_run_that_waits_for_a_sub_saga_says_so_in_the_list():
    assert strip.waits_words("child") == "waits for a sub-saga"
    assert strip.waits_words("service") == "waits before a service"
