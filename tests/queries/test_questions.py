from __future__ import annotations

from datetime import timedelta

import pytest

from sagas.access import Standing
from sagas.core.vocabulary import Role
from sagas.queries import questions
from sagas.queries.run_detail import find_run_detail
from tests import factories as f

pytestmark = pytest.mark.django_db


def keys(found):
    return [one.run.key for one in found]


def test_what_is_asked_is_listed_oldest_first_with_one_query(django_assert_num_queries):
    now = f.frozen_now()
    f.asking_for_approval(now)
    f.asking_a_group(now - timedelta(hours=1))
    for tell in (f.approved, f.declined, f.waiting_for_signal, f.sleeping, f.completed):
        tell(now)
    with django_assert_num_queries(1):
        found = questions.list_questions()
        told = [(one.run.key, one.run.saga.name, one.step, one.title, one.wait.group, one.wait.prompt) for one in found]
    assert told == [
        ("48244", "lend-car-team", "agree", "Agree", "front desk", "Agree?"),
        ("48243", "lend-car", "agree", "Agree", "operator", "Lend it to 48243?"),
    ]
    assert questions.count_questions() == 2
    assert questions.count_questions(most=1) == 1
    assert found[1].wait == find_run_detail(found[1].run.id).find_step("agree").wait


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(Role.VIEWER), []),
        (Standing(Role.OPERATOR), ["48243"]),
        (Standing(Role.AUTHOR), ["48243"]),
        (Standing(Role.ADMIN), ["48243", "48244"]),
        (Standing(Role.VIEWER, frozenset({"front desk"})), ["48244"]),
        (Standing(Role.OPERATOR, frozenset({"front desk", "operator"})), ["48243", "48244"]),
        (Standing(None, frozenset({"front desk"})), []),
        (Standing(), []),
    ],
)
def test_what_is_asked_of_somebody_is_what_they_may_answer(standing, expected):
    now = f.frozen_now()
    f.asking_for_approval(now)
    f.asking_a_group(now)
    assert sorted(keys(questions.list_questions(standing.answerable))) == expected
    assert questions.count_questions(standing.answerable) == len(expected)
    assert [one.run.key for one in questions.list_questions() if standing.may_answer(one.wait.group)] == [
        one.run.key for one in questions.list_questions(standing.answerable)
    ]
