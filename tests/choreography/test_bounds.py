"""Very many events of one run, events that go round, an event that arrives before its cause, and two at one moment."""

from __future__ import annotations

import os
import threading

from django.db import connections

from sagas.catalog.publish import publish
from sagas.choreography.router import route_waiting
from sagas.core.limits import EVENT_DEPTH_MAX
from sagas.core.vocabulary import Verb
from sagas.engine.orders import give_order
from sagas.models import EventRoute, SagaEvent, SagaRun, StepRun
from tests.choreography.conftest import event, send, settle, the_run
from tests.choreography.documents import WATCHED
from tests.engine import actions

MANY = 10_000 if os.environ.get("HYPOTHESIS_PROFILE") == "prove" else 1_500
METER = """
saga: meter
style: choreography
starts_on: [meter.opened]
correlate: ${event.data.order_id}
completes_on: [meter.closed]
publishes: {field: [meter.opened, meter.read, meter.closed]}
reactions:
  - {name: book, service: books, on: [meter.read], action: engine.plain, compensation: none}
"""
PING = """
saga: ping
style: choreography
starts_on: [ball.pong]
correlate: ${event.data.order_id}
completes_on: [ball.ping]
publishes: {court: [ball.pong]}
reactions:
  - {name: hit, service: left, on: [ball.pong], action: engine.plain, compensation: none, emits: {succeeded: ball.ping}}
"""


def test_very_many_events_of_one_run_each_have_their_reaction(transactional_db):
    publish(METER, by="tests")
    send(event("meter.opened"))
    for begin in range(0, MANY, 500):
        send(*(event("meter.read", event_id=f"r{number}") for number in range(begin, begin + 500)))
        settle()
    run = the_run()
    assert StepRun.objects.filter(run=run, status="succeeded").count() == MANY
    assert len(actions.CALLS) == MANY
    assert run.status == "running"
    send(event("meter.closed"))
    settle()
    run = the_run()
    assert (run.status, run.watch["received"], run.watch["begun"]) == ("completed", MANY + 2, {"book": MANY})


def test_events_that_came_together_are_handed_on_in_their_order(transactional_db):
    ids = [f"r{number}" for number in range(300)]
    send(*(event("meter.read", event_id=one) for one in ids))
    assert list(SagaEvent.objects.order_by("id").values_list("event_id", flat=True)) == ids


def test_events_that_go_round_between_two_sagas_are_stopped_and_flagged(transactional_db):
    publish(PING, by="tests")
    other = PING.replace("saga: ping", "saga: pong").replace("ball.ping", "ball.x").replace("ball.pong", "ball.ping")
    publish(other.replace("ball.x", "ball.pong"), by="tests")
    send(event("ball.pong"))
    for _ in range(EVENT_DEPTH_MAX + 5):
        settle()
        if not route_waiting(100):
            break
    settle()
    stuck = SagaRun.objects.get(status="needs_attention")
    assert stuck.attention[0]["code"] == "event_loop"
    assert SagaEvent.objects.order_by("-depth").first().depth == EVENT_DEPTH_MAX + 1
    assert SagaEvent.objects.count() == EVENT_DEPTH_MAX + 2
    give_order(stuck.id, Verb.RETRY, by="alice")
    settle()
    assert SagaEvent.objects.count() == EVENT_DEPTH_MAX + 3


def test_an_event_that_arrives_before_its_cause_is_known_to_follow_from_it(transactional_db):
    publish(WATCHED, by="tests")
    send(event("order.placed"))
    send(event("order.shipped", cause="7-stock.reserved"))
    send(event("payment.taken", cause="7-order.placed"), event("stock.reserved", cause="7-payment.taken"))
    settle()
    assert the_run().status == "completed"
    assert SagaEvent.objects.get(type="order.shipped").depth == 0
    assert SagaEvent.objects.get(type="stock.reserved").depth == 2


def test_many_at_one_moment_begin_one_run_and_lose_no_event(transactional_db):
    publish(WATCHED, by="tests")
    kinds = ["order.placed", "payment.taken", "stock.reserved", "order.shipped"] * 3
    gate, faults = threading.Barrier(len(kinds)), []

    def tell(kind):
        try:
            gate.wait()
            send(event(kind))
        except Exception as error:  # noqa: BLE001 - told by the test
            faults.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tell, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle()
    assert faults == []
    run = the_run()
    assert (run.status, run.watch["received"]) == ("completed", 4)
    assert set(EventRoute.objects.values_list("state", "run_id")) == {("delivered", run.id)}
