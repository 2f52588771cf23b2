"""Redacted values: participants get them, nobody else sees them, and no table holds them."""

from __future__ import annotations

import hashlib
import json
import logging
import time

import pytest

from sagas import NoEffect
from sagas.catalog.load import load_version
from sagas.catalog.publish import publish
from sagas.core.outcome import Error, Succeeded
from sagas.core.outcome import Rejected as RejectedOutcome
from sagas.core.sealed import MASK
from sagas.core.vocabulary import NO_ITEM, AttemptKey, Phase, Verb
from sagas.engine import children, late
from sagas.engine.commands import start_run
from sagas.engine.errors import InputInvalidError, KeyReusedError, OrderRefusedError
from sagas.engine.orders import Ask, foresee_cancel, give_order
from sagas.engine.reruns import rerun
from sagas.models import Order, SagaRun, StepRun
from sagas.sealing import opened
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch, state_of
from tests.redacted import (
    BEHAVIOUR,
    CALLS,
    CARD,
    INPUT,
    NAME,
    PIN,
    SOURCE,
    TOKEN,
    assert_no_table_tells,
    break_telling,
    refuse_telling,
)


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()
    BEHAVIOUR.clear()


@pytest.fixture
def started(transactional_db):
    publish(SOURCE.replace("KIND", "call"), by="tests")
    return start_run("charge", INPUT).run


@pytest.mark.parametrize("kind", ["call", "atomic"])
def test_participants_are_given_what_nobody_else_sees(kind, transactional_db, caplog):
    publish(SOURCE.replace("KIND", kind), by="tests")
    run = start_run("charge", INPUT).run
    assert (run.input["order"], run.input["card"]) == ("A-1", {"number": MASK, "pin": MASK})
    assert_no_table_tells()
    drive()
    assert fetch(run).status == "completed"
    assert CALLS[0] == ("pay:action", {"card": {"number": CARD, "pin": PIN}, "order": "A-1"})
    assert CALLS[-1] == ("ship:action", {"bearer": f"Bearer {TOKEN}", "order": "A-1"})
    assert sorted(call for call in CALLS if call[0].startswith("greet")) == [
        ("greet[0]:action", {"name": NAME, "token": TOKEN}),
        ("greet[1]:action", {"name": NAME, "token": TOKEN}),
    ]
    assert_no_table_tells()
    assert "CANARY" not in caplog.text
    assert faults_of(run) == []
    row = fetch(run)
    assert json.dumps(row.output, ensure_ascii=False, sort_keys=True) == '{"order": "A-1", "token": "•••"}'
    assert state_of(run).output == {"token": TOKEN, "order": "A-1"}
    pay = StepRun.objects.get(run=run, step="pay")
    assert (pay.output, pay.halves["action"]["input"]["card"]) == (
        {"token": MASK, "id": 7}, {"number": MASK, "pin": MASK},
    )  # fmt: skip


@pytest.mark.parametrize("behave", [refuse_telling, break_telling])
def test_no_error_message_and_no_log_tells_a_secret(behave, started, caplog):
    caplog.set_level(logging.DEBUG)
    BEHAVIOUR["ship:action"] = behave
    BEHAVIOUR["pay:compensation"] = behave
    drive()
    assert fetch(started).status == "needs_attention"
    assert_no_table_tells()
    assert "CANARY" not in caplog.text
    assert "90217" not in caplog.text
    assert MASK in StepRun.objects.get(run=started, step="pay").error["message"]
    assert faults_of(started) == []


def test_a_probe_is_given_what_the_action_was_and_tells_nobody_either(transactional_db, caplog):
    source = SOURCE.replace("KIND", "call").replace(
        "redact: [with.card", "probe: {python: redaction.probe}\n    redact: [with.card", 1
    )
    publish(source, by="tests")
    run = start_run("charge", INPUT).run
    asked = []

    def answer(_call, arguments):
        asked.append(arguments)
        if len(asked) == 1:
            raise RuntimeError(f"cannot look for {arguments}")
        return {"token": TOKEN}

    BEHAVIOUR["pay:action"] = break_telling
    BEHAVIOUR["pay:probe"] = answer
    drive()
    assert fetch(run).status == "completed"
    assert asked == [{"card": INPUT["card"], "order": "A-1"}] * 2
    assert state_of(run).output == {"token": TOKEN, "order": "A-1"}
    assert_no_table_tells()
    assert "CANARY" not in caplog.text
    assert faults_of(run) == []


