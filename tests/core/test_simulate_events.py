"""Choreographed runs on paper: services that tell, refuse or say nothing, and events from outside."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.evolve import replay
from sagas.core.example import example_input
from sagas.core.failure_cases import Case
from sagas.core.failure_matrix import failure_matrix
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate
from sagas.core.vocabulary import CompensationStatus, RunStatus, StepStatus
from tests.choreography.documents import ORDER, WATCHED
from tests.choreography.redacted import SECRETS, SOURCE, TOKEN, placed

pytestmark = pytest.mark.pure

FACTS = {"engine.plain": ActionFacts()}
PAID_OUTSIDE = """
saga: paid-outside
style: choreography
starts_on: [order.placed, order.imported]
correlate: ${event.data.order.id}
completes_on: [order.shipped]
compensated_on: [stock.freed]
publishes: {shop: [order.placed], importer: [order.imported], bank: [money.came], customer: [order.withdrawn]}
early: {order.withdrawn: drop}
reactions:
  - name: reserve
    service: inventory
    on: [order.placed, order.imported]
    action: engine.plain
    emits: {succeeded: stock.reserved}
  - name: ship
    service: shipping
    on: [money.came]
    action: engine.plain
    compensation: none
    with: {to: "${event.data.order.address}", colli: "${event.data.packed.size()}"}
    emits: {succeeded: order.shipped}
  - name: pack
    service: inventory
    on: [stock.reserved]
    action: engine.plain
    with: {parts: "${event.data.parts.size()}"}
    compensation: none
  - name: free
    service: inventory
    on: [order.withdrawn]
    undoes: reserve
    action: engine.plain
    emits: {succeeded: stock.freed}
