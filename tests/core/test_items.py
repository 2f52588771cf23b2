"""Lists, step by step: what items are given, what the whole gives back, what people may order of an item."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.definition import ActionFacts
from sagas.core.document import compile_document
from sagas.core.evolve import evolve, replay
from sagas.core.limits import ITEMS_MAX
from sagas.core.orders import refusal
from sagas.core.outcome import Error, Failed, Outcome, Rejected, Succeeded, Unknown
from sagas.core.source import read_source
from sagas.core.state import RunState
from sagas.core.vocabulary import AttemptKey, OutcomeKind, Phase, StepKey, Verb
from sagas.core.without_definition import decide_without_definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO = Rejected(Error("no", "Not this one."))
LOST = Unknown(Error("lost", "No answer."))

PARCELS = """\
saga: parcels
steps:
  - name: pack
    action: t.pack
    for_each: ${input.parcels}
    max_parallel: 2
    with: {id: "${item.id}", place: "${index + 1}"}
    compensation: {action: t.unpack, with: {id: "${item.id}", n: "${index}", box: "${step.output}", why: "${reason}"}}
    retry: {attempts: 1}
  - name: send
    action: t.send
    with: {boxes: "${steps.pack.output}", status: "${steps.pack.status}"}
    compensation: none
"""


class Told:
    """One run, moved on by hand."""

    def __init__(self, source: str = PARCELS, *, value: object = None, **changes: str) -> None:
        for said, says in changes.items():
            source = source.replace(said, says)
        document, report = read_source(source)
        assert not report.problems
        self.definition = compile_document(document, {"t.pack": ActionFacts()})
        self.journal: list[tuple[m.Event, datetime]] = []
        self.now = NOW
        self.state = RunState()
        started = m.RunStarted(run="r", saga="parcels", version=1, input=value, by="alice", steps=2)
        self.state = evolve(self.state, started, NOW)
        self.journal.append((started, NOW))
        self.tell(m.Look(NOW))

    def tell(self, command: m.Command) -> list[m.Event]:
        decision = decide(self.definition, self.state, command)
        self.journal += [(event, command.now) for event in decision.events]
        self.state = decision.state
        stored = [(codec.decode(*codec.encode(event)), at) for event, at in self.journal]
        assert replay(stored) == self.state
        return list(decision.events)

    def answer(self, name: str, outcome: Outcome, phase: Phase = Phase.ACTION) -> list[m.Event]:
        key = StepKey.parse(name)
        assert key is not None
        self.now += timedelta(seconds=1)
        number = self.state.step(key).half(phase).number
        return self.tell(m.ReportOutcome(AttemptKey(key.step, key.item, phase, number), outcome, self.now))

    def order(self, verb: Verb, step: str | None = None, **said: object) -> str | None:
        order = m.TakeOrder(self.state.inbox_done + 1, verb, "alice", self.now, step=step, reason="it is so", **said)
        why = refusal(self.definition, self.state, order)
        self.tell(order)
        return why

    def awaiting(self) -> list[str]:
        return sorted(f"{key}:{phase}" for key, phase in self.state.awaiting)

    def status(self, name: str) -> str:
        return str(self.state.step(StepKey.parse(name) or StepKey(name)).status)

    def undo(self, name: str) -> str:
        return str(self.state.step(StepKey.parse(name) or StepKey(name)).compensation_status)


def parcels(count: int) -> dict[str, object]:
    return {"parcels": [{"id": f"p{number}"} for number in range(count)]}


PIVOT_FIRST = """\
saga: parcels
steps:
  - {name: pay, action: t.pay, pivot: true}
  - {name: pack, action: t.pack, for_each: "${input.parcels}", max_parallel: 2, retry: {attempts: 1}}
