"""Services that act by themselves: what is seen of them makes a run, in whatever order it comes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.catalog.publish import publish
from sagas.choreography import router
from sagas.core.vocabulary import Verb
from sagas.engine.orders import Ask, give_order
from sagas.models import EventRoute, EventState, RouteState, SagaEvent, SagaRun, StepRun
from sagas.queries.runs import RunFilter, matching
from tests.choreography.conftest import event, send, settle, the_run
from tests.choreography.documents import WATCHED

HAPPY = ("order.placed", "payment.taken", "stock.reserved", "order.shipped")
SHORT = ("order.placed", "payment.taken", "stock.short", "payment.refunded")
LOST = ("order.placed", "payment.taken", "stock.reserved", "shipment.failed", "stock.restored", "payment.refunded")
REFUSED = ("order.placed", "payment.refused")
ENDS = {HAPPY: "completed", SHORT: "compensated", LOST: "compensated", REFUSED: "compensated"}


@pytest.fixture
def watched():
    """Publish the order choreography of services that act by themselves."""
    return publish(WATCHED, by="tests").version.saga


@pytest.mark.parametrize("story", ENDS)
def test_a_run_ends_as_its_events_say(watched, story):
    for kind in story:
        send(event(kind))
    settle()
    run = the_run()
    assert run.status == ENDS[story]
    assert not StepRun.objects.filter(run=run, status__in=["waiting", "pending"]).exists()
    assert run.watch["received"] == len(story)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_events_tripled_and_shuffled_end_a_run_the_same_way(watched, data):
    number = SagaRun.objects.count()
    for story, end in ENDS.items():
        number += 1
        order = f"o{number}"
        kinds = data.draw(st.permutations(story * 3))
        for kind in kinds:
            send(event(kind, order))
        settle()
        run = the_run(order)
        assert (run.status, run.watch["received"]) == (end, len(story)), kinds
        assert not EventRoute.objects.filter(correlation=order).exclude(run=run).exists()


def test_an_event_that_comes_before_its_run_is_kept_visibly_and_given_to_it_later(watched):
    send(event("stock.reserved"))
    assert EventRoute.objects.get().state == RouteState.PARKED
    send(event("payment.taken"))
    assert EventRoute.objects.get(event__type="payment.taken").state == RouteState.BUFFERED
    send(event("order.placed"))
    settle()
    assert set(EventRoute.objects.values_list("state", flat=True)) == {"delivered"}
    assert the_run().waiting_for == "event"
    send(event("order.shipped"))
    settle()
    assert the_run().status == "completed"


def test_what_is_buffered_too_long_is_parked_where_people_see_it(watched, monkeypatch):
    send(event("payment.taken"))
    later = router._clock.now() + timedelta(minutes=11)
    assert router.park_expired(10) == 0
    monkeypatch.setattr(router._clock, "now", lambda: later)
    assert router.park_expired(10) == 1
    route = EventRoute.objects.get()
    assert (route.state, route.why) == ("parked", "No run began while it was kept.")


def test_an_event_that_nobody_names_is_an_orphan_and_one_without_its_value_is_kept(watched):
    send(event("weather.changed"))
    assert SagaEvent.objects.get().state == EventState.ORPHAN
    send(event("order.placed", None, "x"))
    route = EventRoute.objects.get()
    assert (route.state, "correlate" in route.why) == ("uncorrelated", True)
    assert not SagaRun.objects.exists()


def test_the_same_event_again_is_accepted_counted_and_ignored(watched):
    send(event("order.placed"))
    taken = send(event("order.placed"), event("order.placed"))
    assert (taken.accepted, taken.duplicates) == (0, 2)
    assert SagaEvent.objects.get().duplicates == 2
    settle()
    assert the_run().watch["received"] == 1


def test_a_service_that_is_late_is_said_to_be(watched):
    source = WATCHED.replace("within: 1m", "within: 50ms")
    publish(source, by="tests")
    send(event("order.placed"))
    settle()
    run = the_run()
    row = StepRun.objects.get(run=run, step="take_payment")
    assert (row.status, row.halves["reacting"]["is_late"]) == ("waiting", True)
    assert run.status == "running"


def test_past_its_deadline_a_run_asks_for_attention_until_its_end_comes(watched):
    publish(WATCHED.replace("deadline: 30m", "deadline: 50ms"), by="tests")
    send(event("order.placed"))
    settle()
    run = the_run()
    assert (run.status, run.is_overdue, run.attention[0]["code"]) == ("needs_attention", True, "overdue")
    for kind in HAPPY[1:]:
        send(event(kind))
    settle()
    assert the_run().status == "completed"


def test_events_to_a_run_that_was_terminated_are_kept_and_change_nothing(watched):
    send(event("order.placed"))
    settle()
    give_order(the_run().id, Verb.TERMINATE, by="alice", ask=Ask(reason="enough"))
    send(event("payment.taken"), event("payment.refused", event_id="late"))
    settle()
    run = the_run()
    assert (run.status, run.watch["late"]) == ("terminated", 2)
    assert EventRoute.objects.filter(state=RouteState.LATE).count() == 2


def test_each_value_has_a_run_of_its_own_and_events_that_belong_together_come_in_one_batch(watched):
    send(*(event(kind, str(number)) for kind in HAPPY for number in range(20)))
    settle()
    assert SagaRun.objects.filter(status="completed").count() == 20


def test_choreographed_runs_stand_in_the_same_list_and_are_found_by_their_style(watched):
    send(event("order.placed"))
    settle()
    run = the_run()
    assert list(matching(RunFilter(style="choreography"))) == [run]
    assert not matching(RunFilter(style="orchestration")).exists()
    assert list(matching(RunFilter(waiting_for="event", saga="order", search="7"))) == [run]
