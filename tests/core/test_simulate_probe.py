"""A probe on paper: it answers what the script says truly happened."""

from __future__ import annotations

import pytest

from sagas.core.definition import ActionFacts
from sagas.core.document import check_source, compile_document
from sagas.core.simulate import simulate

SOURCE = """
saga: pay
title: Pay
steps:
  - {name: pay, action: bank.pay, pivot: true, timeout: 10s, probe: {python: bank.look}}
"""
FACTS = {"bank.look": ActionFacts(reads_only=True)}


def lost(happened):
    return {"outcome": "unknown", "happened": happened}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (lost(True), "completed"),
        (lost(False), "compensated"),
        ([lost(False)], "completed"),
        ("unknown", "needs_attention"),
    ],
)
def test_a_probe_says_what_truly_became_of_the_action_where_the_script_says_it(fault, status):
    run = simulate(compile_document(check_source(SOURCE, FACTS).document, FACTS), {}, {"pay": fault})
    assert run.status == status
