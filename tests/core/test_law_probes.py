"""Steps with a probe: every answer at every try, in small sagas, with orders and losses at any point."""

from __future__ import annotations

import pytest

from sagas.core import messages as m
from sagas.core.decider import decide
from sagas.core.outcome import WORKER_LOST, Error, Failed, Rejected, Succeeded, Unknown
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, RunStatus, StepKey, StepStatus, Verb
from tests.core.law import NEVER_HAPPENED, T0, Allowance, explore, linear, started
from tests.core.test_law_items import listed

QUIET = Allowance(cancels=1, retries=0, losses=0, deadlines=0)
UNKNOWN = Unknown(Error("timed_out", "No answer within 10 s."))
SILENT = Unknown(Error("exception", "The probe broke."))
LOST = Unknown(Error(WORKER_LOST, "The worker was lost."), is_counted=False)


class Told:
    """One run, told what happens."""

    def __init__(self, kinds: str = "cC", **policy) -> None:
        self.definition = linear(kinds, **policy)
        self.state, _ = started(self.definition)
        self.events: list[m.Event] = []
        self.look()

    def take(self, command: m.Command) -> None:
        decision = decide(self.definition, self.state, command)
        self.events += decision.events
        self.state = decision.state

    def look(self) -> None:
        self.take(m.Look(T0))

    def end(self, outcome, phase: Phase = Phase.ACTION, step: str = "s0") -> None:
        number = self.state.step(StepKey(step)).half(phase).number
        self.take(m.ReportOutcome(AttemptKey(step, NO_ITEM, phase, number), outcome, T0))
        self.look()

    def ask(self, answer) -> None:
        self.end(answer, Phase.PROBE)

    def order(self, verb: Verb, **more) -> None:
        self.take(m.TakeOrder(self.state.inbox_done + 1, verb, "alice", T0, **more))
        self.look()

    @property
    def sent(self) -> list[str]:
        return [f"{one.step}:{one.phase}" for one in self.events if isinstance(one, m.AttemptStarted)]

    @property
    def step(self):
        return self.state.step(StepKey("s0"))


# ---- the whole law, with probes ----------------------------------------------


def hold(enumerated, allowance, shape, *, attempts=1, deadline=False, policies=((True, False), (True, True))):
    ends: set[str] = set()
    for stops, asks in policies:
        seen = explore(linear(shape, attempts=attempts, stops=stops, asks=asks, deadline=deadline), allowance)
        enumerated["definitions"] += 1
        enumerated["states"] += seen.states
        enumerated["runs"] += seen.runs
        ends |= seen.ends
    return ends


@pytest.mark.parametrize("shape", ["c", "n", "p", "cC", "cc", "Cp", "cp", "pn", "CcN", "Cpn"])
def test_the_law_holds_for_every_answer_of_a_probe(enumerated, shape):
    assert {"completed", "compensated"} <= hold(enumerated, QUIET, shape)


@pytest.mark.parametrize("shape", ["c", "p", "cC", "pn"])
def test_the_law_holds_for_probes_between_two_attempts(enumerated, shape):
    assert {"completed", "compensated"} <= hold(enumerated, QUIET, shape, attempts=2)


@pytest.mark.parametrize("shape", ["c", "p", "cC", "pN"])
def test_the_law_holds_for_probes_with_orders_losses_and_a_deadline_at_any_point(enumerated, shape):
    everything = Allowance(cancels=1, retries=1, losses=1, deadlines=1)
    policies = ((True, False), (True, True)) if len(shape) == 1 else ((True, False),)
    hold(enumerated, everything, shape, deadline=True, policies=policies)


@pytest.mark.parametrize("shape", ["c", "p", "cC"])
def test_the_law_holds_for_probes_whatever_a_person_decides(enumerated, shape):
    decisions = Allowance(cancels=0, retries=1, losses=0, deadlines=0, decisions=2)
    ends = hold(enumerated, decisions, shape)
    assert {"completed", "compensated", "terminated"} <= ends


def test_a_step_whose_probe_ends_its_worker_is_not_asked_for_ever():
    losses = Allowance(cancels=0, retries=0, losses=7, deadlines=0)
    assert {"completed", "compensated"} <= explore(linear("c", attempts=2), losses).ends  # too many runs to count


# ---- each answer by itself -----------------------------------------------------


def test_a_probe_that_says_it_happened_ends_the_step_with_its_output():
    run = Told()
    run.end(UNKNOWN)
    assert run.sent == ["s0:action", "s0:probe"]
    assert run.step.status is StepStatus.RUNNING
    run.ask(Succeeded({"paid": 7}))
    assert (run.step.status, run.step.output, run.step.error) == (StepStatus.SUCCEEDED, {"paid": 7}, None)
    assert run.sent[-1] == "s1:action"


def test_a_probe_that_says_no_fails_the_step_for_good():
    run = Told(attempts=3)
    run.end(UNKNOWN)
    run.ask(Rejected(Error("declined", "The card was declined.")))
    assert run.step.status is StepStatus.FAILED
    assert run.step.error == {"code": "declined", "message": "The card was declined."}
    assert run.state.status is RunStatus.COMPENSATED


def test_what_a_probe_says_was_not_done_is_tried_again_and_a_later_failure_is_definite():
    run = Told(attempts=2)
    run.end(UNKNOWN)
    run.ask(NEVER_HAPPENED)
    assert run.sent == ["s0:action", "s0:probe", "s0:action"]
    run.end(Failed(Error("no", "no")))
    assert run.step.status is StepStatus.FAILED
    assert run.state.status is RunStatus.COMPENSATED
    assert "s0:compensation" not in run.sent