"""


def past_pivot(count: int = 4) -> Told:
    run = Told(PIVOT_FIRST, value=parcels(count))
    run.answer("pay", Succeeded())
    return run


def test_each_item_is_given_its_part_of_the_list_and_its_number():
    run = Told(value=parcels(3))
    assert run.awaiting() == ["pack[0]:action", "pack[1]:action"]
    assert run.state.step(StepKey("pack", 1)).action.input == {"id": "p1", "place": 2}
    run.answer("pack[1]", Succeeded("box 1"))
    assert run.awaiting() == ["pack[0]:action", "pack[2]:action"]


def test_the_step_gives_the_outputs_in_the_order_of_the_list_whatever_came_first():
    run = Told(value=parcels(3))
    for number in (1, 2, 0):
        run.answer(f"pack[{number}]", Succeeded(f"box {number}"))
    assert run.status("pack") == "succeeded"
    assert run.state.step(StepKey("pack")).output == ["box 0", "box 1", "box 2"]
    assert run.state.step(StepKey("send")).action.input == {
        "boxes": ["box 0", "box 1", "box 2"],
        "status": "succeeded",
    }
    assert run.state.steps_done == 1


def test_an_empty_list_succeeds_with_an_empty_list_at_once():
    run = Told(value=parcels(0))
    assert run.state.step(StepKey("send")).action.input == {"boxes": [], "status": "succeeded"}


@pytest.mark.parametrize(("value", "message"), [
    ({}, "`for_each` must give a list; it is nothing."),
    ({"parcels": {"id": 1}}, "`for_each` must give a list; it is a mapping."),
    ({"parcels": "p1"}, '`for_each` must give a list; it is "p1".'),
    ({"parcels": [0] * (ITEMS_MAX + 1)}, "`for_each` gives 10001 items; at most 10000 are allowed."),
])  # fmt: skip
def test_what_is_no_list_fails_the_step_for_good_and_is_not_tried_again(value, message):
    run = Told(value=value)
    assert run.state.step(StepKey("pack")).error == {"code": "expression_error", "message": message}
    assert run.state.status == "compensated"
    assert not any(isinstance(event, m.RetryScheduled | m.AttemptStarted) for event, _ in run.journal)


def test_a_list_whose_expression_has_no_value_fails_the_step():
    run = Told(value={}, **{"${input.parcels}": "${input.parcels.filter(one, true)}"})
    assert run.state.step(StepKey("pack")).error["message"].startswith("`for_each`: ")
    assert run.state.status == "compensated"


def test_a_condition_decides_for_the_whole_step_before_the_list_is_read():
    when = '    when: "${false}"\n    max_parallel: 2\n'
    run = Told(value={"parcels": "no list"}, **{"    max_parallel: 2\n": when})
    assert run.status("pack") == "skipped"
    assert not any(isinstance(event, m.ItemsListed) for event, _ in run.journal)
    assert run.state.step(StepKey("send")).action.input == {"boxes": None, "status": "skipped"}


def test_the_first_failure_starts_no_item_and_undoes_what_was_done_last_one_first():
    run = Told(value=parcels(5), **{"max_parallel: 2": "max_parallel: 1"})
    run.answer("pack[0]", Succeeded("box 0"))
    run.answer("pack[1]", Succeeded("box 1"))
    run.answer("pack[2]", NO)
    assert run.status("pack") == "failed"
    assert run.state.step(StepKey("pack")).error == {"code": "no", "message": "Item 2 failed: Not this one."}
    assert run.state.reason["item"] == 2
    assert run.awaiting() == ["pack[1]:compensation"]
    assert run.state.step(StepKey("pack", 1)).compensation.input == {
        "id": "p1", "n": 1, "box": "box 1", "why": run.state.reason,
    }  # fmt: skip
    assert run.undo("pack") == "running"
    run.answer("pack[1]", Succeeded(), Phase.COMPENSATION)
    run.answer("pack[0]", Succeeded(), Phase.COMPENSATION)
    assert run.undo("pack") == "succeeded"
    assert run.state.status == "compensated"
    assert (run.status("pack[3]"), run.status("pack[4]")) == ("pending", "pending")


def test_items_in_flight_are_waited_for_when_one_has_failed():
    run = Told(value=parcels(4))
    run.answer("pack[0]", NO)
    assert run.awaiting() == ["pack[1]:action"]
    assert run.status("pack") == "running"
    run.answer("pack[1]", LOST)
    assert run.status("pack") == "failed", "failed comes before in doubt"
    assert run.awaiting() == ["pack[1]:compensation"], "what is in doubt is undone"


def test_a_list_that_a_cancel_cuts_short_says_how_far_it_came():
    run = Told(value=parcels(4))
    run.answer("pack[0]", Succeeded())
    run.order(Verb.CANCEL)
    run.answer("pack[1]", Succeeded())
    run.answer("pack[2]", Succeeded())
    assert run.state.step(StepKey("pack")).error == {
        "code": "not_finished", "message": "The run stopped after 3 of 4 items.",
    }  # fmt: skip
    assert run.awaiting() == ["pack[1]:compensation", "pack[2]:compensation"]


def test_a_failed_compensation_holds_the_items_before_it_until_a_person_has_decided():
    once = {'why: "${reason}"}}': 'why: "${reason}"}, retry: {attempts: 1}}'}
    run = Told(value=parcels(4), **once)
    for number in range(3):
        run.answer(f"pack[{number}]", Succeeded())
    run.answer("pack[3]", NO)
    assert run.awaiting() == ["pack[1]:compensation", "pack[2]:compensation"]
    run.answer("pack[2]", NO, Phase.COMPENSATION)
    run.answer("pack[1]", Succeeded(), Phase.COMPENSATION)
    assert run.awaiting() == []
    assert run.undo("pack") == "failed"
    assert run.order(Verb.RETRY, "pack[2]") is None
    assert run.awaiting() == ["pack[2]:compensation"]
    run.answer("pack[2]", Succeeded(), Phase.COMPENSATION)
    assert run.awaiting() == ["pack[0]:compensation"]
    run.answer("pack[0]", NO, Phase.COMPENSATION)
    assert run.order(Verb.SETTLE, "pack[0]", phase=Phase.COMPENSATION, reference="T-1") is None
    assert (run.undo("pack[0]"), run.undo("pack")) == ("settled", "settled")
    assert run.state.status == "compensated"


def test_after_the_pivot_a_failed_item_asks_a_person_and_a_retry_of_it_leads_on():
    run = past_pivot()
    run.answer("pack[0]", NO)
    assert run.state.status == "needs_attention"
    run.answer("pack[1]", Succeeded())
    assert run.awaiting() == [], "no further item before a person has decided"
    assert run.status("pack") == "failed"
    assert run.order(Verb.RETRY, "pack[0]") is None
    assert run.status("pack") == "running"
    assert run.awaiting() == ["pack[0]:action", "pack[2]:action"], "nothing has failed now, so the list goes on"
    run.answer("pack[0]", Succeeded("late"))
    assert run.awaiting() == ["pack[2]:action", "pack[3]:action"]
    for number in (2, 3):
        run.answer(f"pack[{number}]", Succeeded())
    assert run.state.status == "completed"
    assert run.state.step(StepKey("pack")).output == ["late", None, None, None]


def test_an_item_in_doubt_after_the_pivot_keeps_its_place_and_is_settled_by_a_person():
    run = past_pivot()
    run.answer("pack[0]", LOST)
    assert run.awaiting() == ["pack[1]:action"], "one place is taken until somebody knows"
    run.answer("pack[1]", Succeeded())
    assert run.awaiting() == ["pack[2]:action"]
    assert run.order(Verb.SETTLE, "pack[0]", outcome=OutcomeKind.SUCCEEDED, output="found") is None
    assert run.awaiting() == ["pack[2]:action", "pack[3]:action"]
    for number in (2, 3):
        run.answer(f"pack[{number}]", Succeeded())
    assert run.state.step(StepKey("pack")).output == ["found", None, None, None]


def test_a_failed_item_is_skipped_and_leaves_its_place_in_the_output_empty():
    run = past_pivot(2)
    run.answer("pack[0]", Succeeded("box"))
    run.answer("pack[1]", NO)
    assert run.order(Verb.SKIP, "pack[1]") is None
    assert run.state.status == "completed"
    assert run.state.step(StepKey("pack")).output == ["box", None]
    assert run.state.steps_done == 2


def test_a_whole_list_with_a_failed_item_is_skipped_and_what_was_not_begun_never_is():
    run = past_pivot()
    run.answer("pack[0]", NO)
    run.answer("pack[1]", Succeeded("box"))
    assert run.order(Verb.SKIP, "pack", output="by hand") is None
    assert run.state.status == "completed"
    assert run.state.step(StepKey("pack")).output == "by hand"
    assert run.status("pack[3]") == "pending"


def test_a_paused_list_starts_nothing_and_goes_on_where_it_stood():
    run = Told(value=parcels(4))
    run.order(Verb.PAUSE)
    run.answer("pack[0]", Succeeded())
    run.answer("pack[1]", Succeeded())
    assert (run.awaiting(), run.status("pack")) == ([], "running")
    assert run.order(Verb.SKIP, "pack[3]") is None
    run.order(Verb.RESUME)
    assert run.awaiting() == ["pack[2]:action"]
    run.answer("pack[2]", Succeeded())
    assert run.awaiting() == ["send:action"]


def test_terminating_ends_items_and_lists_and_says_which_items_stay():
    run = Told(value=parcels(4))
    run.answer("pack[0]", Succeeded())
    run.order(Verb.TERMINATE)
    assert run.journal[-1][0].stays == (StepKey("pack", 0), StepKey("pack", 1), StepKey("pack", 2))
    assert run.status("pack") == "in_doubt"


@pytest.mark.parametrize(("verb", "step", "why"), [
    (Verb.RETRY, "pack[9]", "Step pack has no item 9: the last one is pack[3]."),
    (Verb.SKIP, "pay[0]", "Step pay is no list: it has no item 0."),
    (Verb.SETTLE, "pack[x]", "The saga has no step named 'pack[x]'."),
    (Verb.SETTLE, "pack[01]", "The saga has no step named 'pack[01]'."),
    (Verb.GIVE_UP, "pack[", "The saga has no step named 'pack['."),
    (Verb.SETTLE, "pack", "Step pack is a list: settle its items one by one, such as pack[0]."),
    (Verb.SKIP, "pack", "Nobody knows whether some items of pack happened: settle them first."),
    (Verb.SKIP, "pack[0]", "Nobody knows whether pack[0] happened: settle it instead."),
    (Verb.SKIP, "pack[1]", "Step pack[1] is running: only a step that is pending, retrying or failed can be skipped."),
    (Verb.SETTLE, "pack[1]", "Step pack[1] is running: its outcome is not in question."),
    (Verb.RETRY, "pack[2]", "Nothing of step pack[2] waits for a retry: the run is needs attention."),
    (Verb.APPROVE, "pack[0]", "Step pack[0] waits for no answer of a person: it is in doubt."),
])  # fmt: skip
def test_an_order_about_an_item_that_cannot_be_is_refused_with(verb, step, why):
    run = past_pivot()
    run.answer("pack[0]", LOST)
    assert run.order(verb, step) == why


def test_items_of_a_list_that_is_not_made_yet_or_over_take_no_orders():
    run = Told(PIVOT_FIRST, value=parcels(2))
    run.order(Verb.PAUSE)
    why = "The list of step pack is not known yet: it has no item 0."
    assert run.order(Verb.SKIP, "pack[0]") == why
    run.order(Verb.RESUME)
    run.answer("pay", Succeeded())
    run.answer("pack[0]", NO)
    run.answer("pack[1]", Failed(Error("broken", "It broke.")))
    assert run.state.step(StepKey("pack")).error["message"] == "Item 0 failed (2 items in all): Not this one."
    assert run.order(Verb.RETRY, arguments={}, has_arguments=True) == "An edited input needs the name of one step."
    assert run.order(Verb.SKIP, "pack") is None
    assert run.order(Verb.SKIP, "pack[1]") == "The run has ended: it is completed."


def test_a_list_that_could_not_be_made_after_the_pivot_is_made_again_or_skipped():
    run = Told(PIVOT_FIRST, value={"parcels": 5})
    run.answer("pay", Succeeded())
    assert run.state.status == "needs_attention"
    edited = {"arguments": [1], "has_arguments": True}
    assert run.order(Verb.RETRY, "pack", **edited) == "Step pack makes a list of items: it has no input to edit."
    assert run.order(Verb.RETRY, "pack") is None
    assert run.state.status == "needs_attention", "the same list fails again"
    assert run.order(Verb.SKIP, "pack", output=[]) is None
    assert run.state.status == "completed"


WAITS = """\
saga: waits
steps:
  - name: ask
    for_each: ${input.people}
    max_parallel: 2
    approval: {prompt: "Ship to ${item}?"}
  - {name: go, action: t.go, compensation: none}
