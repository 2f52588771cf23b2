"""Lists, driven by a real pump."""

from __future__ import annotations

import threading
import time

import pytest

from sagas.core import messages as m
from sagas.core.outcome import Succeeded
from sagas.core.vocabulary import AttemptKey, OutcomeKind, Phase, StepKey, Verb
from sagas.engine import journal, stored
from sagas.engine.clock import Clock
from sagas.engine.commands import start_run
from sagas.engine.errors import OrderRefusedError
from sagas.engine.orders import Ask, allowed_orders, foresee_cancel, give_order
from sagas.models import SagaRun
from tests.engine.actions import BEHAVIOUR, CALLS, break_down, count, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, kinds, state_of
from tests.engine.test_journal import claim_all, make_due, step_on

SOURCE = """
saga: boxes
title: Boxes
defaults:
  timeout: 20s
  retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
  compensation_retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
steps:
  - {{name: first, action: engine.{kind}, {first}}}
  - name: pack
    action: engine.{kind}
    for_each: ${{input.boxes}}
    max_parallel: {parallel}
    with: {{box: "${{item}}", number: "${{index}}"}}
    compensation: {undo}
  - name: last
    action: engine.{kind}
    compensation: none
    with: {{boxes: "${{steps.pack.output}}"}}
"""
KINDS = ["plain", "awaited", "atomic"]
PIVOT = "pivot: true"


@pytest.fixture
def start(saga):
    def make(boxes, *, kind: str = "plain", parallel: int = 2, first: str = ""):
        undo = "none" if first == PIVOT else f"{{action: engine.{kind}}}"
        first = first or f"compensation: {{action: engine.{kind}}}"
        source = SOURCE.format(kind=kind, parallel=parallel, first=first, undo=undo)
        return start_run(saga(source=source), {"boxes": boxes}, by="tests").run

    return make


def rows(run, step: str = "pack") -> dict[int, str]:
    return dict(fetch(run).steps.filter(step=step).values_list("item", "status"))


def order(run, verb: Verb, **said):
    return give_order(run.id, verb, by="alice", ask=Ask(reason="it is so", **said))


def success_of(run, name: str) -> m.ReportOutcome:
    key = StepKey.parse(name)
    number = state_of(run).step(key).action.number
    return m.ReportOutcome(AttemptKey(key.step, key.item, Phase.ACTION, number), Succeeded(1), Clock().now())


def needs_a_person(run):
    return lambda: fetch(run).status == "needs_attention" and fetch(run).lease_until is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_outputs_are_in_the_order_of_the_list(start, kind):
    run = start(["a", "b", "c"], kind=kind)
    drive()
    row = fetch(run)
    assert (row.status, row.steps_done, row.steps_total) == ("completed", 3, 3)
    assert rows(run) == {-1: "succeeded", 0: "succeeded", 1: "succeeded", 2: "succeeded"}
    expected = [{"did": f"pack[{number}]:action"} for number in range(3)]
    assert row.steps.get(step="last").halves["action"]["input"] == {"boxes": expected}
    assert row.steps.get(step="pack", item=2).halves["action"]["input"] == {"box": "c", "number": 2}
    assert row.steps.get(step="pack", item=-1).output is None, "the rows of the items hold the outputs"
    assert faults_of(run) == []


def test_an_empty_list_and_what_is_no_list(start):
    run, wrong = start([]), start("no list")
    drive()
    assert (fetch(run).status, rows(run)) == ("completed", {-1: "succeeded"})
    assert fetch(run).steps.get(step="last").halves["action"]["input"] == {"boxes": []}
    assert (fetch(wrong).status, rows(wrong)) == ("compensated", {-1: "failed"})
    assert count()["first:compensation"] == 1
    assert faults_of(run) == faults_of(wrong) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_starts_no_item_more_and_all_that_was_done_is_undone(start, kind):
    BEHAVIOUR["pack[2]:action"] = refuse
    run = start(list("abcdef"), kind=kind, parallel=1)
    drive()
    row = fetch(run)
    assert (row.status, row.reason["step"], row.reason["item"]) == ("compensated", "pack", 2)
    assert rows(run) == {-1: "failed", 0: "succeeded", 1: "succeeded", 2: "failed"}
    undone = [key for key, _ in CALLS if key.endswith(":compensation")]
    assert undone == ["pack[1]:compensation", "pack[0]:compensation", "first:compensation"]
    assert faults_of(run) == []


def test_items_in_flight_are_waited_for_and_undone_too(start):
    go = threading.Event()
    BEHAVIOUR["pack[0]:action"] = refuse
    BEHAVIOUR["pack[1]:action"] = lambda _call: go.wait(20) or None
    run = start(list("abcd"))

    def ended() -> bool:
        if rows(run).get(0) == "failed":
            go.set()
        return fetch(run).finished_at is not None

    drive(ended)
    assert fetch(run).status == "compensated"
    assert rows(run) == {-1: "failed", 0: "failed", 1: "succeeded"}
    assert (count()["pack[1]:compensation"], "pack[0]:compensation" in count()) == (1, False)
    assert faults_of(run) == []


