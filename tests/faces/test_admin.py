"""The admin: everything to see, nothing to edit, orders with a confirm page."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.utils import timezone

from sagas import access
from sagas.admin.run import ORDERS_MAX
from sagas.core.vocabulary import Role
from sagas.engine import commands, orders
from sagas.models import ApiToken, Order, SagaRun
from tests import factories, registered
from tests.faces.conftest import sign_in

RUNS = "/admin/sagas/sagarun/"


def started(key: str) -> SagaRun:
    """Start a run of the saga `order`."""
    return commands.start_run("order", {"order_id": key}, key=key).run


def order(client, verb: str, runs: list[SagaRun], **fields: str):
    """Post the action of the list."""
    ids = [str(run.id) for run in runs]
    return client.post(RUNS, {"action": verb, "_selected_action": ids, **fields}, follow=True)


def confirm(client, verb: str, runs: list[SagaRun], reason: str = ""):
    """Post what the confirm page would."""
    seen = {f"revision-{run.id}": str(run.revision) for run in runs}
    return order(client, verb, runs, confirmed="yes", reason=reason, **seen)


def test_every_model_is_shown_and_none_can_be_changed(db):
    erin = sign_in("erin")
    runs = [teller(timezone.now()) for teller in factories.EVERY_STATE]
    registered.register()
    ours = [model for model in admin.site._registry if model._meta.app_label == "sagas"]
    assert {model.__name__ for model in ours} == {
        "Saga", "SagaVersion", "SagaRun", "StepRun", "Order", "ApiToken",
        "Service", "ServiceChange", "WebhookChange",
    }  # fmt: skip
    for model in ours:
        listed = f"/admin/sagas/{model._meta.model_name}/"
        assert erin.get(listed).status_code == 200
        assert erin.get(listed + "add/").status_code == 403
        for row in model._default_manager.all()[:3]:
            assert erin.get(f"{listed}{row.pk}/change/").status_code == 200
            assert erin.post(f"{listed}{row.pk}/change/", {"status": "completed"}).status_code == 403
            assert erin.post(f"{listed}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert SagaRun.objects.count() == len(runs)


def test_the_queue_has_no_place_in_the_admin(db):
    assert "django_q" not in sign_in("erin").get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("name", "status"), [("alice", 200), ("dora", 200), ("erin", 200), ("bob", 302), ("charlie", 302)]
)
def test_operators_and_above_come_in(db, name, status):
    assert sign_in(name).get(RUNS).status_code == status


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_who_is_signed_in_and_may_not_enter_is_told_so_and_not_asked_again(db, name):
    answer = sign_in(name).get("/admin/", follow=True)
    assert answer.status_code == 403
    assert "The admin needs the role operator." in answer.text
    assert 'type="password"' not in answer.text


def test_a_passer_by_can_sign_in_at_the_admins_own_door(client, db):
    assert 'type="password"' in client.get("/admin/", follow=True).text


@pytest.mark.parametrize("path", ["auth/user/", "auth/group/", "sagas/apitoken/"])
def test_people_and_tokens_are_for_admins(db, path):
    assert sign_in("alice").get(f"/admin/{path}").status_code == 403
    assert sign_in("erin").get(f"/admin/{path}").status_code == 200


def test_a_run_page_shows_its_steps_and_its_journal(db):
    run = factories.compensating(timezone.now())
    page = sign_in("alice").get(f"{RUNS}{run.id}/change/").content.decode()
    assert "attempt_started" in page
    assert "process_payment" in page
    assert f"/runs/{run.id}/" in page  # the dashboard


@pytest.mark.parametrize("count", [5, 40])
def test_the_list_costs_the_same_queries_whatever_its_length(db, django_assert_num_queries, count):
    alice = sign_in("alice")
    factories.make_runs(count)
    with django_assert_num_queries(10) as asked:
        page = alice.get(RUNS)
    assert page.content.decode().count('class="action-select"') == count
    assert not [query for query in asked.captured_queries if '"sagas_sagarun"."input",' in query["sql"]]


def test_filters_find_what_needs_a_person(db):
    now = timezone.now()
    stuck, fine = factories.undo_failed(now), factories.completed(now)
    page = sign_in("alice").get(RUNS + "?attention=yes").content.decode()
    assert str(stuck.id) in page
    assert str(fine.id) not in page


@pytest.mark.parametrize("cut", [8, 13, 36])
def test_search_finds_by_the_beginning_of_key_or_id(db, cut):
    now = timezone.now()
    wanted, other = factories.queued(now), factories.completed(now)
    alice = sign_in("alice")
    for term in (str(wanted.id)[:cut], wanted.key[: cut // 2]):
        page = alice.get(RUNS, {"q": term}).content.decode()
        assert str(wanted.id) in page
    assert str(other.id) not in alice.get(RUNS, {"q": str(wanted.id)}).content.decode()


@pytest.mark.parametrize(
    "query", ["q=%00", "status__exact=%00", "status__exact=x", "saga__id__exact=x", "p=99999", "o=x", "nope=1"]
)
def test_a_strange_address_is_no_fault_of_the_server(db, query):
    factories.completed(timezone.now())
    assert sign_in("alice").get(f"{RUNS}?{query}").status_code in {200, 302, 400}


def test_an_order_asks_first_and_says_who_is_skipped_and_why(saga):
    alice = sign_in("alice")
    waiting, done = started("w"), factories.completed(timezone.now())
    page = order(alice, "cancel", [waiting, done]).content.decode()
    acting, skipped = page.split("will be skipped")
    assert "1 will be acted on" in acting
    assert str(waiting.id) in acting
    assert str(done.id) in skipped
    assert "The run has ended" in skipped
    assert f'name="_selected_action" value="{done.id}"' not in page
    assert not Order.objects.exists()


def test_a_confirmed_order_is_given_with_who_and_why(saga):
    alice = sign_in("alice")
    one, two = started("1"), started("2")
    page = confirm(alice, "cancel", [one, two], "the supplier is closed").content.decode()
    assert page.count("cancel ordered") == 2
    assert set(Order.objects.values_list("run_id", "verb", "by", "reason")) == {
        (run.id, "cancel", "alice", "the supplier is closed") for run in (one, two)
    }


def test_a_run_that_moved_since_the_question_is_skipped(saga):
    alice = sign_in("alice")
    moved, same = started("1"), started("2")
    orders.give_order(moved.id, orders.Verb.CANCEL, by="bob")
    page = confirm(alice, "cancel", [moved, same]).content.decode()
    assert re.search(rf"{moved.id}: skipped.*has moved", page)
    assert f"{same.id}: cancel ordered" in page


@pytest.mark.parametrize(
    ("verb", "tell", "words"),
    [
        ("pause", factories.in_flight, "pause"),
        ("resume", factories.paused, "resume"),
        ("give_up", factories.undo_failed, "give up"),
        ("terminate", factories.retrying, "terminate"),
    ],
)
def test_each_order_of_the_list_says_what_it_does_and_is_given(db, verb, tell, words):
    alice = sign_in("alice")
    run = tell(timezone.now())
    page = order(alice, verb, [run, factories.completed(timezone.now())]).content.decode()
    assert f"{words.capitalize()} 1 run" in page
    assert f'href="/runs/{run.id}/"' in page
    assert "will be skipped" in page
    assert f"{words} ordered" in confirm(alice, verb, [run], "INC-1").content.decode()
    given = Order.objects.get(run=run, number=run.inbox_last + 1)
    assert (given.verb, given.by, given.reason) == (verb, "alice", "INC-1")


@pytest.mark.parametrize("verb", ["give_up", "terminate"])
def test_what_cannot_be_taken_back_needs_a_reason_and_says_so_beside_the_field(db, verb):
    run = factories.undo_failed(timezone.now())
    answer = confirm(sign_in("alice"), verb, [run], "  ")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Say why: it is written down. Nothing was changed." in page
    assert 'aria-invalid="true" aria-describedby="id_reason_error"' in page
    assert f'name="_selected_action" value="{run.id}"' in page
    assert not Order.objects.exists()


def test_a_retry_of_what_does_not_wait_for_one_is_skipped_with_the_reason(saga):
    page = confirm(sign_in("alice"), "retry", [started("1")]).content.decode()
    assert "skipped" in page
    assert not Order.objects.exists()


def test_too_many_runs_at_once_are_refused(saga):
    runs = factories.make_runs(ORDERS_MAX + 1)
    page = order(sign_in("alice"), "cancel", runs).content.decode()
    assert f"At most {ORDERS_MAX} runs at once" in page


def test_somebody_with_the_view_permission_but_no_role_cannot_order(saga):
    client = sign_in("alice")
    run = started("1")
    person = client.get(RUNS).wsgi_request.user
    person.user_permissions.set(person.groups.get().permissions.all())
    access.grant_role(person, Role.VIEWER)
    person.is_staff = True
    person.save()
    assert 'value="cancel"' not in client.get(RUNS).content.decode()
    confirm(client, "cancel", [run])
    assert not Order.objects.exists()


def test_an_order_needs_the_csrf_token(saga):
    run = started("1")
    client = sign_in("alice", enforces_csrf=True)
    assert (
        client.post(RUNS, {"action": "cancel", "_selected_action": [str(run.id)], "confirmed": "yes"}).status_code
        == 403
    )
    assert not Order.objects.exists()


def test_a_token_is_listed_and_revoked_and_never_shown(db):
    raw = access.make_token("laptop", Role.OPERATOR, None)
    token = ApiToken.objects.get()
    erin = sign_in("erin")
    for path in ("", f"{token.id}/change/"):
        page = erin.get(f"/admin/sagas/apitoken/{path}").content.decode()
        assert "laptop" in page
        assert raw not in page
        assert token.token_hash not in page
    erin.post("/admin/sagas/apitoken/", {"action": "revoke", "_selected_action": [str(token.id)]})
    assert access.find_token(raw) is None


def test_a_search_tells_capitals_apart_and_one_longer_than_any_key_finds_nothing(db):
    run = factories.completed(timezone.now())
    SagaRun.objects.filter(id=run.id).update(key="Case-1")
    erin = sign_in("erin")
    assert str(run.id) in erin.get(RUNS, {"q": "Case"}).content.decode()
    assert str(run.id) not in erin.get(RUNS, {"q": "case"}).content.decode()
    assert erin.get(RUNS, {"q": "x" * 60_000}).status_code == 200


def test_a_run_that_waits_shows_what_for_until_when_and_the_signals_that_are_kept(db):
    run = factories.asking_for_approval(timezone.now())
    alice = sign_in("alice")
    page = alice.get(f"{RUNS}{run.pk}/change/").text
    assert "deposit_paid" in re.search(r"Signals kept.*?</div>", page, re.DOTALL)[0]
    assert "Next try, or end of the wait" in page
    assert re.search(r'class="field-waits_for">\s*<p>approval</p>', page)
    assert alice.get(RUNS, {"waiting_for__exact": "approval"}).context["cl"].result_count == 1
    steps = alice.get("/admin/sagas/steprun/", {"waits_for__exact": "approval"})
    assert steps.context["cl"].result_count == 1
    assert "next try, or end of the wait" in steps.text.lower()