def test_an_expression_that_has_no_value_does_not_tell_what_it_read(transactional_db):
    source = SOURCE.replace("KIND", "call").replace("'Bearer ' + steps", "int(input.card.number) > 0 ? 'a' : steps")
    publish(source, by="tests")
    run = start_run("charge", INPUT).run
    drive()
    assert fetch(run).status == "compensated"
    assert StepRun.objects.get(run=run, step="ship").error["code"] == "expression_error"
    assert_no_table_tells()


def test_a_compensation_is_given_what_it_undoes_and_the_plan_does_not_tell(started):
    BEHAVIOUR["ship:action"] = break_telling
    BEHAVIOUR["ship:compensation"] = break_telling
    drive()
    run = fetch(started)
    assert run.status == "needs_attention"
    give_order(run.id, Verb.RETRY, by="alice", ask=Ask(step="ship"))
    BEHAVIOUR.clear()
    drive()
    assert fetch(run).status == "compensated"
    assert ("ship:compensation", {"bearer": f"Bearer {TOKEN}"}) in CALLS
    assert ("pay:compensation", {"number": CARD}) in CALLS
    assert_no_table_tells()
    assert faults_of(run) == []


def test_the_plan_of_a_cancel_shows_no_secret(transactional_db):
    """Of the compensation that would start at once, and of the one after it."""
    publish(SOURCE.replace("KIND", "call") + "  - {name: rest, sleep: 1h}\n", by="tests")
    run = start_run("charge", INPUT).run
    drive(lambda: fetch(run).waiting_for == "timer" and fetch(run).lease_until is None)
    plan = foresee_cancel(fetch(run))
    assert [(str(one.key), one.input) for one in plan.undo] == [("ship", {"bearer": MASK}), ("pay", {"number": MASK})]


ASKING = """
saga: asking
in_doubt: ask
steps:
  - name: pay
    action: redaction.call
    retry: {attempts: 1}
    redact: [output.token]
    compensation: {action: redaction.call, with: {t: "${step.output.token}", id: "${step.output.id}"}}
  - {name: rest, sleep: 1h}
"""


def test_what_waits_in_the_inbox_is_foreseen_as_it_is_and_shown_as_dots(transactional_db):
    publish(ASKING, by="tests")
    run = start_run("asking", {}).run
    BEHAVIOUR["pay:action"] = break_telling
    drive()
    settled = Ask(step="pay", reason="seen", output={"token": TOKEN, "id": 7})
    give_order(run.id, Verb.SETTLE, by="alice", ask=settled)
    assert_no_table_tells()
    plan = foresee_cancel(fetch(run))
    assert [(one.input, one.error) for one in plan.undo] == [({"t": MASK, "id": 7}, "")]
    give_order(run.id, Verb.CANCEL, by="alice")
    drive()
    assert fetch(run).status == "compensated"
    assert CALLS[-1] == ("pay:compensation", {"t": TOKEN, "id": 7})
    assert_no_table_tells()
    assert faults_of(run) == []


def pay_attempt(number: int) -> AttemptKey:
    return AttemptKey("pay", NO_ITEM, Phase.ACTION, number)


