"""What a page offers at a step is what the law would take."""

from __future__ import annotations

import pytest

from sagas.catalog.load import load_version
from sagas.core import messages as m
from sagas.core.orders import refusal
from sagas.core.vocabulary import Phase, Verb
from sagas.engine import stored
from sagas.presentation import fragments, offers
from sagas.queries.run_detail import find_run_detail
from tests import factories as f

pytestmark = pytest.mark.django_db
HALVES = (Phase.ACTION, Phase.COMPENSATION)


def unsettled(now):
    """The shipment was tried once with no answer, and waits for its next try."""
    return f.Story(now, key="1").do(f.PAY, f.STOCK).retry(f.SHIP, 60, f.UNKNOWN, message="no answer").save()


def held(tell):
    def paused(now):
        run = tell(now)
        run.is_paused = True
        run.save()
        return run

    return paused


def cancelled_in_backoff(now):
    """A cancel waits for the shipment, of which nobody knows."""
    return f.Story(now, key="2").do(f.PAY).start(f.STOCK).turn(cause="cancel", by="ana").save()


STATES = (*f.EVERY_STATE, unsettled, cancelled_in_backoff)


@pytest.mark.parametrize("tell", [*STATES, *(held(tell) for tell in STATES)])
def test_an_order_is_offered_at_a_half_exactly_when_the_law_would_take_it(tell):
    now = f.frozen_now()
    run = tell(now)
    detail = find_run_detail(run.id)
    definition, state = load_version(run.version_id), stored.load_one(run)

    def takes(verb, step, phase=Phase.ACTION):
        asked = m.TakeOrder(number=1, verb=verb, by="", now=now, step=step.key, phase=phase)
        return refusal(definition, state, asked) is None

    for step in detail.steps:
        for phase in HALVES:
            assert offers.applies(detail, step, Verb.SETTLE, phase) == takes(Verb.SETTLE, step, phase), step.key
        for verb in (Verb.SKIP, Verb.GIVE_UP, Verb.RETRY, Verb.APPROVE):
            offered = any(offers.applies(detail, step, verb, phase) for phase in HALVES)
            assert offered == takes(verb, step), (step.key, verb)
        if offers.applies(detail, step, Verb.SIGNAL):
            sent = m.TakeOrder(number=1, verb=Verb.SIGNAL, by="", now=now, signal=step.wait.signal)
            assert refusal(definition, state, sent) is None


def test_a_settle_and_a_skip_never_stand_side_by_side_at_a_step_in_doubt():
    run = f.asking(f.frozen_now())
    detail = find_run_detail(run.id)
    found = [offer.verb for offer in offers.offers_of(detail, detail.find_step(f.STOCK))]
    assert found == [Verb.RETRY, Verb.SETTLE]


@pytest.mark.parametrize(
    ("tell", "primary"),
    [
        (f.in_flight, ""),
        (f.retrying, "retry"),
        (f.undo_failed, "retry"),
        (f.asking, "settle"),
        (f.failed_past_pivot, "retry"),
        (f.paused, "resume"),
        (f.completed, ""),
        (f.asking_for_approval, "approve"),
        (f.waiting_for_signal, ""),
        (f.sleeping, ""),
    ],
)
def test_the_likeliest_way_out_is_the_first_button(tell, primary):
    state = fragments.render_run_regions(tell(f.frozen_now()).id)["actions-state"]
    assert f'data-primary="{primary}"' in state


def test_the_buttons_at_a_step_lead_to_that_step_and_half():
    run = f.undo_failed(f.frozen_now())
    html = fragments.render_run_regions(run.id)["steps"]
    assert f"/runs/{run.id}/actions/settle/?step=process_payment&amp;phase=compensation" in html
    assert f"/runs/{run.id}/actions/give-up/?step=process_payment" in html
    assert "/actions/skip/" not in html


@pytest.mark.parametrize(("verb", "words"), [("give_up", "give up"), ("levitate_now", "levitate now"), (None, "None")])
def test_a_verb_is_words(verb, words):
    assert offers.verb_words(verb) == words
