from __future__ import annotations

from datetime import timedelta

import pytest

from sagas.queries import attention, counts
from sagas.queries.run_detail import find_run_detail
from sagas.queries.runs import RunFilter, list_rows, list_runs
from tests import factories as f

pytestmark = pytest.mark.django_db


def keys(page):
    return [row.run.key for row in page.rows]


@pytest.mark.parametrize("count", [10, 120])
def test_a_page_costs_two_queries_and_reads_no_payload(count, django_assert_num_queries):
    f.make_runs(count)
    with django_assert_num_queries(2) as asked:
        page = list_runs(RunFilter())
        assert [(row.run.saga.name, row.run.version.number) for row in page.rows]
    assert len(page.rows) == min(count, 50)
    assert '"input"' not in asked[0]["sql"]


def test_older_and_newer_lead_through_all_runs_once():
    made = [run.id for run in f.make_runs(120)][::-1]
    seen, page = [], list_runs(RunFilter())
    assert page.newer_than is None
    seen += page.rows
    while page.older_than:
        page = list_runs(RunFilter(), older_than=page.older_than)
        seen += page.rows
    assert [row.run.id for row in seen] == made
    back = list_runs(RunFilter(), newer_than=page.newer_than)
    assert [row.run.id for row in back.rows] == made[50:100]


def test_filters_combine_and_statuses_add_up():
    now = f.frozen_now()
    for tell in (f.completed, f.compensated, f.past_pivot, f.undo_failed):
        tell(now)
    assert set(keys(list_runs(RunFilter(statuses=("completed", "compensated"))))) == {"48217", "48216"}
    assert keys(list_runs(RunFilter(saga="book-order"))) == ["51007"]
    assert keys(list_runs(RunFilter(saga="book-order", statuses=("completed",)))) == []
    assert keys(list_runs(RunFilter(search="4821"), rows_max=2)) == ["48217", "48216"]
    assert keys(list_runs(RunFilter(started_after=now - timedelta(minutes=4)))) == ["48217"]


def test_a_run_id_finds_its_run():
    run = f.completed(f.frozen_now())
    assert keys(list_runs(RunFilter(search=str(run.id)))) == [run.key]


def test_rows_of_a_page_are_read_again_with_two_queries(django_assert_num_queries):
    made = f.make_runs(20)
    with django_assert_num_queries(2):
        rows = list_rows([run.id for run in made])
    assert [row.run.id for row in rows] == [run.id for run in made][::-1]


def test_counts_are_open_runs_of_any_age_and_ended_ones_of_a_day(django_assert_num_queries):
    now = f.frozen_now()
    f.completed(now)
    f.completed(now - timedelta(days=2))
    f.Story(now - timedelta(days=9)).do(f.PAY).save()
    with django_assert_num_queries(2):
        found = counts.count_by_status(now)
    assert (found.by_status["completed"], found.by_status["running"], found.is_capped) == (1, 1, False)


def test_counting_stops_at_its_bound(monkeypatch):
    monkeypatch.setattr(counts, "COUNT_MAX", 5)
    f.make_runs(8)
    assert counts.count_matching(RunFilter()) == 6
    assert counts.count_by_status(f.frozen_now()).is_capped


def test_attention_is_oldest_first_and_leaves_out_what_was_compensated(django_assert_num_queries):
    now = f.frozen_now()
    young, old = f.undo_failed(now), f.undo_failed(now - timedelta(hours=1))
    f.compensated(now)
    with django_assert_num_queries(2):
        rows = attention.list_attention()
    assert [row.run.id for row in rows] == [old.id, young.id]
    assert counts.count_attention() == 2


@pytest.mark.parametrize("tell", f.EVERY_STATE)
def test_a_run_is_read_with_few_queries(tell, django_assert_max_num_queries):
    run = tell(f.frozen_now())
    with django_assert_max_num_queries(5):
        detail = find_run_detail(run.id)
    assert len(detail.journal) == run.sequence


def test_attempts_are_pairs_of_entries_and_carry_the_input_of_their_edition():
    step = find_run_detail(f.undo_failed(f.frozen_now()).id).find_step(f.PAY)
    assert [attempt.number for attempt in step.compensations] == list(range(1, 9))
    assert {attempt.outcome for attempt in step.compensations} == {"failed"}
    assert {attempt.input["order_id"] for attempt in step.compensations} == {"48213"}
    assert step.compensation_tries == 8


def test_an_attempt_in_flight_has_no_outcome_yet():
    step = find_run_detail(f.in_flight(f.frozen_now()).id).find_step(f.SHIP)
    assert step.in_flight().outcome == ""
    assert step.in_flight().took is None


def test_steps_stand_in_the_order_of_the_document_even_when_none_was_touched():
    detail = find_run_detail(f.queued(f.frozen_now()).id)
    assert [step.plan.title for step in detail.steps] == ["Process payment", "Update inventory", "Create shipment"]