@pytest.mark.parametrize(
    "outcome",
    [
        Succeeded({"token": TOKEN, "id": 7}),
        RejectedOutcome(Error("no", f"No {CARD}", {"card": CARD})),
    ],
)
def test_what_comes_late_is_sealed_on_its_way_and_told_to_nobody(outcome, transactional_db, caplog):
    caplog.set_level(logging.DEBUG)
    publish(ASKING.replace("redact: [", 'with: {c: "${input.c}"}\n    redact: [with.c, '), by="tests")
    run = start_run("asking", {"c": CARD}).run
    BEHAVIOUR["pay:action"] = break_telling
    drive()
    assert fetch(run).status == "needs_attention"
    late.tell(run.id, pay_attempt(1), 1, load_version(run.version_id).redaction, outcome)
    assert Order.objects.get(run=run).details["late"]["outcome"] == str(outcome.kind)
    assert_no_table_tells()
    drive(lambda: fetch(run).inbox_done == 1 and fetch(run).lease_until is None)
    has_happened = isinstance(outcome, Succeeded)
    assert fetch(run).status == ("running" if has_happened else "compensated")
    if has_happened:
        assert state_of(run).step(("pay", NO_ITEM)).output == {"token": TOKEN, "id": 7}
    else:
        assert StepRun.objects.get(run=run, step="pay").error == {"code": "no", "message": f"No {MASK}"}
    assert_no_table_tells()
    assert "CANARY" not in caplog.text
    assert faults_of(run) == []


def test_what_a_late_report_says_while_another_attempt_is_in_flight_is_kept_sealed(transactional_db):
    publish(ASKING.replace("attempts: 1", "attempts: 2, initial: 10ms"), by="tests")
    run = start_run("asking", {}).run
    seen = []

    def break_again(call, _arguments):
        if call.attempt == 2:
            late.tell(
                run.id, pay_attempt(1), 1, load_version(run.version_id).redaction, Succeeded({"token": TOKEN, "id": 7})
            )
            give_up = time.monotonic() + 60
            while fetch(run).inbox_done == 0 and time.monotonic() < give_up:
                time.sleep(0.02)
            assert_no_table_tells()
            half = StepRun.objects.get(run=run, step="pay").halves["action"]
            seen.extend([half["late_output"], state_of(run).step(("pay", NO_ITEM)).action.late_output])
        raise RuntimeError("broke")

    BEHAVIOUR["pay:action"] = break_again
    drive(lambda: fetch(run).waiting_for == "timer" and fetch(run).lease_until is None)
    assert seen == [{"token": MASK, "id": 7}, {"token": TOKEN, "id": 7}]
    assert state_of(run).step(("pay", NO_ITEM)).output == {"token": TOKEN, "id": 7}
    assert_no_table_tells()
    assert faults_of(run) == []


def test_an_edited_input_may_leave_what_was_masked(started):
    BEHAVIOUR["ship:action"] = lambda *_: (_ for _ in ()).throw(NoEffect("later"))
    BEHAVIOUR["pay:compensation"] = refuse_telling
    drive()
    run = fetch(started)
    assert run.attention[0]["step"] == "pay"
    with pytest.raises(OrderRefusedError, match="stands for a redacted value"):
        give_order(run.id, Verb.RETRY, by="alice", ask=Ask(step="pay", arguments={"other": MASK}, has_arguments=True))
    BEHAVIOUR.clear()
    edited = {"number": MASK, "note": "by hand"}
    give_order(run.id, Verb.RETRY, by="alice", ask=Ask(step="pay", arguments=edited, has_arguments=True))
    assert_no_table_tells()
    assert Order.objects.get(run=run).details == {"step": "pay", "with": MASK}
    drive()
    assert CALLS[-1][1] == {"number": CARD, "note": "by hand"}
    assert fetch(run).status == "compensated"
    assert_no_table_tells()
    assert faults_of(run) == []


def test_what_a_person_settles_is_sealed_too(started):
    BEHAVIOUR["pay:action"] = break_telling
    BEHAVIOUR["pay:compensation"] = refuse_telling
    drive()
    run = fetch(started)
    give_order(
        run.id, Verb.SETTLE, by="alice",
        ask=Ask(step="pay", phase=Phase.COMPENSATION, reason="done by hand", reference="T-1"),
    )  # fmt: skip
    drive()
    assert fetch(run).status == "compensated"
    assert_no_table_tells()


def test_a_signal_brings_what_nobody_sees(transactional_db):
    publish(
        "saga: wait\nsteps:\n  - {name: w, wait_for: {signal: s, timeout: 1h}, redact: [output.code]}\n"
        "  - {name: use, action: redaction.call, with: {code: '${steps.w.output.code}'}, compensation: none}\n",
        by="tests",
    )
    run = start_run("wait", {}).run
    give_order(run.id, Verb.SIGNAL, by="bank", ask=Ask(signal="s", arguments={"code": CARD}, has_arguments=True))
    assert_no_table_tells()
    drive()
    assert fetch(run).status == "completed"
    assert CALLS == [("use:action", {"code": CARD})]
    assert_no_table_tells()
    assert faults_of(run) == []


