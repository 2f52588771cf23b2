"""A plain action behind a barrier, driven by real pumps: its effect happens once, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from sagas import Rejected
from sagas.barrier.models import Mark
from sagas.engine.commands import start_run
from sagas.participants import barrier
from tests.engine.actions import BEHAVIOUR, count, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch
from tests.participants.deliveries import fill, put_back, take, taken

ROOT = Path(__file__).resolve().parents[2]

PATIENT = """
saga: patient
title: Two steps that take and put back
defaults:
  timeout: {timeout}
  retry: {{attempts: {attempts}, initial: 10ms, factor: 1, jitter: 0}}
  compensation_retry: {{attempts: 3, initial: 10ms, factor: 1, jitter: 0}}
steps:
  - name: stock
    action: engine.plain
    compensation: {{action: engine.plain}}
  - name: ship
    action: engine.plain
    compensation: none
"""

DOOMED_WORKER = """
import os
import django
django.setup()
from sagas.engine.pump import run_shift
from sagas.participants import barrier
from tests.engine.actions import BEHAVIOUR
from tests.participants.deliveries import take

def take_and_die(call):
    barrier.run(call, take)
    os._exit(137)

BEHAVIOUR["stock:action"] = take_and_die
run_shift("tests", 1, length_s=60, should_stop=lambda: False)
"""


@pytest.fixture(autouse=True)
def _shelf(transactional_db):
    fill()


def take_once(call):
    return barrier.run(call, take)


def put_back_once(call):
    return barrier.run(call, put_back)


def losing_the_first_answer(behave):
    """Do the work of `behave`, but let the answer of the first attempt be lost."""

    def act(call):
        answer = behave(call)
        if call.attempt == 1:
            raise ConnectionError("lost")
        return answer

    return act


def test_an_answer_that_is_lost_after_the_effect_does_not_repeat_the_effect(saga):
    BEHAVIOUR["stock:action"] = losing_the_first_answer(take_once)
    run = start_run(saga(source=PATIENT.format(timeout="5s", attempts=3)), {}).run
    drive()
    assert fetch(run).status == "completed"
    assert count()["stock:action"] == 2
    assert taken() == 1
    assert fetch(run).steps.get(step="stock").output == {"left": 99}
    assert faults_of(run) == []


def test_a_lost_answer_of_a_compensation_does_not_undo_twice(saga):
    BEHAVIOUR["stock:action"] = losing_the_first_answer(take_once)
    BEHAVIOUR["stock:compensation"] = losing_the_first_answer(put_back_once)
    BEHAVIOUR["ship:action"] = refuse
    run = start_run(saga(source=PATIENT.format(timeout="5s", attempts=3)), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert count() == {"stock:action": 2, "ship:action": 1, "stock:compensation": 2}
    assert taken() == 0
    assert faults_of(run) == []


def die_after_the_effect(folder: Path) -> int:
    """Run a worker of its own on the test's database until its first action ends it."""
    name = connection.settings_dict["NAME"]
    url = f"sqlite:///{name}"
    if connection.vendor == "postgresql":
        url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    return subprocess.run(
        [sys.executable, "-c", DOOMED_WORKER],
        cwd=ROOT,
        env=os.environ
        | {"DJANGO_SETTINGS_MODULE": "sagaweb.settings", "DATABASE_URL": url, "SAGAWEB_DATA_DIR": str(folder)},
        timeout=60,
        check=False,
    ).returncode


@pytest.mark.processes
@pytest.mark.slow
def test_a_worker_that_dies_after_the_effect_leaves_it_done_once(saga, tmp_path):
    run = start_run(saga(source=PATIENT.format(timeout="5s", attempts=3)), {}).run
    assert die_after_the_effect(tmp_path) == 137
    assert taken() == 1
    BEHAVIOUR["stock:action"] = take_once
    drive(lambda: fetch(run).status == "completed")
    assert fetch(run).status == "completed"
    assert taken() == 1
    assert faults_of(run) == []


def test_an_action_that_comes_after_its_compensation_is_refused(saga):
    """It timed out before it began to work; the step was in doubt, and undone though it had not happened."""
    is_undone, late = threading.Event(), []

    def come_late(call):
        assert is_undone.wait(30)
        try:
            return take_once(call)
        except Rejected as error:
            late.append(error.code)
            raise

    BEHAVIOUR["stock:action"] = come_late
    BEHAVIOUR["stock:compensation"] = put_back_once
    run = start_run(saga(source=PATIENT.format(timeout="200ms", attempts=1)), {}).run

    def has_come_late():
        if fetch(run).status == "compensated":
            is_undone.set()
        return bool(late) and fetch(run).inbox_done == 1

    drive(has_come_late)
    row = fetch(run)
    assert (row.status, row.steps.get(step="stock").status) == ("compensated", "in_doubt")
    assert late == [barrier.COMPENSATED_ALREADY]
    assert taken() == 0
    mark = Mark.objects.get()
    assert (mark.action_at, mark.compensation_key) == (None, f"{run.id}:stock:compensation")
    assert faults_of(run) == []