"""


def test_a_step_that_waits_waits_for_each_item():
    run = Told(WAITS, value={"people": ["ann", "ben", "cy"]})
    assert run.state.step(StepKey("ask", 1)).action.input["prompt"] == "Ship to ben?"
    assert run.status("ask[2]") == "pending"
    assert run.order(Verb.APPROVE, "ask[1]") is None
    assert run.status("ask[2]") == "waiting"
    run.order(Verb.APPROVE, "ask[0]")
    run.order(Verb.APPROVE, "ask[2]")
    assert [one["approved_by"] for one in run.state.step(StepKey("ask")).output] == ["alice"] * 3
    assert run.awaiting() == ["go:action"]
    assert run.state.steps_done == 1


def test_a_no_to_one_item_ends_the_waits_of_the_others():
    run = Told(WAITS, value={"people": ["ann", "ben", "cy"]})
    run.order(Verb.APPROVE, "ask[0]", outcome=OutcomeKind.REJECTED)
    assert (run.status("ask[0]"), run.status("ask[1]"), run.status("ask[2]")) == ("failed", "skipped", "pending")
    assert (run.status("ask"), run.state.status) == ("failed", "compensated")


@pytest.mark.parametrize("source", [PARCELS, WAITS])
def test_a_run_that_nobody_can_read_is_terminated_with_its_list_under_way(source):
    run = Told(source, value={"people": ["ann", "ben"], **parcels(2)})
    order = m.TakeOrder(1, Verb.TERMINATE, "alice", run.now)
    state = decide_without_definition(run.state, [order], run.now, "Its code is gone.").state
    assert state.status == "terminated"
    assert not state.open
    assert all(step.status not in {"running", "waiting"} for step in state.steps.values())
