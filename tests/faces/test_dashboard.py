from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from sagas.models import Order, SagaRun
from sagas.presentation import fragments
from tests import factories as f
from tests.faces.conftest import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    moment = timezone.now()
    f.make_beat(moment)
    return moment


def url(name, *args):
    return reverse(f"sagas:{name}", args=args)


def page(client, name, *args, **query):
    response = client.get(url(name, *args), query)
    assert response.status_code == 200
    return response.content.decode()


# ---- who may see -------------------------------------------------------------


@pytest.mark.parametrize("name", ["overview", "welcome", "run-list", "attention"])
def test_a_stranger_sees_nothing_and_a_passer_by_signs_in_first(client, name):
    assert sign_in("charlie").get(url(name)).status_code == 403
    answer = client.get(url(name))
    assert answer.status_code == 302
    assert answer.url.startswith(url("sign-in"))


def test_a_run_is_for_viewers_and_its_actions_for_operators(now):
    run = f.in_flight(now)
    bob, charlie = sign_in("bob"), sign_in("charlie")
    for name, args in (("run-detail", [run.id]), ("step-detail", [run.id, f.PAY])):
        assert bob.get(url(name, *args)).status_code == 200
        assert charlie.get(url(name, *args)).status_code == 403
    for method in (bob.get, bob.post):
        answer = method(url("run-action", run.id, "cancel"))
        assert answer.status_code == 403
        assert "operator" in answer.content.decode()
    assert not Order.objects.exists()


def test_buttons_are_only_there_for_those_who_may_press_them(now):
    run = f.in_flight(now)
    assert 'data-verb="cancel"' in page(sign_in("alice"), "run-detail", run.id)
    assert 'data-verb="cancel"' not in page(sign_in("bob"), "run-detail", run.id)


# ---- pages ------------------------------------------------------------------


@pytest.mark.parametrize("tell", f.EVERY_STATE)
def test_a_run_page_costs_at_most_ten_queries_and_needs_no_inline_script_or_style(
    tell, now, django_assert_max_num_queries
):
    run = tell(now)
    client = sign_in("bob")
    page(client, "run-detail", run.id)  # the definition is compiled once
    with django_assert_max_num_queries(12):  # ten, and two for the session and the person
        html = page(client, "run-detail", run.id)
    assert " style=" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\son\w+=", html)


def test_a_list_costs_few_queries_whatever_its_length(now, django_assert_max_num_queries):
    f.make_runs(60)
    client = sign_in("bob")
    with django_assert_max_num_queries(9):
        html = page(client, "run-list")
    assert html.count('class="row"') == 50
    assert 'rel="next"' in html


def test_what_one_looks_for_is_in_the_address_and_can_be_taken_out(now):
    f.completed(now)
    f.compensated(now)
    html = page(sign_in("bob"), "run-list", status="compensated", saga="create-order", q="482")
    assert "48216" in html
    assert "48217" not in html
    assert "1 match" in html
    assert 'href="?saga=create-order&amp;q=482"' in html


def test_an_empty_list_names_its_filters(now):
    html = page(sign_in("bob"), "run-list", q="nothing", status="completed")
    assert "No runs match these 2 filters." in html


@pytest.mark.parametrize(
    "query",
    [
        {"newer": "ffffffff-ffff-ffff-ffff-ffffffffffff"},
        {"since": "", "q": "", "saga": "", "status": ""},
        {"started_after": "0001-01-01T00:00:00+14:00"},
        {"started_after": "9999-12-31T23:59:59-14:00"},
        {"q": "%' OR 1=1 --"},
        {"saga": "\U0001f984"},
    ],
)
def test_a_list_bears_any_address(now, query):
    f.completed(now)
    assert sign_in("bob").get(url("run-list"), query).status_code == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("status=levitating&status=completed", "There is no status “levitating”."),
        ("status=complete", "Did you mean “completed”?"),
        ("statsu=completed", "There is no filter “statsu”. Did you mean “status”?"),
        ("since=aeons", "“aeons” is no span of time: say one of 1h, 24h, 7d."),
        ("started_after=2026-99-99T00:00", "“2026-99-99T00:00” is no time"),
        ("q=%00", "No key or run id is like “␀”."),
        ("q=" + "x" * 5000, "No key or run id is like “xxxx"),
        ("older=not-an-id", "“not-an-id” is no place in this list."),
        ("saga=a&saga=create-order", "“saga” can be given once."),
        ("%3Cb%3E=1", "There is no filter “&lt;b&gt;”."),
    ],
)
def test_a_filter_that_is_not_understood_is_said_and_lists_nothing(now, query, words):
    run = f.completed(now)
    answer = sign_in("bob").get(f"{url('run-list')}?{query}")
    assert answer.status_code == 400
    assert words in answer.text
    assert str(run.id) not in answer.text
    assert "new=1" not in answer.text


