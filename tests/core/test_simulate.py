"""Runs on paper: the decider with scripted outcomes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import ActionFacts, Definition
from sagas.core.document import check_source, compile_document
from sagas.core.example import example_of
from sagas.core.failure_matrix import Case, failure_matrix
from sagas.core.schema import check_input
from sagas.core.script import COMPENSATION_MARK, PROBE_MARK, Ending, SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.core.vocabulary import INTERNAL, Verb
from tests.core.law import DEADLINE_S, PIVOT, linear, shapes
from tests.core.test_law_sampling import sagas
from tests.invariants import violations

PAY = """\
saga: buy
{more}
steps:
  - name: pay
    action: shop.pay
    compensation: {{action: shop.refund}}
    {pay}
  - name: ship
    action: shop.ship
    {ship}
"""


def saga(pay: str = "", ship: str = "compensation: none", more: str = "title: Buy", actions=None) -> Definition:
    checked = check_source(PAY.format(pay=pay, ship=ship, more=more), actions or {})
    assert checked.problems == ()
    return compile_document(checked.document, actions or {})


def told(run) -> tuple:
    return run.status.value, run.undone, [(one.step, one.is_certain) for one in run.leftovers]


def kinds(run) -> list[str]:
    return [f"{line['kind']} {line.get('step', '')}".strip() for line in run.trace]


# ---- how runs end ---------------------------------------------------------------


def test_everything_succeeds_where_nothing_is_said():
    run = simulate(saga(), {})
    assert told(run) == ("completed", [], [])
    assert (run.took_s, run.waited_s, run.notes) == (0, 0, ())
    assert kinds(run)[0] == "run_started"
    assert kinds(run)[-1] == "run_completed"


def test_a_refusal_turns_the_run_round_and_is_not_tried_again():
    run = simulate(saga(), {}, {"ship": "rejected"})
    assert told(run) == ("compensated", ["pay"], [])
    assert run.reason["step"] == "ship"
    assert run.steps[1]["attempts_made"] == 1


def test_a_failure_is_tried_again_after_the_waits_of_the_policy():
    run = simulate(saga(), {}, {"ship": ["failed", "failed"]})
    assert told(run) == ("completed", [], [])
    assert (run.took_s, run.waited_s) == (3.0, 3.0)
    assert [line["next_at_s"] for line in run.trace if line["kind"] == "retry_scheduled"] == [1.0, 3.0]


def test_an_unknown_outcome_takes_the_time_out_and_stays_behind_as_a_question():
    ship = "compensation: none\n    timeout: 10s\n    retry: {attempts: 2}"
    run = simulate(saga(ship=ship), {}, {"ship": "unknown"})
    assert told(run) == ("compensated", ["pay"], [("ship", False)])
    assert (run.took_s, run.waited_s) == (21.0, 1.0)


@pytest.mark.parametrize(("happened", "left"), [(True, [("ship", True)]), (False, [])])
def test_what_truly_became_of_an_unknown_outcome_decides_what_stays_behind(happened, left):
    run = simulate(saga(), {}, {"ship": {"outcome": "unknown", "happened": happened}})
    assert told(run) == ("compensated", ["pay"], left)


def test_an_atomic_action_is_never_unknown():
    run = simulate(saga(actions={"shop.ship": ActionFacts(is_atomic=True)}), {}, {"ship": "unknown"})
    assert told(run) == ("compensated", ["pay"], [])
    assert [note.code for note in run.notes] == ["atomic"]


def test_a_compensation_that_fails_needs_a_person_and_names_what_stays():
    run = simulate(saga(), {}, {"ship": "rejected", "pay.compensation": "rejected"})
    assert told(run) == ("needs_attention", [], [("pay", True)])
    assert run.attention == ["pay.compensation"]


def test_a_lost_worker_is_followed_by_another_and_five_in_a_row_are_enough():
    assert told(simulate(saga(), {}, {"ship": ["worker_lost"]})) == ("completed", [], [])
    run = simulate(saga(), {}, {"ship": "worker_lost"})
    assert told(run) == ("compensated", ["pay"], [("ship", False)])
    assert run.steps[1]["attempts_made"] == 5


def test_retrying_for_ever_is_said_plainly():
    run = simulate(saga(ship="pivot: true\n    retry: {attempts: forever}"), {}, {"ship": "failed"})
    assert told(run) == ("still_retrying", [], [("pay", True)])
    assert run.steps[1]["attempts_made"] == 10


def test_the_deadline_ends_what_would_be_retried_for_ever():
    run = simulate(saga("retry: {attempts: forever}", more="deadline: 5m"), {}, {"pay": "failed"})
    assert told(run) == ("compensated", [], [])
    assert run.took_s == 300.0
    assert run.reason["cause"] == "deadline"


def test_a_person_may_cancel_while_a_step_is_under_way_or_decide_at_the_end():
    run = simulate(saga(), {}, orders=[{"verb": "cancel", "during": "pay"}])
    assert told(run) == ("compensated", ["pay"], [])
    faults = {"ship": "rejected", "pay.compensation": "failed"}
    run = simulate(saga(), {}, faults, orders=[{"verb": "give_up"}])
    assert told(run) == ("partially_compensated", [], [("pay", True)])
    run = simulate(saga(), {}, {"pay": "unknown"}, orders=[{"verb": "terminate", "at_s": 1}])
    assert told(run) == ("terminated", [], [("pay", False)])


def test_what_a_script_says_of_attempts_that_never_came_is_noted():
    run = simulate(
        saga(), {}, {"pay.compensation": "failed"}, orders=[{"verb": "cancel", "during": "pay.compensation"}]
    )
    assert [note.code for note in run.notes] == ["not_reached", "not_reached"]


# ---- outputs ----------------------------------------------------------------------

READS = 'compensation: none\n    with: {note: "parcel of ${steps.pay.output.id}"}'


def test_a_missing_output_does_not_fail_the_step_and_is_noted():
    run = simulate(saga(ship=READS), {})
    assert told(run) == ("completed", [], [])
    (note,) = run.notes
    assert (note.code, note.step) == ("output_missing", "ship")
    assert "gives no output of `pay`" in note.message


def test_an_output_of_the_script_is_read_by_later_steps_and_fails_them_when_it_is_wrong():
    run = simulate(saga(ship=READS), {}, {"pay": {"outcome": "succeeded", "output": {"id": 7}}})
    assert next(line["input"] for line in run.trace if line.get("step") == "ship") == {"note": "parcel of 7"}
    run = simulate(saga(ship=READS), {}, {"pay": {"outcome": "succeeded", "output": {"number": 7}}})
    assert told(run) == ("compensated", ["pay"], [])
    assert run.reason["code"] == "expression_error"


def test_a_trace_holds_no_more_than_a_payload():
    big = {"outcome": "succeeded", "output": "x" * 200_000}
    run = simulate(saga(), {}, {"pay": big, "ship": big})
    assert [line.get("left_out") for line in run.trace if line["kind"] == "attempt_ended"] == [None, ["output"]]


# ---- bounds and bad scripts ----------------------------------------------------------


def test_a_simulation_is_cut_short_at_its_limit():
    many = "retry: {attempts: forever, initial: 0s, max: 0s}"
    run = simulate(saga(many, more="deadline: 5m"), {}, {"pay": "failed"})
    assert (run.status, run.cut_short) == ("cut_short", "entries")
    assert len(run.journal) < 10_010
    assert simulate(saga(), {}, is_over=lambda: True).cut_short == "time"


@pytest.mark.parametrize(
    ("faults", "pointer"),
    [
        ([], "/faults"),
        ({"shp": "failed"}, "/faults/shp"),
        ({"ship.compensation": "failed"}, "/faults/ship.compensation"),
        ({"ship": "fail"}, "/faults/ship"),
        ({"ship": 5}, "/faults/ship"),
        ({"ship": {}}, "/faults/ship"),
        ({"ship": {"outcome": "failed", "attempt": 0}}, "/faults/ship/attempt"),
        ({"ship": {"outcome": "failed", "attempt": True}}, "/faults/ship/attempt"),
        ({"ship": {"outcome": "failed", "output": 1}}, "/faults/ship/output"),
        ({"ship": {"outcome": "failed", "happened": True}}, "/faults/ship/happened"),
        ({"ship": {"outcome": "succeeded", "output": "x" * 300_000}}, "/faults/ship/output"),
        ({"ship": {"outcome": "failed", "atempt": 1}}, "/faults/ship/atempt"),
        ({"ship": ["failed", {"outcome": "failed", "attempt": 1}]}, "/faults/ship/1"),
        ({"ship": ["failed"] * 1001}, "/faults/ship"),
    ],
)
def test_a_script_that_cannot_be_followed_is_refused_with_its_place(faults, pointer):
    with pytest.raises(SimulationInvalidError) as refused:
        simulate(saga(), {}, faults)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


@pytest.mark.parametrize(
    "order", [{}, {"verb": "stop"}, {"verb": "cancel", "at_s": -1}, {"verb": "cancel", "during": "x"},
              {"verb": "cancel", "at_s": 1, "during": "pay"}, {"verb": "skip", "step": "x"}, {"verb": "pause", "by": 1}]
)  # fmt: skip
def test_an_order_that_cannot_be_given_is_refused(order):
    with pytest.raises(SimulationInvalidError):
        simulate(saga(), {}, orders=[order])


def test_an_input_is_checked_as_at_a_start():
    definition = saga(more='input: {type: object, required: [id]}\nkey: "${input.id}-${input.x}"')
    for value, pointer in (({}, "/input/id"), ({"id": 1}, "/input")):
        with pytest.raises(SimulationInvalidError) as refused:
            simulate(definition, value)
        assert refused.value.problems[0].pointer == pointer


# ---- inputs made from a schema ----------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}},
         "$defs": {"a": {"type": "array", "minItems": 2, "items": {"type": "number", "exclusiveMinimum": 3}}}},
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"enum": ["x"]}, "b": {"const": None}}},
        {"type": "string", "minLength": 12, "maxLength": 14},
        {"type": "string", "maxLength": 2},
        {"type": "string", "format": "email"},
        {"type": "integer", "minimum": 7, "multipleOf": 5},
        {"type": "integer", "maximum": -7},
        {"type": ["null", "string"]},
        {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
        {"type": "number", "default": 4.5},
        {"examples": [{"any": "thing"}]},
    ],
)  # fmt: skip
def test_an_input_made_from_a_schema_fits_it(schema):
    definition = Definition(saga="a", title="A", steps=(), input_schema=schema)
    assert check_input(definition, example_of(schema)) == ()


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"type": "object", "required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
     {"type": "array", "minItems": 10**9, "items": {"$ref": "#"}}, {"type": "string", "minLength": 10**12}],
)  # fmt: skip
def test_a_schema_that_asks_for_too_much_gets_little(schema):
    assert len(json.dumps(example_of(schema))) < 100_000


# ---- the matrix -------------------------------------------------------------------------


NOT_OF_CALLS = {Case.NOTHING, Case.NEVER_COMES, Case.PROBE_SILENT, Case.SAYS_NOTHING, Case.COMES}


def test_the_matrix_has_every_step_with_everything_that_can_go_wrong():
    rows = failure_matrix(saga(), {})
    of_calls = [case for case in Case if case not in NOT_OF_CALLS]
    assert [(row.step, row.case) for row in rows] == [
        ("", Case.NOTHING),
        *(("pay", case) for case in of_calls),
        *(("ship", case) for case in of_calls[:-1]),
    ]
    found = {(row.step, row.case): told(row.simulation) for row in rows}
    assert found["ship", Case.UNKNOWN_BEFORE] == ("compensated", ["pay"], [])
    assert found["ship", Case.UNKNOWN_AFTER] == ("compensated", ["pay"], [("ship", True)])
    assert found["pay", Case.COMPENSATION_FAILS] == ("needs_attention", [], [("pay", True)])


def test_the_worst_case_counts_every_time_out_and_the_longest_waits():
    rows = failure_matrix(saga(), {})
    worst = {(row.step, row.case): row.worst_s for row in rows}
    assert worst["", Case.NOTHING] == 60.0
    assert worst["pay", Case.FAILED] == pytest.approx(3 * 30 + 1.2 + 2.4)


def test_the_compensation_of_a_last_step_fails_after_a_cancel():
    rows = failure_matrix(saga(ship="compensation: {action: shop.call_back}"), {})
    assert (rows[-1].case, told(rows[-1].simulation)) == (
        Case.COMPENSATION_FAILS,
        ("needs_attention", [], [("pay", True), ("ship", True)]),
    )


@pytest.mark.parametrize("shape", [shape for length in (1, 2, 3) for shape in shapes(length)])
def test_every_row_of_the_matrix_of_every_small_saga_keeps_the_law(shape):
    for row in failure_matrix(linear(shape, attempts=2, deadline=PIVOT in shape), {}):
        assert_lawful(row.simulation)


# ---- the law ------------------------------------------------------------------------------


def assert_lawful(run) -> None:
    journal = [(place, event, at) for place, (event, at) in enumerate(run.journal, start=1)]
    assert violations(run.definition, journal, run.state) == []


ENDINGS = st.sampled_from([*sorted({*Ending} - {Ending.NEVER, Ending.NOT_DONE}), *["succeeded"] * 3]).map(str)
ANSWERS = st.sampled_from(sorted({*Ending} - {Ending.NEVER, Ending.FAILED})).map(str)
PARTS = ENDINGS | st.lists(ENDINGS, max_size=4)


@st.composite
def scripts(draw: st.DrawFn):
    """A saga, what goes wrong in it, and what is ordered."""
    definition = draw(st.one_of(sagas(), st.builds(linear, st.sampled_from(list(shapes(3))), deadline=st.booleans())))
    halves = [one.name for one in definition.steps]
    halves += [one.name + COMPENSATION_MARK for one in definition.steps if one.compensation is not None]
    faults = draw(st.dictionaries(st.sampled_from(halves), PARTS, max_size=5))
    if asked := [one.name + PROBE_MARK for one in definition.steps if one.probe is not None]:
        answers = ANSWERS | st.lists(ANSWERS, max_size=4)
        faults |= draw(st.dictionaries(st.sampled_from(asked), answers, max_size=3))
    steps = st.sampled_from([one.name for one in definition.steps])
    moments = st.one_of(
        st.just({}),
        st.builds(lambda at: {"at_s": at}, st.floats(0, DEADLINE_S * 2)),
        st.builds(lambda half: {"during": half}, st.sampled_from(halves)),
    )
    order = st.builds(
        lambda verb, step, moment: {"verb": verb.value, "step": step, **moment}
        if verb in {Verb.SKIP, Verb.SETTLE}
        else {"verb": verb.value, **moment},
        st.sampled_from(sorted({*Verb} - INTERNAL - {Verb.SIGNAL, Verb.APPROVE})), steps, moments,
    )  # fmt: skip
    return definition, faults, draw(st.lists(order, max_size=4)), draw(st.booleans())


@given(scripts())
def test_a_simulated_journal_keeps_the_law_and_replays_to_its_state(script):
    definition, faults, orders, is_slow = script
    run = simulate(definition, {}, faults, orders=orders, is_slow=is_slow)
    assert_lawful(run)
    assert run.cut_short == ""
    json.dumps(run.as_json())