def test_a_signal_that_comes_early_is_kept_sealed(transactional_db):
    publish(
        "saga: wait\nsteps:\n  - {name: rest, sleep: 1h}\n"
        "  - {name: w, wait_for: {signal: s, timeout: 1h}, redact: [output.code]}\n",
        by="tests",
    )
    run = start_run("wait", {}).run
    give_order(run.id, Verb.SIGNAL, by="bank", ask=Ask(signal="s", arguments={"code": CARD}, has_arguments=True))
    drive(lambda: fetch(run).inbox_done == 1)
    assert fetch(run).signals[0]["payload"] == {"code": MASK}
    assert state_of(run).signals[0].payload == {"code": CARD}
    assert_no_table_tells()
    assert faults_of(run) == []


def test_what_a_sub_saga_gives_back_is_sealed_on_its_way(transactional_db):
    publish(
        "saga: inner\noutput: {token: '${steps.a.output.token}'}\nsteps:\n"
        "  - {name: a, action: redaction.call, compensation: none, redact: [output.token]}\n",
        by="tests",
    )
    publish("saga: outer\nsteps:\n  - {name: i, run: inner, redact: [output.token]}\n"
            "  - {name: use, action: redaction.call, with: {t: '${steps.i.output.token}'}, compensation: none}\n",
            by="tests")  # fmt: skip
    run = start_run("outer", {}).run
    drive()
    assert fetch(run).status == "completed"
    assert CALLS[-1] == ("use:action", {"t": TOKEN})
    assert_no_table_tells()
    assert faults_of(run) == []
    inner = SagaRun.objects.get(parent=run)
    again = children.start(run.id, fetch(run).token, "inner", {}, key=inner.start_key, step="i", depth=0)
    assert again == Succeeded({"token": TOKEN})


# ---- starting ----------------------------------------------------------------


def test_the_same_input_is_the_same_start_also_after_the_key_was_changed(started, settings):
    assert not start_run("charge", INPUT).is_new
    with pytest.raises(KeyReusedError):
        start_run("charge", INPUT | {"card": {"number": "other", "pin": PIN}})
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert not start_run("charge", INPUT).is_new


def test_the_hash_of_a_redacted_input_cannot_be_guessed_from_the_input(started):
    text = json.dumps(INPUT, sort_keys=True, separators=(",", ":"))
    assert fetch(started).input_hash != hashlib.sha256(text.encode()).hexdigest()


def test_what_is_wrong_with_a_redacted_input_is_told_without_it(transactional_db):
    publish(SOURCE.replace("KIND", "call"), by="tests")
    with pytest.raises(InputInvalidError) as caught:
        start_run("charge", INPUT | {"card": {"number": "9f"}})
    assert [problem.message for problem in caught.value.problems] == [
        "This does not fit the schema (minLength). What was found is redacted."
    ]


def test_a_rerun_has_what_was_masked_and_refuses_what_stands_for_nothing(started):
    drive()
    first = rerun(started.id, by="alice").run
    shown = fetch(started).input
    second = rerun(started.id, by="alice", value={**shown, "order": "A-2"}, has_input=True).run
    for run in (first, second):
        assert state_of(run).input["card"] == INPUT["card"]
        assert opened(fetch(run).input)["names"] == INPUT["names"]
    with pytest.raises(InputInvalidError, match="stands for a redacted value"):
        rerun(started.id, by="alice", value={**shown, "other": MASK}, has_input=True)
    assert_no_table_tells()


def test_no_value_from_outside_looks_like_a_sealed_one(started):
    for value in ({"$sealed": "x"}, {"a": [{"$sealed": "x", "b": 1}]}):
        with pytest.raises(InputInvalidError, match="must not have the key `\\$sealed`"):
            start_run("charge", INPUT | {"more": value})