def test_the_rest_of_a_filter_can_still_be_asked_for(now):
    run = f.completed(now)
    bob = sign_in("bob")
    answer = bob.get(f"{url('run-list')}?status=completed&since=24h&stauts=x")
    (link,) = re.findall(r'<a href="([^"]+)">Show what the rest of it finds', answer.text)
    assert str(run.id) in bob.get(link.replace("&amp;", "&")).text


def test_an_unknown_run_offers_a_search_and_an_unknown_step_too(now):
    bob = sign_in("bob")
    missing = bob.get(url("run-detail", uuid4()))
    assert missing.status_code == 404
    assert 'name="q"' in missing.content.decode()
    assert bob.get(url("step-detail", f.completed(now).id, "no_such_step")).status_code == 404
    assert sign_in("alice").get(url("run-action", uuid4(), "cancel")).status_code == 404


def test_a_step_shows_every_try_with_its_policy_in_words(now):
    html = page(sign_in("bob"), "step-detail", f.undo_failed(now).id, f.PAY)
    assert all(f"Try {number}<" in html for number in range(1, 9))
    assert "Tried at most 8 times." in html
    assert "already_refunded" in html
    assert f":{f.PAY}:compensation</code>" in html


def test_the_overview_first_says_whether_anybody_must_act(now):
    client = sign_in("bob")
    f.completed(now)
    assert "Nothing needs a person." in page(client, "overview")
    f.undo_failed(now)
    html = page(client, "overview")
    assert "1 run needs a person." in html
    assert url("attention") in html


@pytest.mark.parametrize(("name", "is_offered"), [("bob", False), ("alice", True)])
def test_only_those_who_may_start_a_run_are_offered_to(now, settings, name, is_offered):
    """The answer is sent to everybody alike: its button is hidden by CSS where the page does not say `may-operate`."""
    settings.SAGAWEB_DEMO = True
    f.completed(now)
    client = sign_in(name)
    html = page(client, "overview")
    assert ("data-may-operate" in html) is is_offered
    assert html.count("Run the demo order") == (2 if is_offered else 1)
    assert 'button-primary for-operators"' in html


def test_the_overview_says_when_no_engine_runs():
    f.completed(timezone.now())
    assert "No engine is running." in page(sign_in("bob"), "overview")


def test_where_nothing_ever_ran_one_is_welcomed():
    client = sign_in("alice")
    assert client.get(url("overview")).url == url("welcome")
    assert "Run the demo order" in page(client, "welcome")


def test_a_run_that_was_compensated_is_no_task(now):
    f.compensated(now)
    client = sign_in("bob")
    assert "Nothing needs a person." in page(client, "attention")
    f.undo_failed(now)
    assert "48213" in page(client, "attention")


def test_colours_are_chosen_without_javascript_and_only_our_own_addresses_are_followed():
    client = sign_in("bob")
    answer = client.post(url("theme"), {"theme": "dark", "next": "/runs/?q=1"})
    assert answer.url == "/runs/?q=1"
    assert 'data-theme="dark"' in page(client, "run-list")
    assert client.post(url("theme"), {"theme": "", "next": "//evil.example"}).url == "/"
    assert "data-theme" not in page(client, "run-list")


# ---- orders -----------------------------------------------------------------


def test_cancelling_says_first_what_it_will_do_and_then_stores_the_order(now):
    run = f.in_flight(now)
    alice = sign_in("alice")
    html = page(alice, "run-action", run.id, "cancel")
    assert "Run “Restore inventory”." in html
    assert "Undo “Create shipment”: it has no compensation." in html
    answer = alice.post(url("run-action", run.id, "cancel"), {"revision": run.revision, "reason": "INC-1"}, follow=True)
    assert answer.redirect_chain[0][0] == url("run-detail", run.id)
    assert "Below is what came of it." in answer.content.decode()
    order = Order.objects.get()
    assert (order.verb, order.by, order.reason) == ("cancel", "alice", "INC-1")


def test_an_order_about_a_run_that_moved_changes_nothing_and_shows_the_facts(now):
    run = f.in_flight(now)
    alice = sign_in("alice")
    answer = alice.post(url("run-action", run.id, "cancel"), {"revision": run.revision - 1, "reason": "typed"})
    assert answer.status_code == 412
    html = answer.content.decode()
    assert "moved while you were deciding" in html
    assert f'value="{run.revision}"' in html
    assert 'value="typed"' in html
    assert not Order.objects.exists()


def test_an_order_that_the_state_does_not_allow_is_a_conflict(now):
    run = f.completed(now)
    answer = sign_in("alice").post(url("run-action", run.id, "retry"), {"revision": run.revision})
    assert answer.status_code == 409
    assert "The run has ended" in answer.content.decode()
    assert not Order.objects.exists()