"""


def compiled(source: str):
    checked = check_source(source, FACTS)
    assert checked.problems == ()
    return compile_document(checked.document, FACTS)


HERE, AROUND, OUTSIDE = compiled(ORDER), compiled(WATCHED), compiled(PAID_OUTSIDE)
DATA = {"order_id": "7"}
PARTS = {"order": {"id": "7", "address": "a"}, "packed": [1], "parts": []}


def event(kind: str, **more) -> dict:
    return {"verb": "event", "type": kind, **more}


def told(run) -> tuple:
    return run.status.value, list(zip(run.undone, run.undone_by, strict=True)), [one.step for one in run.leftovers]


def lacks(run) -> list[tuple]:
    return [(one.reaction, one.events, one.services) for one in run.missing]


def came(run) -> list[str]:
    return [line["event"]["type"] for line in run.trace if line["kind"] == "event_received"]


UNDONE = [("reserve_stock", "restore_stock"), ("take_payment", "refund_payment")]


@pytest.mark.parametrize("definition", [HERE, AROUND], ids=["done here", "only watched"])
def test_what_is_refused_is_undone_by_the_reactions_that_undo_it_in_their_order(definition):
    assert told(simulate(definition, DATA)) == ("completed", [], [])
    assert told(simulate(definition, DATA, {"take_payment": "rejected"})) == ("compensated", [], [])
    assert told(simulate(definition, DATA, {"reserve_stock": "rejected"})) == ("compensated", UNDONE[1:], [])
    run = simulate(definition, DATA, {"ship": "rejected"})
    assert told(run) == ("compensated", UNDONE, [])
    assert (run.reason["cause"], run.reason["code"], run.took_s) == ("event", "shipment.failed", 0)
    assert came(run)[-3:] == ["shipment.failed", "stock.restored", "payment.refunded"]


def test_what_is_refused_and_told_to_nobody_is_for_a_person_and_stays():
    run = simulate(HERE, DATA, {"ship": "rejected", "restore_stock": "failed"})
    assert told(run) == ("needs_attention", [], ["take_payment", "reserve_stock"])
    assert (run.attention, run.missing) == (["restore_stock"], ())


def test_an_undo_that_may_have_happened_leaves_a_question():
    for happened, left in ((True, []), (False, [("take_payment", True)]), (None, [("take_payment", False)])):
        lost = {"outcome": "unknown"} if happened is None else {"outcome": "unknown", "happened": happened}
        run = simulate(HERE, DATA, {"reserve_stock": "rejected", "refund_payment": lost})
        assert [(one.step, one.is_certain) for one in run.leftovers] == left


def test_a_service_that_says_nothing_is_named_and_the_deadline_asks_a_person():
    run = simulate(AROUND, DATA, {"ship": "never"})
    assert told(run) == ("needs_attention", [], ["take_payment", "reserve_stock"])
    assert lacks(run) == [("ship", ("order.shipped", "shipment.failed"), ("shipping",))]
    assert (run.took_s, [note.code for note in run.notes]) == (1800, ["overdue"])
    late = simulate(AROUND, DATA, {"take_payment": "never"})
    assert [(line["at_s"], line["step"]) for line in late.trace if line["kind"] == "reaction_overdue"] == [
        (60, "take_payment")
    ]
    endless = simulate(compiled(WATCHED.replace("deadline: 30m\n", "")), DATA, {"ship": "never"})
    assert (endless.status.value, endless.took_s) == ("waiting", 0)


def test_an_undo_of_which_nobody_tells_is_missing():
    orders = [event("payment.refunded")]
    run = simulate(AROUND, DATA, {"ship": "never"}, orders=orders)
    assert lacks(run) == [("ship", ("order.shipped", "shipment.failed"), ("shipping",))]
    run = simulate(AROUND, DATA, orders=orders)  # after the end: it opens the run again
    assert (run.status.value, run.undone) == ("needs_attention", [])
    assert lacks(run) == [
        ("take_payment", ("payment.refunded",), ("payments",)),
        ("reserve_stock", ("stock.restored",), ("inventory",)),
    ]


# ---- events from outside --------------------------------------------------------------


def test_an_end_that_comes_from_outside_is_missing_until_it_comes():
    run = simulate(OUTSIDE, PARTS)
    assert (run.status.value, lacks(run)) == (
        "waiting", [("", ("money.came", "order.withdrawn"), ("bank", "customer"))]
    )  # fmt: skip
    assert told(simulate(OUTSIDE, PARTS, orders=[event("money.came")])) == ("completed", [], [])
    run = simulate(OUTSIDE, PARTS, orders=[event("order.withdrawn", at_s=60)])
    assert (told(run), run.took_s) == (("compensated", [("reserve", "free")], []), 60)


def test_an_event_comes_while_a_reaction_is_under_way():
    run = simulate(OUTSIDE, PARTS, orders=[event("money.came", during="reserve")])
    assert came(run) == ["order.placed", "money.came", "stock.reserved", "order.shipped"]
    assert run.status.value == "completed"


def test_an_event_that_comes_twice_is_taken_once_and_another_of_its_type_is_not():
    twice = [event("money.came", id="1"), event("money.came", id="1")]
    run = simulate(OUTSIDE, PARTS, orders=twice)
    assert came(run).count("money.came") == 1
    assert [note.code for note in run.notes] == ["duplicate"]
    run = simulate(OUTSIDE, PARTS, orders=[event("money.came", at_s=0), event("money.came", at_s=0)])
    assert came(run).count("money.came") == 2
    assert run.steps[1]["attempts_made"] == 2


def test_what_comes_early_is_kept_dropped_or_begins_the_run():
    run = simulate(OUTSIDE, PARTS, orders=[event("money.came", early=True)])
    assert came(run)[:2] == ["order.placed", "money.came"]
    assert (run.status.value, [note.code for note in run.notes]) == ("completed", ["event_kept"])
    run = simulate(OUTSIDE, PARTS, orders=[event("order.withdrawn", early=True)])
    assert (came(run)[:1], [note.code for note in run.notes]) == (["order.placed"], ["event_dropped"])
    assert "order.withdrawn" not in came(run)
    run = simulate(OUTSIDE, {}, orders=[event("order.imported", early=True, data={"order": {"id": "9"}})])
    assert (came(run)[0], run.state.key) == ("order.imported", "9")
    run = simulate(AROUND, DATA, orders=[event("order.shipped", early=True)])
    assert (run.status.value, came(run)[:2]) == ("completed", ["order.placed", "order.shipped"])
    starts = compiled(PAID_OUTSIDE.replace("order.withdrawn: drop", "money.came: start"))
    run = simulate(starts, PARTS, orders=[event("money.came", early=True)])
    assert came(run)[:2] == ["money.came", "order.placed"]


def test_what_comes_after_the_end_is_late():
    run = simulate(AROUND, DATA, orders=[event("payment.taken", at_s=5, id="again")])
    assert came(run)[-1] == "order.shipped", "it opened the run again"
    run = simulate(OUTSIDE, PARTS, orders=[event("money.came"), event("order.shipped", at_s=9)])
    assert [line["at_s"] for line in run.trace if line.get("is_late")] == [9]


def test_data_that_a_service_did_not_give_is_supposed():
    run = simulate(OUTSIDE, {"order": {"id": 1}, "packed": []}, orders=[event("money.came")])
    assert run.status.value == "completed"
    assert [(note.code, note.step) for note in run.notes] == [("output_missing", "pack")]
    run = simulate(OUTSIDE, {"order": {"id": 1}}, orders=[event("money.came")])
    assert (run.status.value, run.attention) == ("needs_attention", ["ship"]), "the bank's event is the script's"
    output = {"reserve": {"outcome": "succeeded", "output": {"parts": [1, 2]}}}
    run = simulate(OUTSIDE, PARTS, output, orders=[event("money.came")])
    assert [line["input"] for line in run.trace if line["kind"] == "attempt_started" and line["step"] == "pack"] == [
        {"parts": 2}
    ]


def test_what_is_redacted_is_shown_as_dots():
    output = {"outcome": "succeeded", "output": {"token": TOKEN, "receipt": "R-1"}}
    run = simulate(compiled(SOURCE), placed().data, {"take_payment": output, "ship": "rejected"})
    assert told(run) == ("compensated", [("take_payment", "refund_payment")], [])
    text = json.dumps(run.as_json())
    assert "R-1" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_an_input_is_made_of_what_is_read_of_events():
    assert example_input(OUTSIDE) == {"order": {"id": 1, "address": 1}, "packed": 1, "parts": 1}
    assert example_input(HERE) == {"order_id": 1}


def test_retries_for_ever_are_said_to_be_so():
    endless = ORDER.replace(
        "defaults: {timeout: 5s, retry: {attempts: 2,", "defaults: {timeout: 5s, retry: {attempts: forever,"
    )
    run = simulate(compiled(endless.replace("deadline: 30m\n", "")), DATA, {"ship": "failed"})
    assert run.status.value == "still_retrying"


@pytest.mark.parametrize(
    ("faults", "orders", "said"),
    [
        ({"shp": "failed"}, [], "The saga has no reaction `shp`. Did you mean `ship`?"),
        ({"ship": "failed"}, [], "`ship` cannot end as `failed`; it can as `succeeded`, `rejected`, `never`."),
        ({"restore_stock": "rejected"}, [], "it can as `succeeded`, `never`."),
        ({"ship.compensation": "failed"}, [], "Reaction `ship` has no compensation, so none can go wrong."),
        ({"ship.probe": "unknown"}, [], "Reaction `ship` has no probe, so none can be asked."),
        ({}, [event("order.shiped")], 'The choreography names no event "order.shiped". Did you mean `order.shipped`?'),
        ({}, [event({})], "The choreography names no event"),
        ({}, [event("order.placed", early="yes")], "`early` is true or false"),
        ({}, [event("order.placed", early=True, at_s=1)], "say no other time"),
        ({}, [event("order.placed", at_s=-1)], "`at_s` is a number of seconds after the start."),
        ({}, [event("order.placed", id="")], "`id` is text of 1 to"),
        ({}, [event("order.placed", source=7)], "`source` is text of 1 to"),
        ({}, [event("order.placed", data="\0")], ""),
        ({}, [event("order.placed", sources="a")], "`sources` is not known here. Did you mean `source`?"),
        ({}, [event("order.placed")] * 101, "At most 100 orders and events can be given."),
    ],
)
def test_what_a_choreography_cannot_be_asked_is_refused(faults, orders, said):
    with pytest.raises(SimulationInvalidError) as refused:
        simulate(AROUND, DATA, faults, orders=orders)
    assert said in refused.value.problems[0].message
    assert refused.value.problems[0].pointer.startswith(("/faults", "/orders"))


def test_an_event_without_a_correlation_value_begins_nothing():
    with pytest.raises(SimulationInvalidError) as refused:
        simulate(HERE, {})
    assert refused.value.problems[0].pointer == "/input"


def test_no_script_gives_what_only_runs_and_events_order():
    saga = compile_document(
        {"saga": "a", "steps": [{"name": "x", "action": "engine.plain", "compensation": "none"}]}, FACTS
    )
    for verb in ("event", "report", "undo"):
        with pytest.raises(SimulationInvalidError, match=r"must be one of|take no events"):
            simulate(saga, {}, orders=[{"verb": verb}])


# ---- the law --------------------------------------------------------------------------

ENDINGS = st.sampled_from(["succeeded", "rejected", "failed", "unknown", "worker_lost"])
WATCHED_ENDINGS = st.sampled_from(["succeeded", "never"])
NAMES = [one.name for one in HERE.steps]
EVENTS = st.lists(
    st.builds(event, st.sampled_from(sorted(HERE.choreography.types)), at_s=st.none() | st.integers(0, 2000),
              id=st.sampled_from("abc")), max_size=4,
)  # fmt: skip


def violations(run) -> list[str]:
    """Return what is wrong with a run on paper by the law of choreographies."""
    state, found = run.state, []
    if replay(run.journal) != state:
        found.append("S4 the journal does not replay to the state")
    if state.status.is_final and state.open:
        found.append("S1 something is under way in a run that has ended")
    emitted = [line["event"]["id"] for line in run.trace if line["kind"] == "event_received" and line.get("emitter")]
    if len(emitted) != len(set(emitted)):
        found.append("C2 an event was emitted twice")
    if state.status is RunStatus.COMPENSATED:
        found += [
            f"S2 {key} stays done"
            for key, step in state.steps.items()
            if step.status in {StepStatus.SUCCEEDED, StepStatus.IN_DOUBT} and not step.reacting.undoes
            and step.compensation_status in {CompensationStatus.NONE, CompensationStatus.PENDING}
        ]  # fmt: skip
    return found


@given(faults=st.dictionaries(st.sampled_from(NAMES), ENDINGS | st.lists(ENDINGS, max_size=3)), orders=EVENTS)
def test_whatever_reactions_come_to_the_law_holds_on_paper(faults, orders):
    run = simulate(HERE, DATA, faults, orders=orders)
    assert violations(run) == []
    assert not run.cut_short
    json.dumps(run.as_json())


@given(faults=st.dictionaries(st.sampled_from(NAMES), WATCHED_ENDINGS), orders=EVENTS)
def test_whatever_services_say_the_law_holds_on_paper(faults, orders):
    run = simulate(AROUND, DATA, faults, orders=orders)
    assert violations(run) == []
    if run.status.value in {"waiting", "needs_attention"}:
        assert run.missing, "who is waited for is said"


# ---- the matrix -----------------------------------------------------------------------


def rows(definition, value):
    return {(row.step, row.case): row for row in failure_matrix(definition, value)}


def test_the_matrix_tries_every_reaction_with_everything_that_can_become_of_it():
    found = rows(HERE, DATA)
    of_calls = {Case.REJECTED, Case.FAILED, Case.UNKNOWN_BEFORE, Case.UNKNOWN_AFTER, Case.WORKER_LOST,
                Case.WORKER_LOST_ALWAYS}  # fmt: skip
    assert set(found) == {("", Case.NOTHING), *((name, case) for name in NAMES for case in of_calls)}
    watched = {
        **{(name, Case.SAYS_NOTHING): "needs_attention" for name in NAMES},
        **{(name, Case.REJECTED): "compensated" for name in NAMES[:3]},
        ("", Case.NOTHING): "completed",
    }
    assert {key: row.simulation.status.value for key, row in rows(AROUND, DATA).items()} == watched


def test_the_matrix_comes_to_what_undoes_by_what_is_refused_before_it():
    row = rows(HERE, DATA)["restore_stock", Case.FAILED]
    assert row.faults == {"ship": "rejected", "restore_stock": "failed"}
    assert told(row.simulation) == ("needs_attention", [], ["take_payment", "reserve_stock"])
    assert told(rows(HERE, DATA)["restore_stock", Case.WORKER_LOST].simulation) == ("compensated", UNDONE, [])


def test_the_matrix_lets_events_come_from_outside_and_not():
    found = rows(OUTSIDE, PARTS)
    assert found["", Case.NOTHING].orders == (event("money.came"),)
    assert found["", Case.NOTHING].simulation.status.value == "completed"
    assert found["money.came", Case.NEVER_COMES].simulation.status.value == "waiting"
    withdrawn = found["order.withdrawn", Case.COMES]
    assert told(withdrawn.simulation) == ("compensated", [("reserve", "free")], [])
    imported = found["order.imported", Case.NOTHING].simulation
    assert (came(imported)[0], imported.status.value) == ("order.imported", "completed")
    assert {name for name, _ in found} == {"", *OUTSIDE.by_name, "money.came", "order.withdrawn", "order.imported"}
    assert found["free", Case.FAILED].orders == (event("order.withdrawn"),)


def test_a_line_of_the_matrix_says_which_script_led_there():
    for row in failure_matrix(AROUND, DATA):
        again = simulate(AROUND, DATA, row.faults, orders=row.orders)
        assert again.as_json() == row.simulation.as_json()
        assert row.as_json()["missing"] == row.simulation.as_json()["missing"]
