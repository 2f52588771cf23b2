"""Probes, late answers and what hangs: on the run's page, in the journal, in the list, over the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template.loader import render_to_string

from sagas.core import codec
from sagas.core import messages as m
from sagas.core.vocabulary import OutcomeKind, Phase
from sagas.presentation import journal, probes, strip
from sagas.presentation.fragments import render_regions
from sagas.presentation.status import Tone
from sagas.presentation.why import why
from sagas.queries.run_detail import Entry, find_run_detail
from sagas.queries.runs import list_rows
from tests import doubtful as d
from tests import factories as f

pytestmark = pytest.mark.django_db
OF_PROBE = {"step": d.STOCK, "phase": Phase.PROBE, "number": 2}
LATE = {"order": 1, "step": d.STOCK, "phase": Phase.ACTION, "number": 1}
SUCCEEDED, REJECTED, FAILED, UNKNOWN = OutcomeKind


def page(tell, after_s=0.0):
    now = f.frozen_now()
    f.make_beat(now)
    return find_run_detail(tell(now).id), now + timedelta(seconds=after_s)


@pytest.mark.parametrize(
    ("tell", "code", "parts"),
    [
        (d.probing, "asking_probe", ["whether “Update inventory” happened, so its probe is asked. It has 0:28 left"]),
        (d.asked_again, "asking_probe", ["could not say yet, and is asked again in 0:02 (2 of 3)."]),
        (
            d.draining_with_a_probe,
            "turning",
            ["Cancelled by ana.", "its probe is asked", "Then what was done is undone."],
        ),
        (d.never_happened, "retry_backoff", ["Waiting to retry “Update inventory”", "(2 of 3)"]),
        (d.settled_late, "completed", ["all 3 steps succeeded"]),
        (d.hanging, "hanging", ["“Update inventory” happened after all", "Retry undoes it again", "settle it"]),
        (d.hung, "compensated", ["were undone", "happened after all: the answer came too late, and nothing undoes it"]),
        (d.terminated_in_doubt, "terminated", ["Nobody knows whether “Update inventory” happened"]),
    ],
)
def test_each_open_question_says_why(tell, code, parts):
    found = why(*page(tell))
    assert found.code == code
    for part in parts:
        assert part in found.text, found.text


def test_a_question_that_is_due_and_one_that_nobody_waits_for_count_nothing_down():
    assert "due to be asked (2 of 3)" in why(*page(d.asked_again, after_s=5)).text
    detail, now = page(d.probing, after_s=60)
    f.make_beat(now)
    detail = find_run_detail(detail.run.id)
    assert "“Probe of Update inventory” was sent" in why(detail, now).text


def test_the_table_of_steps_shows_what_was_asked_and_what_was_said():
    detail, now = page(d.never_happened)
    html = render_regions(detail, now)["steps"]
    assert "Asked 1</span><span>Never happened</span>" in html
    assert "Try 1</span><span>Outcome unknown</span>" in html
    detail, now = page(d.asked_again)
    assert "the probe is asked again in" in render_regions(detail, now)["steps"]
    detail, now = page(d.probing)
    assert "Asked 1</span><span>in flight</span>" in render_regions(detail, now)["steps"]


def test_a_run_that_hangs_shows_it_on_its_head_and_in_the_list():
    detail, now = page(d.hung)
    assert "Hanging" in render_regions(detail, now)["run-head"]
    (row,) = list_rows([detail.run.id])
    assert strip.shown(row).reason == "something happened after all, and stays"
    detail, now = page(d.hanging)
    (row,) = list_rows([detail.run.id])
    assert strip.shown(row).reason == "“Update inventory” happened after its undo"


STEP = "“Update inventory”"
ENTRIES = [
    (m.AttemptStarted(**OF_PROBE, timeout_s=1), f"Asked the probe whether {STEP} happened (asked 2)", Tone.NEUTRAL),
    (m.AttemptEnded(**OF_PROBE, outcome=SUCCEEDED), f"The probe says that {STEP} happened (asked 2)", Tone.SUCCESS),
    (
        m.AttemptEnded(**OF_PROBE, outcome=REJECTED, message="no 100 %"),
        f"The probe says that {STEP} was rejected: no 100 %",
        Tone.FAILURE,
    ),
    (m.AttemptEnded(**OF_PROBE, outcome=FAILED), f"The probe says that {STEP} never happened (asked 2)", Tone.FAILURE),
    (
        m.AttemptEnded(**OF_PROBE, outcome=UNKNOWN, message="broke"),
        f"The probe could not say whether {STEP} happened: broke",
        Tone.RETRY,
    ),
    (
        m.RetryScheduled(step=d.STOCK, phase=Phase.PROBE, at=f.frozen_now()),
        f"The probe is asked about {STEP} again at ",
        Tone.RETRY,
    ),
    (
        m.LateReportReceived(**LATE, outcome=SUCCEEDED, settles=True),
        f"{STEP} answered late: it succeeded (try 1)",
        Tone.SUCCESS,
    ),
    (
        m.LateReportReceived(**LATE, outcome=REJECTED, message="100 %"),
        f"{STEP} answered late: it was rejected (try 1): 100 %. Kept as evidence: it changes nothing",
        Tone.NEUTRAL,
    ),
    (
        m.LateReportReceived(**LATE, outcome=FAILED, settles=True, code="x"),
        f"{STEP} answered late: it had no effect (try 1): x",
        Tone.FAILURE,
    ),
    (
        m.LateReportReceived(**LATE, outcome=SUCCEEDED, is_hanging=True),
        f"{STEP} answered late: it succeeded (try 1). It hangs: the run had gone on as if it had not happened",
        Tone.CRITICAL,
    ),
    (
        m.StepSettled(step=d.STOCK, outcome=SUCCEEDED, is_late=True),
        f"{STEP} is settled by its late answer: it happened",
        Tone.NEUTRAL,
    ),
    (
        m.StepSettled(step=d.STOCK, outcome=REJECTED, is_late=True),
        f"{STEP} is settled by its late answer: it did not happen",
        Tone.NEUTRAL,
    ),
]


@pytest.mark.parametrize(("event", "sentence", "tone"), ENTRIES)
def test_each_line_of_the_journal_about_it_is_a_sentence(event, sentence, tone):
    detail, now = page(d.never_happened)
    steps = {step.plan.name: step for step in detail.steps}
    entry = Entry(9, *codec.encode(event), now)
    assert journal.sentence(entry, steps).startswith(sentence)
    assert journal.tone_of(entry) is tone


def test_the_page_of_a_step_names_its_probe_and_the_key_it_asks_about():
    detail, _ = page(d.asked_again)
    step = detail.find_step(d.STOCK)
    assert (step.plan.probe, len(step.probes), step.probe_tries, step.is_unsettled) == ("shop.stock_state", 1, 1, True)
    context = {
        "run": detail.run, "step": step, "heading": "Probe", "anchor": "probe", "name": step.plan.probe, "look": None,
        "attempts": step.probes, "policy": probes.policy_words(30.0), "words": "",
    }  # fmt: skip
    html = render_to_string("sagas/runs/_half.html", context)
    assert f"{detail.run.id}:{d.STOCK}:action" in html
    assert "Asked 1" in html
    assert "Cannot say" in html
    assert "at most 3 times. Each time it has 30 s." in html


def test_a_probe_that_settled_the_question_leaves_nothing_to_settle():
    step = page(d.never_happened)[0].find_step(d.STOCK)
    assert (step.is_unsettled, step.is_asking, step.probe_tries) == (False, False, 1)
    step = page(d.settled_late)[0].find_step(d.STOCK)
    assert (step.is_unsettled, step.is_asking, step.hangs) == (False, False, False)
    assert page(d.hung)[0].find_step(d.STOCK).hangs