def test_a_step_can_be_retried_alone(now):
    run = f.retrying(now)
    alice = sign_in("alice")
    html = page(alice, "run-action", run.id, "retry", step=f.SHIP)
    assert "Try “Create shipment” again, at once." in html
    alice.post(url("run-action", run.id, "retry"), {"revision": run.revision, "step": f.SHIP})
    assert Order.objects.get().details == {"step": f.SHIP}


@pytest.mark.parametrize("form", [{"revision": "²"}, {"revision": "9" * 40}, {"reason": "\x00"}, {"step": "\x00"}])
def test_a_broken_form_is_never_an_error_of_ours(now, form):
    run = f.in_flight(now)
    answer = sign_in("alice").post(url("run-action", run.id, "cancel"), form)
    assert answer.status_code in {302, 409, 412, 422}


def test_there_is_no_action_of_another_name(now):
    assert sign_in("alice").get(url("run-action", f.in_flight(now).id, "explode")).status_code == 404


# ---- the demo ---------------------------------------------------------------


@pytest.fixture
def shop():
    from pathlib import Path

    from sagas.catalog.publish import publish

    source = Path(__file__).resolve().parents[2] / "examples" / "shop" / "create-order.yaml"
    return publish(source.read_text(), by="test", is_demo=True)


@pytest.mark.parametrize("fails_at", ["nothing", "process_payment", "update_inventory", "create_shipment", "moon"])
@pytest.mark.parametrize("how", ["reject", "fail", "time_out", "crash", "magic"])
def test_the_one_button_starts_an_order_with_the_chosen_fault(shop, fails_at, how):
    answer = sign_in("alice").post(url("demo-start"), {"fails_at": fails_at, "how": how})
    run = SagaRun.objects.get()
    assert answer.url == url("run-detail", run.id)
    faults = run.input["faults"]
    expected = {fails_at} if fails_at not in {"nothing", "moon"} and how != "magic" else set()
    assert set(faults) == expected


def test_the_button_says_so_where_there_is_no_shop():
    answer = sign_in("alice").post(url("demo-start"), {"fails_at": "nothing"}, follow=True)
    assert "The demo shop is not loaded." in answer.content.decode()


def test_ages_of_rows_speak_of_now(now):
    f.completed(now - timedelta(minutes=7))
    assert "10 m ago" in page(sign_in("bob"), "run-list")


def test_the_same_form_sent_twice_is_one_order(shop):
    alice = sign_in("alice")
    chosen = {"fails_at": "nothing", "form_key": alice.get(url("welcome")).context["form_key"]}
    first, second = (alice.post(url("demo-start"), chosen) for _ in range(2))
    assert first.url == second.url == url("run-detail", SagaRun.objects.get().id)
    alice.post(url("demo-start"), chosen | {"fails_at": "create_shipment"})
    assert SagaRun.objects.count() == 2, "another choice is another order"


# ---- what an open page keeps true, and what it costs ------------------------


class Still(HTMLParser):
    """The words of a page outside its live regions, its title and the corner that says how fresh it is."""

    def __init__(self, html):
        super().__init__()
        self.words, self.within, self.depth = [], "", 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        region = dict(attrs).get("id") or tag
        if not self.within and region in {*fragments.RUN_REGIONS, "title", "connection"}:
            self.within = tag
        self.depth += bool(self.within) and tag == self.within

    def handle_endtag(self, tag):
        if self.within and tag == self.within:
            self.depth -= 1
            self.within = self.within if self.depth else ""

    def handle_data(self, data):
        if not self.within and data.strip():
            self.words.append(data.strip())


def test_what_stands_outside_the_live_regions_does_not_depend_on_how_far_the_run_is(now):
    bob = sign_in("bob")
    run = f.in_flight(now)
    before = Still(page(bob, "run-detail", run.id)).words
    ended = {"status": "completed", "finished_at": now, "due_at": None, "output": {"parcel": 7}}
    SagaRun.objects.filter(id=run.id).update(revision=90, sequence=91, **ended)
    html = page(bob, "run-detail", run.id)
    assert "parcel" in html
    assert Still(html).words == before
    assert "Facts" in before


def test_the_title_of_a_run_page_is_in_a_live_region_too(now):
    run = f.compensated(now)
    html = page(sign_in("bob"), "run-detail", run.id)
    title = re.search(r"<title>(.*?)</title>", html)[1]
    assert f'data-title="{title}"' in fragments.render_run_regions(run.id)["run-head"]


@pytest.mark.parametrize(
    "name", ["overview", "welcome", "run-list", "attention", "run-detail", "saga-list", "saga-new"]
)
def test_a_page_is_at_most_six_requests(now, name):
    run = f.completed(now)
    html = sign_in("erin").get(url(name, *([run.id] if name == "run-detail" else []))).text
    assert 1 + html.count('rel="stylesheet"') + html.count("<script") <= 6
