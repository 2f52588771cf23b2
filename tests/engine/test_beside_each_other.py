"""Steps beside each other, and conditions, driven by a real pump."""

from __future__ import annotations

import threading

import pytest

from sagas.engine.commands import start_run
from tests.engine.actions import BEHAVIOUR, count, refuse
from tests.engine.conftest import drive
from tests.engine.stored_run import faults_of, fetch

DIAMOND = """
saga: diamond
title: Diamond
input: {{type: object, properties: {{gift: {{type: boolean}}}}}}
defaults:
  timeout: 5s
  retry: {{attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
steps:
  - {{name: open, action: engine.{kind}, compensation: {{action: engine.{kind}}}}}
  - {{name: left, after: [open], action: engine.{kind}, compensation: {{action: engine.{kind}}}}}
  - {{name: right, after: [open], action: engine.{kind}, compensation: {{action: engine.{kind}}}}}
  - {{name: wrap, after: [open], when: "${{input.gift == true}}", action: engine.{kind}, compensation: none}}
  - {{name: close, after: [left, right, wrap], action: engine.{kind}, compensation: none,
     with: {{seen: "${{steps.wrap.status}}"}}}}
"""
KINDS = ["plain", "awaited", "atomic"]


@pytest.fixture
def diamond(saga):
    return lambda kind: saga(source=DIAMOND.format(kind=kind))


def statuses(run):
    return dict(fetch(run).steps.values_list("step", "status"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gift", [True, False])
def test_a_diamond_completes_and_a_step_whose_condition_is_false_is_not_called(diamond, kind, gift):
    run = start_run(diamond(kind), {"gift": gift}).run
    drive()
    assert fetch(run).status == "completed"
    assert statuses(run)["wrap"] == ("succeeded" if gift else "skipped")
    assert ("wrap:action" in count()) is gift
    assert faults_of(run) == []


def test_steps_beside_each_other_are_carried_out_at_once(diamond):
    both = threading.Barrier(2, timeout=20)
    BEHAVIOUR["left:action"] = BEHAVIOUR["right:action"] = lambda _call: both.wait() and None
    run = start_run(diamond("plain"), {"gift": False}).run
    drive()
    assert fetch(run).status == "completed"


@pytest.mark.parametrize("kind", KINDS)
def test_when_one_way_fails_the_other_is_waited_for_and_undone(diamond, kind):
    BEHAVIOUR["left:action"] = refuse
    run = start_run(diamond(kind), {"gift": False}).run
    drive()
    assert fetch(run).status == "compensated"
    called = count()
    assert called.get("right:compensation", 0) == called.get("right:action", 0)
    assert called["open:compensation"] == 1
    assert "left:compensation" not in called
    assert "close:action" not in called
    assert faults_of(run) == []


def test_a_condition_without_a_truth_value_fails_its_step_for_good(saga):
    source = DIAMOND.format(kind="plain").replace("input.gift == true", "input.gift")
    run = start_run(saga(source=source), {}).run
    drive()
    assert fetch(run).status == "compensated"
    assert fetch(run).steps.get(step="wrap").error["code"] == "expression_error"
    assert "wrap:action" not in count()
    assert faults_of(run) == []
