"""Simulations of steps that call services: scripted like others, and accepted first where they may be."""

from __future__ import annotations

import pytest

from sagas.core import messages as m
from sagas.core.document import check_source, compile_document
from sagas.core.failure_matrix import failure_matrix
from sagas.core.script import SimulationInvalidError
from sagas.core.simulate import simulate

SOURCE = """
saga: reserve
steps:
  - name: look
    action: {http: {service: inventory, method: GET, path: "/goods/${input.sku}"}}
  - name: reserve
    action: {http: {service: inventory, path: "/goods/${steps.look.output.id}", async: true}}
    timeout: 20s
    retry: {attempts: 1}
    probe: {http: {service: inventory, path: "/goods/${step.input.path}"}}
    compensation: {action: {http: {service: inventory, method: DELETE, path: "/goods/${input.sku}"}}}
  - name: tell
    action: {command: {service: mail, name: send}}
    timeout: 1m
    compensation: none
"""


def definition(source=SOURCE):
    return compile_document(check_source(source, {}).document, {})


def run(faults=None, source=SOURCE, **more):
    return simulate(definition(source), {"sku": "cup"}, faults, **more)


def kinds(simulation, step):
    return [type(event) for event, _ in simulation.journal if getattr(event, "step", "") == step]


def test_without_a_script_every_service_answers_at_once():
    found = run()
    assert (found.status, found.took_s) == ("completed", 0.0)
    assert {note.code for note in found.notes} == {"output_missing"}


def test_what_is_accepted_is_called_back_about():
    found = run(
        {
            "look": {"outcome": "succeeded", "output": {"id": "a/1"}},
            "reserve": {"outcome": "succeeded", "output": 7, "accepted": True},
            "tell": {"outcome": "succeeded", "accepted": True},
        }
    )
    assert (found.status, found.notes) == ("completed", ())
    assert kinds(found, "reserve") == [m.AttemptStarted, m.AttemptAccepted, m.AttemptEnded]
    accepted = [event.by for event, _ in found.journal if isinstance(event, m.AttemptAccepted)]
    assert accepted == ["inventory", "mail"]
    assert next(event.input for event, _ in found.journal if getattr(event, "step", "") == "reserve") == {
        "path": "/goods/a%2F1"
    }


def test_a_slow_service_calls_back_in_the_last_moment():
    found = run({"reserve": {"outcome": "succeeded", "accepted": True}}, is_slow=True)
    assert found.status == "completed"
    assert found.took_s == 30.0 + 20.0 + 60.0


@pytest.mark.parametrize(("outcome", "status"), [("rejected", "failed"), ("failed", "failed")])
def test_a_callback_may_say_no(outcome, status):
    found = run({"reserve": {"outcome": outcome, "accepted": True}})
    assert (found.status, found.state.step(("reserve", -1)).status) == ("compensated", status)


@pytest.mark.parametrize(("happened", "status"), [(True, "completed"), (False, "compensated")])
def test_silence_takes_the_time_out_and_then_the_probe_tells_the_truth(happened, status):
    found = run({"reserve": {"outcome": "unknown", "happened": happened, "accepted": True}})
    assert (found.status, found.took_s >= 20.0) == (status, True)
    assert m.AttemptAccepted in kinds(found, "reserve")


def test_a_cancel_while_a_callback_is_awaited_waits_a_minute_more():
    faults = {"reserve": {"outcome": "unknown", "accepted": True}, "reserve.probe": "unknown"}
    source = SOURCE.replace("timeout: 20s", "timeout: 1h")
    found = run(faults, source, orders=[{"verb": "cancel", "at_s": 5}])
    assert found.status == "compensated"
    turned = next(at for event, at in found.journal if isinstance(event, m.TurnRequested))
    ended = next(at for event, at in found.journal if isinstance(event, m.AttemptEnded) and event.step == "reserve")
    assert (ended - turned).total_seconds() == 60.0


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"look": {"outcome": "succeeded", "accepted": True}}, "Only a command, or a request that is `async`"),
        ({"reserve.compensation": {"outcome": "succeeded", "accepted": True}}, "Only a command, or a request"),
        ({"reserve": {"outcome": "succeeded", "accepted": 1}}, "`accepted` is true or false"),
        ({"reserve": {"outcome": "worker_lost", "accepted": True}}, "does not touch what a service has taken on"),
        ({"reserve": {"outcome": "succeeded", "acepted": True}}, "Did you mean `accepted`?"),
    ],
)
def test_a_script_that_cannot_be_is_refused(faults, message):
    with pytest.raises(SimulationInvalidError, match=message):
        run(faults)


def test_the_matrix_knows_services():
    rows = failure_matrix(definition(), {"sku": "cup"})
    assert {row.step for row in rows} == {"", "look", "reserve", "tell"}