@pytest.mark.parametrize("parallel", [1, 3])
def test_never_more_items_than_said_are_carried_out_or_undone_at_once(start, parallel):
    lock, now, most = threading.Lock(), {"action": 0, "compensation": 0}, {"action": 0, "compensation": 0}

    def watched(call):
        with lock:
            now[call.phase] += 1
            most[call.phase] = max(most[call.phase], now[call.phase])
        time.sleep(0.01)
        with lock:
            now[call.phase] -= 1

    for number in range(12):
        for half in ("action", "compensation"):
            BEHAVIOUR[f"pack[{number}]:{half}"] = watched
    BEHAVIOUR["last:action"] = refuse
    run = start(list("abcdefghijkl"), parallel=parallel)
    drive()
    assert fetch(run).status == "compensated"
    assert most == {"action": parallel, "compensation": parallel}
    assert faults_of(run) == [], "the journal holds it at every entry"


def test_items_are_tried_again_each_by_itself(start):
    BEHAVIOUR["pack[1]:action"] = lambda call: break_down(call) if call.attempt == 1 else {"at": call.attempt}
    run = start(list("abc"))
    drive()
    row = fetch(run)
    assert (row.status, row.steps.get(step="pack", item=1).attempts) == ("completed", 2)
    assert row.steps.get(step="last").halves["action"]["input"]["boxes"][1] == {"at": 2}
    assert faults_of(run) == []


def test_after_the_pivot_the_item_is_retried_by_a_person_and_the_list_goes_on(start):
    BEHAVIOUR["pack[1]:action"] = refuse
    run = start(list("abcd"), first=PIVOT)
    drive(needs_a_person(run))
    assert rows(run)[-1] == "failed"
    with pytest.raises(OrderRefusedError, match=r"Step pack has no item 7"):
        order(run, Verb.RETRY, step="pack[7]")
    assert Verb.RETRY in allowed_orders(fetch(run))
    BEHAVIOUR.clear()
    order(run, Verb.RETRY, step="pack[1]")
    drive()
    assert fetch(run).status == "completed"
    assert count()["pack[1]:action#2"] == 1
    assert faults_of(run) == []


@pytest.mark.parametrize(("verb", "said", "output"), [
    (Verb.SETTLE, {"outcome": OutcomeKind.SUCCEEDED, "output": "seen"}, "seen"),
    (Verb.RETRY, {}, {"did": "pack[0]:action"}),
])  # fmt: skip
def test_an_item_in_doubt_is_settled_or_retried_under_its_key(start, verb, said, output):
    BEHAVIOUR["pack[0]:action"] = break_down
    run = start(list("abc"), first=PIVOT)
    drive(needs_a_person(run))
    assert rows(run)[-1] == "in_doubt"
    BEHAVIOUR.clear()
    order(run, verb, step="pack[0]", **said)
    drive()
    assert fetch(run).status == "completed"
    assert fetch(run).steps.get(step="last").halves["action"]["input"]["boxes"][0] == output
    assert "pack[0]:action#2" not in count()
    assert faults_of(run) == []


def test_a_compensation_that_fails_is_given_up_and_the_others_are_undone(start):
    BEHAVIOUR["pack[1]:compensation"] = refuse
    BEHAVIOUR["last:action"] = refuse
    run = start(list("abc"), parallel=1)
    drive(needs_a_person(run))
    assert "pack[0]:compensation" not in count(), "what would follow is held"
    order(run, Verb.GIVE_UP, step="pack[1]")
    drive()
    row = fetch(run)
    assert (row.status, row.undo_done, row.undo_total) == ("partially_compensated", 4, 4)
    assert row.steps.get(step="pack", item=-1).compensation_status == "given_up"
    assert count()["pack[0]:compensation"] == count()["first:compensation"] == 1
    assert faults_of(run) == []


def test_a_pause_holds_the_list_and_a_cancel_undoes_what_was_done(start):
    is_in, go = threading.Event(), threading.Event()
    BEHAVIOUR["pack[1]:action"] = lambda _call: is_in.set() or go.wait(20) or None
    run = start(list("abcd"), parallel=1)

    def pause_meanwhile() -> bool:
        if is_in.is_set() and fetch(run).inbox_last == 0:
            order(run, Verb.PAUSE)
        if fetch(run).is_paused:
            go.set()
        return rows(run).get(1) == "succeeded" and fetch(run).lease_until is None

    drive(pause_meanwhile)
    assert rows(run) == {-1: "running", 0: "succeeded", 1: "succeeded"}
    order(run, Verb.SKIP, step="pack[2]")
    plan = foresee_cancel(fetch(run))
    assert [str(one.key) for one in plan.undo] == ["pack[1]", "pack[0]", "first"]
    order(run, Verb.CANCEL)
    order(run, Verb.RESUME)
    drive()
    assert (fetch(run).status, rows(run)[-1], rows(run)[2]) == ("compensated", "failed", "skipped")
    assert faults_of(run) == []


