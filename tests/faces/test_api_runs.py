"""Runs over REST: start once, find, follow, order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from sagas.catalog.publish import publish
from sagas.core.vocabulary import Role
from sagas.engine import idempotency
from sagas.models import IdempotencyKey, JournalEntry, Order, SagaRun
from tests import factories
from tests.faces.conftest import SOURCE, Api, sign_in

START = {"saga": "order", "input": {"order_id": "48213"}}


def test_a_start_gives_the_run_and_where_it_is(api, saga):
    answer = api.post("runs/", {**START, "key": "48213", "labels": {"customer": "c-7"}})
    run = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert answer.headers["Location"] == run["url"] == f"http://testserver/api/v1/runs/{run['id']}/"
    assert (run["status"], run["key"], run["labels"], run["version"]) == ("pending", "48213", {"customer": "c-7"}, 1)
    assert run["created_by"] == "token:robot"
    assert [step["step"] for step in run["steps"]] == ["pay", "ship"]
    assert UUID(run["id"]).version == 7
    assert api.get(f"runs/{run['id']}/").json() == run


def test_a_business_key_starts_one_run(api, saga):
    first = api.post("runs/", {**START, "key": "k"})
    again = api.post("runs/", {**START, "key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert SagaRun.objects.count() == JournalEntry.objects.count() == 1


def test_a_business_key_with_other_input_is_refused(api, saga):
    first = api.post("runs/", {**START, "key": "k"}).json()
    answer = api.post("runs/", {**START, "key": "k", "input": {"order_id": "other"}})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sagaweb:problem:key-reused")
    assert answer.json()["run"] == first["id"]
    assert SagaRun.objects.count() == 1


def test_an_idempotency_key_starts_one_run(api, saga):
    first = api.post("runs/", START, **{"Idempotency-Key": "a"})
    again = api.post("runs/", START, **{"Idempotency-Key": "a"})
    other = api.post("runs/", START, **{"Idempotency-Key": "b"})
    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 201]
    assert again.json()["id"] == first.json()["id"] != other.json()["id"]


@pytest.mark.parametrize("change", [{"input": {"order_id": "2"}}, {"key": "k"}, {"labels": {"a": "b"}}, {"version": 1}])
def test_an_idempotency_key_with_another_body_is_refused(api, saga, change):
    api.post("runs/", START, **{"Idempotency-Key": "a"})
    answer = api.post("runs/", {**START, **change}, **{"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sagaweb:problem:key-reused")
    assert SagaRun.objects.count() == 1


def test_two_tokens_have_their_own_idempotency_keys(api, saga):
    other = Api(Role.OPERATOR, "other")
    first = api.post("runs/", START, **{"Idempotency-Key": "a"})
    second = other.post("runs/", START, **{"Idempotency-Key": "a"})
    assert (first.status_code, second.status_code) == (201, 201)


@pytest.mark.parametrize("key", ["", "x" * 201, "\u00fcber", "a\tb"])
def test_an_idempotency_key_is_short_plain_text(api, saga, key):
    assert api.post("runs/", START, **{"Idempotency-Key": key}).status_code == 400
    assert not SagaRun.objects.exists()


def test_an_idempotency_key_is_forgotten_after_seven_days(api, saga):
    first = api.post("runs/", START, **{"Idempotency-Key": "a"}).json()
    IdempotencyKey.objects.update(created_at=timezone.now() - idempotency.KEPT - timedelta(seconds=1))
    again = api.post("runs/", START, **{"Idempotency-Key": "a"})
    assert again.status_code == 201
    assert again.json()["id"] != first["id"]
    assert IdempotencyKey.objects.count() == 1  # the old one is gone


def test_a_refused_start_leaves_its_idempotency_key_free(api, saga):
    assert api.post("runs/", {"saga": "order", "input": {}}, **{"Idempotency-Key": "a"}).status_code == 422
    assert not IdempotencyKey.objects.exists()
    assert api.post("runs/", START, **{"Idempotency-Key": "a"}).status_code == 201


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{"Idempotency-Key": "same"}, {}])
def test_sixteen_callers_at_once_start_one_run(headers):
    publish(SOURCE, by="dora")
    api = Api()
    body = START if headers else {**START, "key": "same"}

    def start(_number: int) -> tuple[int, str]:
        try:
            answer = api.post("runs/", body, **headers)
            return answer.status_code, answer.json().get("id", answer.content)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(start, range(16)))
    assert sorted(status for status, _ in answers) == [200] * 15 + [201]
    assert len({run for _, run in answers}) == 1
    assert SagaRun.objects.count() == JournalEntry.objects.count() == 1


def test_an_archived_saga_takes_no_runs(api, saga):
    from sagas.models import Saga

    Saga.objects.update(archived_at=timezone.now())
    answer = api.post("runs/", START)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sagaweb:problem:saga-archived")


def test_an_older_version_can_be_started(api, saga):
    publish(SOURCE.replace("title: Order", "title: Orders"), by="dora")
    assert api.post("runs/", {**START, "version": 1}).json()["version"] == 1
    assert api.post("runs/", START).json()["version"] == 2


# ---- lists ------------------------------------------------------------------


def ids(answer) -> list[str]:
    """Return the ids of a page."""
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def test_a_list_is_newest_first_and_holds_no_payload(api, saga):
    made = [api.post("runs/", START).json()["id"] for _ in range(3)]
    answer = api.get("runs/")
    assert ids(answer) == made[::-1]
    assert not {"input", "output", "steps", "reason"} & set(answer.json()["results"][0])


def test_filters_are_joined_by_and_statuses_by_or(api, saga):
    now = timezone.now()
    queued, done, undone = factories.queued(now), factories.completed(now), factories.compensated(now)
    started = api.post("runs/", {**START, "key": "48k", "labels": {"customer": "c-7"}}).json()["id"]
    assert ids(api.get("runs/", {"status": ["completed", "compensated"]})) == [str(done.id), str(undone.id)]
    assert ids(api.get("runs/", {"saga": "order"})) == [started]
    assert ids(api.get("runs/", {"key": queued.key})) == [str(queued.id)]
    assert ids(api.get("runs/", {"search": "48k"})) == [started]
    assert ids(api.get("runs/", {"search": str(done.id)})) == [str(done.id)]
    assert ids(api.get("runs/", {"label.customer": "c-7"})) == [started]
    assert ids(api.get("runs/", {"label.customer": "c-8"})) == []
    assert ids(api.get("runs/", {"status": "completed", "saga": "order"})) == []
    assert ids(api.get("runs/", {"started_after": now.isoformat()})) == [started]
    assert started not in ids(api.get("runs/", {"started_before": now.isoformat()}))


def test_pages_lead_to_each_other_and_show_each_run_once(api, saga):
    made = [str(run.id) for run in factories.make_runs(5)][::-1]
    first = api.get("runs/", {"page_size": 2})
    second = api.client.get(first.json()["next"])
    third = api.client.get(second.json()["next"])
    assert ids(first) + ids(second) + ids(third) == made
    assert first.json()["previous"] is third.json()["next"] is None
    assert ids(api.client.get(third.json()["previous"])) == ids(second)
    back = api.client.get(second.json()["previous"])
    assert (ids(back), back.json()["previous"]) == (ids(first), None)


def test_a_filter_stays_on_over_the_pages(api, saga):
    factories.make_runs(3)
    factories.queued(timezone.now())
    following = api.get("runs/", {"page_size": 2, "status": "completed"}).json()["next"]
    assert len(ids(api.client.get(following))) == 1


@pytest.mark.parametrize("count", [10, 100])
def test_a_list_costs_the_same_queries_whatever_its_length(api, saga, django_assert_num_queries, count):
    factories.make_runs(count)
    api.get("runs/")  # the token's last use is written
    with django_assert_num_queries(2):
        assert len(ids(api.get("runs/", {"page_size": 200}))) == count


# ---- one run ----------------------------------------------------------------


def test_a_run_tells_both_statuses_its_attempts_and_why(api):
    now = timezone.now()
    run = api.get(f"runs/{factories.compensating(now).id}/").json()
    pay, stock, ship = run["steps"]
    assert (run["status"], run["direction"], run["reason"]["cause"]) == ("compensating", "backward", "step_failed")
    assert (pay["status"], pay["compensation_status"]) == ("succeeded", "running")
    assert (stock["compensation_status"], ship["status"]) == ("succeeded", "failed")
    assert [(one["phase"], one["outcome"]) for one in pay["attempts"]] == [
        ("action", "succeeded"),
        ("compensation", None),
    ]
    assert ship["attempts"][0]["message"] == "No carrier for this address"
    assert run["why"]["text"]
    assert run["created_at"].endswith("Z")
    assert len(run["created_at"]) == len("2026-01-31T12:00:00.000000Z")


def test_a_journal_is_read_from_where_one_was(api):
    run = factories.completed(timezone.now())
    whole = api.get(f"runs/{run.id}/journal/").json()
    assert [entry["sequence"] for entry in whole["results"]] == list(range(1, run.sequence + 1))
    assert (whole["next"], whole["previous"]) == (None, None)
    assert whole["results"][0]["kind"] == "run_started"
    page = api.get(f"runs/{run.id}/journal/", {"after": 2, "page_size": 3}).json()
    assert [entry["sequence"] for entry in page["results"]] == [3, 4, 5]
    assert api.client.get(page["next"]).json()["results"][0]["sequence"] == 6


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30, "1.5", "\u0663"])
def test_a_journal_position_is_a_number(api, after):
    run = factories.completed(timezone.now())
    assert api.get(f"runs/{run.id}/journal/", {"after": after}).status_code == 400


# ---- orders -----------------------------------------------------------------


def test_a_cancel_is_accepted_with_who_and_why(api, saga):
    run = api.post("runs/", START).json()
    answer = api.post(f"runs/{run['id']}/cancel/", {"reason": "the customer called"})
    assert (answer.status_code, answer.headers["ETag"]) == (202, '"2"')
    assert [order["verb"] for order in answer.json()["orders_waiting"]] == ["cancel"]
    order = Order.objects.get()
    assert (order.verb, order.by, order.reason) == ("cancel", "token:robot", "the customer called")


def test_an_order_may_come_without_a_body(api, saga):
    run = api.post("runs/", START).json()
    assert api.post(f"runs/{run['id']}/cancel/").status_code == 202


@pytest.mark.parametrize("teller", [factories.completed, factories.compensated])
@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_a_finished_run_takes_no_order(api, teller, verb):
    run = teller(timezone.now())
    answer = api.post(f"runs/{run.id}/{verb}/", {})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:sagaweb:problem:order-refused")
    assert (problem["state"], problem["allowed"]) == (run.status, [])
    assert not Order.objects.exists()


def test_a_second_cancel_is_refused_by_what_already_waits(api, saga):
    run = api.post("runs/", START).json()
    api.post(f"runs/{run['id']}/cancel/", {})
    assert api.post(f"runs/{run['id']}/cancel/", {}).status_code == 409
    assert Order.objects.count() == 1


@pytest.mark.parametrize(("given", "status"), [('"1"', 202), ("1", 202), ('W/"1"', 202), ('"2"', 412), ("0", 412)])
def test_a_stale_revision_is_refused(api, saga, given, status):
    run = api.post("runs/", START).json()
    answer = api.post(f"runs/{run['id']}/cancel/", {}, **{"If-Match": given})
    assert answer.status_code == status
    if status == 412:
        assert (answer.json()["type"], answer.json()["revision"]) == ("urn:sagaweb:problem:stale", 1)


@pytest.mark.parametrize("given", ["*", "x", '"1", "2"', "9" * 40, "-1", "\u0661"])
def test_a_condition_that_is_no_revision_is_refused(api, saga, given):
    run = api.post("runs/", START).json()
    assert api.post(f"runs/{run['id']}/cancel/", {}, **{"If-Match": given}).status_code == 400
    assert not Order.objects.exists()


# ---- who --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, "read"),
        (Role.OPERATOR, "read act"),
        (Role.AUTHOR, "read act write"),
        (Role.ADMIN, "read act write"),
    ],
)
def test_each_role_may_what_its_name_says(saga, role, allowed):
    api = Api(role)
    run = factories.queued(timezone.now())
    calls = {
        "read": [api.get("runs/"), api.get("sagas/"), api.get(f"runs/{run.id}/journal/"), api.get("schema/")],
        "act": [api.post("runs/", START), api.post(f"runs/{run.id}/cancel/"), api.post(f"runs/{run.id}/retry/")],
        "write": [api.put("sagas/order/", SOURCE)],
    }
    for right, answers in calls.items():
        for answer in answers:
            assert (answer.status_code != 403) is (right in allowed.split()), (right, answer.content)


def test_a_revoked_or_expired_token_ends_at_once(api, saga):
    from sagas.models import ApiToken

    assert api.get("runs/").status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert api.get("runs/").status_code == 401
    ApiToken.objects.update(expires_at=None, revoked_at=timezone.now())
    assert api.get("runs/").status_code == 401


def test_a_session_reads_without_and_writes_only_with_its_csrf_token(saga):
    browser = sign_in("alice", enforces_csrf=True)
    assert browser.get("/api/v1/runs/").status_code == 200
    refused = browser.post("/api/v1/runs/", START, content_type="application/json")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
    form = {"csrfmiddlewaretoken": "a" * 32, "saga": "order"}
    assert browser.post("/api/v1/runs/", form).status_code == 403  # a form's field does not count
    assert not SagaRun.objects.exists()
    browser.cookies["csrftoken"] = "a" * 32
    accepted = browser.post("/api/v1/runs/", START, content_type="application/json", headers={"X-CSRFToken": "a" * 32})
    assert (accepted.status_code, accepted.json()["created_by"]) == (201, "alice")


def test_a_token_needs_no_csrf_token_even_beside_a_session(api, saga):
    browser = sign_in("bob", enforces_csrf=True)
    answer = browser.post(
        "/api/v1/runs/", START, content_type="application/json", headers={"Authorization": f"Bearer {api.token}"}
    )
    assert answer.json()["created_by"] == "token:robot"


def test_a_wrong_token_is_refused_even_beside_a_session(saga):
    browser = sign_in("alice")
    assert browser.get("/api/v1/runs/", headers={"Authorization": "Bearer sgw_wrong"}).status_code == 401


def test_the_last_use_of_a_token_is_written_at_most_once_a_minute(api, saga):
    from sagas.models import ApiToken

    api.get("runs/")
    seen = ApiToken.objects.get().last_used_at
    assert seen is not None
    api.get("runs/")
    assert ApiToken.objects.get().last_used_at == seen