def test_what_was_not_done_at_the_last_attempt_has_failed():
    run = Told(attempts=1)
    run.end(UNKNOWN)
    run.ask(NEVER_HAPPENED)
    assert run.step.status is StepStatus.FAILED
    assert run.step.error["code"] == "not_done"
    assert "s0:compensation" not in run.sent


def test_a_probe_is_asked_three_times_and_then_the_action_is_tried_under_the_same_key():
    run = Told(attempts=2)
    run.end(UNKNOWN)
    for _ in range(3):
        run.ask(SILENT)
    assert run.sent == ["s0:action", *["s0:probe"] * 3, "s0:action"]
    assert (run.step.action.edition, run.step.action.counted, run.step.action.is_unsettled) == (1, 1, True)
    assert run.step.error["code"] == "timed_out", "the action's trouble is what people want to read, not the probe's"
    run.end(Failed(Error("no", "no")))
    assert run.step.status is StepStatus.IN_DOUBT, "the first attempt may have happened still"


def test_each_unknown_outcome_has_three_tries_of_its_own():
    run = Told(attempts=2)
    for _ in range(2):
        run.end(UNKNOWN)
        for _ in range(3):
            run.ask(SILENT)
    assert run.sent[:8] == ["s0:action", *["s0:probe"] * 3, "s0:action", *["s0:probe"] * 3]
    assert run.sent[8:] == ["s0:compensation"]
    assert run.step.probe.number == 6


def test_an_answer_that_only_looks_like_a_refusal_or_a_failure_leaves_the_question_open():
    run = Told()
    run.end(UNKNOWN)
    run.ask(Rejected(Error("bare", "no"), is_explicit=False))
    run.ask(Failed(Error("action_not_registered", "no such probe")))
    assert run.sent == ["s0:action", *["s0:probe"] * 3]
    assert run.step.action.is_unsettled


def test_after_the_loss_of_the_worker_the_probe_is_asked_before_anything_is_tried_again():
    run = Told(attempts=2)
    run.end(LOST)
    assert run.sent == ["s0:action", "s0:probe"]
    run.ask(NEVER_HAPPENED)
    assert run.sent[-1] == "s0:action"
    assert run.step.action.counted == 0


def test_a_step_that_ends_its_worker_five_times_in_a_row_by_action_or_probe_is_left_to_a_person():
    run = Told(attempts=None, asks=True)
    run.end(LOST)
    for _ in range(4):
        run.ask(LOST)
    assert run.sent == ["s0:action", *["s0:probe"] * 4]
    assert run.step.status is StepStatus.IN_DOUBT
    assert run.state.status is RunStatus.NEEDS_ATTENTION


# ---- together with orders --------------------------------------------------------


def test_a_turn_waits_for_the_probe_and_undoes_nothing_that_never_happened():
    run = Told()
    run.order(Verb.CANCEL)
    run.end(UNKNOWN)
    assert run.sent == ["s0:action", "s0:probe"], "asking is a part of draining"
    run.ask(SILENT)
    run.ask(NEVER_HAPPENED)
    assert run.step.status is StepStatus.FAILED
    assert run.state.status is RunStatus.COMPENSATED
    assert run.sent == ["s0:action", "s0:probe", "s0:probe"]


def test_a_turn_is_dropped_when_the_probe_says_that_the_pivot_happened():
    run = Told("pN")
    run.end(UNKNOWN)
    run.order(Verb.CANCEL)
    run.ask(Succeeded())
    assert run.state.is_past_pivot
    assert not run.state.is_turning
    assert run.sent[-1] == "s1:action"


def test_a_paused_run_asks_nobody_before_it_is_resumed():
    run = Told()
    run.order(Verb.PAUSE)
    run.end(UNKNOWN)
    assert run.sent == ["s0:action"]
    assert run.step.status is StepStatus.RETRYING
    run.order(Verb.RESUME)
    assert run.sent == ["s0:action", "s0:probe"]


def test_terminating_writes_the_probe_off_and_leaves_the_step_in_doubt():
    run = Told()
    run.end(UNKNOWN)
    run.order(Verb.TERMINATE, reason="enough")
    assert run.state.status is RunStatus.TERMINATED
    assert run.step.status is StepStatus.IN_DOUBT
    assert not run.state.open
    assert run.events[-1].stays == (StepKey("s0"),)


def test_what_a_person_says_ends_the_question():
    run = Told()
    run.end(UNKNOWN)
    run.order(Verb.SETTLE, step="s0", output={"paid": 1}, reason="seen at the bank")
    assert run.step.status is StepStatus.SUCCEEDED
    assert not run.step.is_probing
    sent = list(run.sent)
    run.ask(Rejected(Error("no", "no")))
    assert run.sent == sent, "the probe answered too late"
    assert run.step.output == {"paid": 1}


def test_a_persons_retry_asks_the_probe_first_and_cannot_change_the_input():
    run = Told(asks=True)
    run.end(UNKNOWN)
    for _ in range(3):
        run.ask(SILENT)
    assert run.state.status is RunStatus.NEEDS_ATTENTION
    run.order(Verb.RETRY, step="s0", arguments=1, has_arguments=True)
    assert isinstance(run.events[-1], m.OrderRefused)
    run.order(Verb.RETRY, step="s0")
    assert run.sent[-1] == "s0:probe"
    run.ask(Succeeded())
    assert run.step.status is StepStatus.SUCCEEDED


@pytest.mark.parametrize("size", [(2, 1), (2, 2)])
def test_the_law_holds_for_a_list_whose_items_are_asked_about(enumerated, size):
    definition = listed(linear("c"), s0=size)
    seen = explore(definition, Allowance(cancels=0, retries=0, losses=0, deadlines=0))
    enumerated["definitions"] += 1
    enumerated["states"] += seen.states
    enumerated["runs"] += seen.runs
    assert {"completed", "compensated"} <= seen.ends