def test_a_deadline_turns_a_list_round(start, saga):
    source = SOURCE.format(kind="plain", parallel=1, first="compensation: none", undo="{action: engine.plain}")
    BEHAVIOUR["pack[1]:action"] = lambda _call: time.sleep(0.6)
    run = start_run(saga(source=source.replace("title: Boxes", "deadline: 500ms")), {"boxes": list("abcd")}).run
    drive()
    row = fetch(run)
    assert (row.status, row.reason["cause"]) == ("compensated", "deadline")
    assert row.steps.get(step="pack", item=-1).status == "failed"
    assert faults_of(run) == []


def test_terminating_leaves_no_item_under_way(start):
    BEHAVIOUR["pack[1]:action"] = refuse
    run = start(list("abcd"), first=PIVOT)
    drive(needs_a_person(run))
    order(run, Verb.TERMINATE)
    assert fetch(run).status == "terminated"
    assert faults_of(run) == []


@pytest.mark.parametrize("kind", ["plain", "atomic"])
def test_items_whose_worker_was_lost_are_tried_again_under_their_keys(start, kind):
    run = start(list("abc"), kind=kind)
    token = claim_all()[run.id]
    journal.append([step_on(run, token)])
    journal.append([step_on(run, token, command=success_of(run, "first"))])
    assert sorted(str(key) for key, _ in state_of(run).awaiting) == ["pack[0]", "pack[1]"]
    make_due(run)
    drive()
    assert fetch(run).status == "completed"
    lost = fetch(run).journal.filter(kind="attempt_ended", data__code="worker_lost")
    assert sorted(one.data["item"] for one in lost) == [0, 1]
    assert count()["pack[0]:action"] == count()["pack[1]:action"] == 1
    assert faults_of(run) == []


def test_what_a_claim_reads_is_the_state_that_was_written(start):
    run = start(list("abc"))
    token = claim_all()[run.id]
    for command in (None, "first", "pack[1]", "pack[0]", "pack[2]"):
        told = None if command is None else success_of(run, command)
        item = step_on(run, token, command=told)
        assert journal.append([item]) == {run.id}
        assert state_of(run) == item.after
    assert state_of(run).lists["pack"].done == 3
    assert stored.load([fetch(run)])[run.id].step(("pack", -1)).output == [1, 1, 1]


def test_a_thousand_items(start):
    run = start(list(range(1000)), kind="awaited", parallel=50)
    began = time.monotonic()
    drive()
    took_s = time.monotonic() - began
    print(f"\n1,000 items, 50 at once: {took_s:.1f} s, {len(kinds(run))} entries")
    row = fetch(run)
    assert (row.status, row.steps.count()) == ("completed", 1003)
    assert [one["did"] for one in row.steps.get(step="last").halves["action"]["input"]["boxes"]] == [
        f"pack[{number}]:action" for number in range(1000)
    ]
    assert faults_of(run) == []


def test_a_thousand_items_are_undone(start):
    BEHAVIOUR["last:action"] = refuse
    run = start(list(range(1000)), kind="awaited", parallel=50)
    began = time.monotonic()
    drive()
    print(f"\n1,000 items done and undone: {time.monotonic() - began:.1f} s, {len(kinds(run))} entries")
    assert fetch(run).status == "compensated"
    assert sum(key.endswith("compensation") for key in count()) == 1001


CHILD = """
saga: one-box
title: One box
defaults: {timeout: 5s}
output: ${input.what}
steps:
  - {name: seal, action: engine.plain, compensation: {action: engine.plain}, with: {what: "${input.what}"}}
  - {name: check, action: engine.plain, compensation: none}
"""
PARENT = """
saga: many-boxes
title: Many boxes
steps:
  - {name: box, run: one-box, for_each: "${input.boxes}", max_parallel: 2, with: {what: "${item}"}}
  - {name: last, action: engine.plain, compensation: none, with: {boxes: "${steps.box.output}"}}
"""


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_sub_saga_for_each_item(saga, is_refused):
    saga(source=CHILD)
    if is_refused:
        BEHAVIOUR["last:action"] = refuse
    run = start_run(saga(source=PARENT), {"boxes": ["a", "b", "c"]}).run
    drive()
    children = {child.parent_step: child for child in SagaRun.objects.filter(parent_id=run.id)}
    assert set(children) == {"box[0]", "box[1]", "box[2]"}
    end = "compensated" if is_refused else "completed"
    assert {child.status for child in [fetch(run), *children.values()]} == {end}
    assert fetch(run).steps.get(step="last").halves["action"]["input"] == {"boxes": ["a", "b", "c"]}
    assert count()["seal:action"] == 3
    assert [fault for one in [run, *children.values()] for fault in faults_of(one)] == []
