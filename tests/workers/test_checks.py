"""Dangerous settings are refused, each with its reason."""

from __future__ import annotations

import copy

import pytest
from django.conf import settings as project
from django.contrib import admin
from django.core.checks import run_checks
from django_q.models import OrmQ

from sagas import checks


def ids(problems) -> set[str]:
    return {problem.id for problem in problems if problem.id.startswith("sagas.")}


def test_our_own_settings_pass():
    assert ids(run_checks()) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"broker_class": "django_q.brokers.orm.ORM"}, "sagas.E002"),
        ({"bulk": 10}, "sagas.E002"),
        ({"queue_limit": 50}, "sagas.E002"),
        ({"max_attempts": 0}, "sagas.E002"),
        ({"ack_failures": False}, "sagas.E002"),
        ({"ack_failures": 1}, "sagas.E002"),
        ({"save_limit": 250}, "sagas.E002"),
        ({"scheduler": True}, "sagas.E002"),
        ({"redis": {"host": "127.0.0.1"}}, "sagas.E003"),
        ({"sync": True}, "sagas.E003"),
        ({"timeout": None}, "sagas.E004"),
        ({"retry": 1200.5}, "sagas.E004"),
        ({"timeout": 90}, "sagas.E005"),
        ({"retry": 620}, "sagas.E006"),
    ],
)
def test_a_dangerous_queue_setting_is_refused(settings, change, expected):
    settings.Q_CLUSTER = project.Q_CLUSTER | change
    assert ids(checks.check_queue(None)) == {expected}


@pytest.mark.parametrize("name", ["orm", "broker_class", "scheduler", "ack_failures"])
def test_a_queue_setting_left_to_its_default_is_refused(settings, name):
    settings.Q_CLUSTER = {key: value for key, value in project.Q_CLUSTER.items() if key != name}
    assert ids(checks.check_queue(None)) in ({"sagas.E001"}, {"sagas.E002"})


def test_a_wildcard_host_is_refused_outside_debugging(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(checks.check_hosts(None)) == {"sagas.E010"}
    settings.DEBUG = True
    assert ids(checks.check_hosts(None)) == set()


SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
    },
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ATOMIC_REQUESTS": True}, "sagas.E020"),
        ({"CONN_MAX_AGE": None}, "sagas.E021"),
        ({"OPTIONS": SQLITE["OPTIONS"] | {"transaction_mode": "DEFERRED"}}, "sagas.E022"),
        ({"OPTIONS": SQLITE["OPTIONS"] | {"init_command": "PRAGMA journal_mode=WAL"}}, "sagas.E023"),
        ({"OPTIONS": SQLITE["OPTIONS"] | {"init_command": "PRAGMA synchronous = FULL"}}, "sagas.E023"),
    ],
)
def test_a_dangerous_database_setting_is_refused(change, expected):
    config = copy.deepcopy(SQLITE) | change
    assert ids(checks._database_problems("default", config)) == {expected}


def test_an_admin_page_of_django_q_is_refused():
    admin.site.register(OrmQ)
    try:
        assert ids(checks.check_admins(None)) == {"sagas.E030"}
    finally:
        admin.site.unregister(OrmQ)
