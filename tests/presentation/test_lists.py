"""Pages of runs with lists: the list, its items that matter, and how many more there are."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from sagas.catalog.load import load_version
from sagas.core import codec
from sagas.core import messages as m
from sagas.core.orders import refusal
from sagas.core.vocabulary import OutcomeKind, Phase, Role, StepKey, StepStatus, Verb
from sagas.engine import stored
from sagas.presentation import fragments, graph, journal, offers
from sagas.presentation.why import why
from sagas.queries.run_detail import Entry, find_run_detail
from tests import factories as f
from tests.list_runs import LOST, at_work, breaking, list_run, undo_breaking

pytestmark = pytest.mark.django_db
SHOWN = 50


@pytest.fixture
def operator(client) -> Client:
    client.force_login(f.make_user("alice", Role.OPERATOR))
    return client


def regions(run) -> dict[str, str]:
    return fragments.render_run_regions(run.id)


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_items_stand_under_their_list_with_how_far_it_is():
    f.make_beat(timezone.now())
    run = list_run(40, at_work(12))
    found = regions(run)
    steps = plain(found["steps"])
    assert "12 of 40 items" in steps
    assert found["steps"].count('<tr id="step-pack-') == 22, "those that were begun"
    assert "Pack the parcels [21]" in steps
    assert "more item" not in steps.replace("18 more items are not shown here", "")
    assert "12 of 40 items" in found["graph"]
    assert found["graph"].count('<a id="node-') == 5, "a list is one box with one undo"
    assert "12 of 40 items of “Pack the parcels” are done." in plain(found["why"])


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_list_of_any_length_is_shown_and_bounded(count, operator):
    run = list_run(count)
    found = regions(run)
    assert found["steps"].count('<tr id="step-pack-') == min(count, SHOWN)
    assert ("950 more items are not shown here" in plain(found["steps"])) == (count == 1000)
    assert sum(map(len, found.values())) < 600_000
    for path in (f"/runs/{run.id}/", f"/runs/{run.id}/steps/pack/", "/runs/", "/"):
        assert operator.get(path).status_code == 200, path


def test_those_that_need_a_person_come_first_however_late_they_stand():
    run = list_run(300, breaking(260), is_past_pivot=True)
    detail = find_run_detail(run.id)
    assert detail.find_step("pack[260]").status == "failed"
    assert len(detail.steps) == 3 + SHOWN
    found = regions(run)
    text = plain(found["why"])
    assert "“Pack the parcels [260]” failed past the point of no return: There is no box of that size." in text
    assert f"/runs/{run.id}/actions/skip/?step=pack%5B260%5D" in found["steps"]


def test_a_run_that_was_undone_says_how_many_items_were():
    text = plain(regions(list_run(30, breaking(25)))["why"])
    assert "“Pack the parcels [25]” was rejected: There is no box of that size." in text
    assert "“Take the money” and “Pack the parcels (29 items)” were undone." in text


def test_an_undo_that_failed_names_the_item_and_what_waits(operator):
    run = list_run(30, undo_breaking(4))
    found = regions(run)
    assert "“Unpack [4]” failed and has stopped" in plain(found["why"])
    page = plain(operator.get(f"/runs/{run.id}/actions/give-up/?step=pack%5B4%5D").content.decode())
    assert "Leave what “Pack the parcels [4]” did in place." in page
    assert "Go on and run “Refund”." in page
    assert "25 of 30 undone" in plain(found["steps"])


def test_cancel_and_terminate_say_how_many_items_are_meant(operator):
    run = list_run(40, at_work(12))
    page = plain(operator.get(f"/runs/{run.id}/actions/cancel/").content.decode())
    assert "Let “Pack the parcels (10 items)” end, which is in flight." in page
    assert "Run “Unpack (12 items)”." in page
    page = plain(operator.get(f"/runs/{run.id}/actions/terminate/").content.decode())
    assert "Pack the parcels (12 items)" in page
    assert "Pack the parcels (10 items) (perhaps: nobody knows whether it happened)" in page


def test_the_page_of_a_list_leads_from_its_first_to_its_last_item(operator):
    run = list_run(120)
    first = operator.get(f"/runs/{run.id}/steps/pack/").content.decode()
    assert "120 of 120 items" in plain(first)
    assert "pack[49]" in first
    assert "pack[50]" not in first
    assert 'href="?from=50"' in first
    last = operator.get(f"/runs/{run.id}/steps/pack/?from=100").content.decode()
    assert ("pack[119]" in last, "Later" in last, 'href="?from=50"' in last) == (True, False, True)
    for wrong in ("-1", "x", "9" * 30, "٣", "500"):
        assert operator.get(f"/runs/{run.id}/steps/pack/", {"from": wrong}).status_code == 200


def test_every_item_has_a_page_of_its_own_shown_or_not(operator):
    run = list_run(1000)
    page = operator.get(f"/runs/{run.id}/steps/pack[734]/")
    text = plain(page.content.decode())
    assert page.status_code == 200
    assert "Pack the parcels [734]" in text
    assert "parcel 734" in text, "its input, although the journal is long"
    assert f"{run.id}:pack[734]:action" in text
    for wrong in ("pack[1000]", "pack[x]", "pay[0]", "pack[", "pack[0"):
        assert operator.get(f"/runs/{run.id}/steps/{wrong}/").status_code == 404, wrong


def test_an_item_that_is_not_shown_can_be_ordered(operator):
    run = list_run(300, breaking(260), is_past_pivot=True)
    page = operator.get(f"/runs/{run.id}/actions/skip/?step=pack%5B260%5D").content.decode()
    assert "Skip “Pack the parcels [260]”?" in plain(page)


@pytest.mark.parametrize("told", [
    lambda: list_run(30, at_work(12)),
    lambda: list_run(5, breaking(3), is_past_pivot=True),
    lambda: list_run(5, breaking(3, LOST), is_past_pivot=True),
    lambda: list_run(5, undo_breaking(2)),
    lambda: list_run(5, breaking(3)),
    lambda: list_run(0, at_work(0)),
    lambda: list_run(3),
])  # fmt: skip
@pytest.mark.parametrize("is_paused", [False, True])
def test_what_is_offered_at_a_list_and_its_items_is_what_the_law_would_take(told, is_paused):
    run = told()
    if is_paused and not run.finished_at:
        run.is_paused = True
        run.save(update_fields=["is_paused"])
    detail = find_run_detail(run.id)
    definition, state = load_version(run.version_id), stored.load_one(detail.run)

    def takes(verb, step, phase=Phase.ACTION):
        order = m.TakeOrder(number=1, verb=verb, by="", now=run.created_at, step=step.key, phase=phase)
        return refusal(definition, state, order) is None

    for step in detail.steps:
        for phase in (Phase.ACTION, Phase.COMPENSATION):
            assert offers.applies(detail, step, Verb.SETTLE, phase) == takes(Verb.SETTLE, step, phase), step.key
        for verb in (Verb.SKIP, Verb.GIVE_UP, Verb.RETRY):
            offered = any(offers.applies(detail, step, verb, phase) for phase in Phase)
            assert offered == takes(verb, step), (step.key, verb)


def test_a_page_of_a_list_takes_no_more_queries_for_a_thousand_items(django_assert_max_num_queries):
    run = list_run(1000, at_work(700))
    with django_assert_max_num_queries(7):
        detail = find_run_detail(run.id)
    assert why(detail, run.created_at).code
    assert graph.draw_run(detail, run.created_at).forward


def test_the_list_of_runs_shows_a_list_as_one_step(operator):
    run = list_run(200, at_work(150))
    page = operator.get("/runs/").content.decode()
    (strip,) = re.findall(r'<svg class="strip".*?</svg>', page)
    assert strip.count("<g ") == 3, "three steps, none of them undone"
    assert run.key in page


@pytest.mark.parametrize(("event", "said"), [
    (m.ItemsListed(step="pack", items=[1, 2]), "“Pack the parcels” has 2 items"),
    (m.ItemsListed(step="pack", items=[1]), "“Pack the parcels” has 1 item"),
    (m.ItemsJoined(step="pack", status=StepStatus.SUCCEEDED, done=2, total=2),
     "“Pack the parcels” is done: 2 of 2 items"),
    (m.ItemsJoined(step="pack", status=StepStatus.FAILED, done=1, total=2, message="Item 1 failed: no."),
     "“Pack the parcels” failed, 1 of 2 items are done: Item 1 failed: no."),
    (m.ItemsJoined(step="pack", status=StepStatus.IN_DOUBT, done=1, total=2, message="Item 1 is in doubt: no."),
     "“Pack the parcels” is in doubt, 1 of 2 items are done: Item 1 is in doubt: no."),
    (m.AttemptStarted(step="pack", item=1, phase=Phase.ACTION, number=1, timeout_s=1),
     "Sent “Pack the parcels [1]” (try 1)"),
    (m.AttemptEnded(step="pack", item=1, phase=Phase.COMPENSATION, number=1, outcome=OutcomeKind.SUCCEEDED),
     "“Unpack [1]” succeeded (try 1)"),
    (m.OrderTaken(number=1, verb=Verb.SKIP, by="alice", step="pack[1]"), "alice ordered: skip “Pack the parcels [1]”"),
    (m.RunTerminated(by="alice", stays=(StepKey("pay"), *(StepKey("pack", n) for n in range(3)))),
     ("Terminated by alice: nothing more is done or undone; “Take the money” and “Pack the parcels (3 items)” "
      "stay behind")),
])  # fmt: skip
def test_each_entry_about_a_list_is_a_sentence(event, said):
    detail = find_run_detail(list_run(2).id)
    steps = {step.plan.name: step for step in detail.wholes}
    assert journal.sentence(Entry(1, *codec.encode(event), detail.run.created_at), steps) == said


def test_the_admin_shows_a_run_of_a_thousand_items_without_them(client):
    user = f.make_user("root", Role.ADMIN)
    user.is_staff = user.is_superuser = True
    user.save()
    client.force_login(user)
    page = client.get(f"/admin/sagas/sagarun/{list_run(1000).id}/change/")
    assert page.status_code == 200
    assert len(page.content) < 400_000
