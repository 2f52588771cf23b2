from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings

from sagas.presentation import fragments, strip
from sagas.queries.run_detail import find_run_detail
from sagas.queries.runs import RunFilter, list_runs
from tests import factories as f

pytestmark = pytest.mark.django_db
TEMPLATES = Path(settings.TEMPLATES[0]["DIRS"][0])


@pytest.mark.parametrize("tell", f.EVERY_STATE)
def test_each_region_is_one_element_with_its_id_in_every_state(tell):
    run = tell(f.frozen_now())
    regions = fragments.render_run_regions(run.id)
    assert tuple(regions) == fragments.RUN_REGIONS
    for region, html in regions.items():
        root = re.match(r"\s*(?:<!--.*?-->)?\s*<(\w+) id=\"([\w-]+)\"", html)
        assert root is not None, html[:80]
        assert root[2] == region
        assert html.rstrip().endswith(f"</{root[1]}>")


@pytest.mark.parametrize("tell", f.EVERY_STATE)
def test_the_picture_is_well_formed_so_that_no_attribute_swallows_the_next_element(tell):
    svg = fragments.render_run_regions(tell(f.frozen_now()).id)["graph"]
    ET.fromstring(svg)  # noqa: S314 - our own


def test_fragments_hold_nothing_personal():
    regions = fragments.render_run_regions(f.undo_failed(f.frozen_now()).id)
    for html in regions.values():
        assert "csrf" not in html
        assert "<form" not in html
        assert "<script" not in html
        assert " style=" not in html


def test_no_run_gives_no_regions():
    assert fragments.render_run_regions(uuid4()) == {}


def test_a_made_up_status_leaves_the_page_whole_and_is_shown_by_its_raw_name():
    detail = find_run_detail(f.completed(f.frozen_now()).id)
    detail.run.status = "transcending"
    steps = tuple(replace(step, status="levitating", compensation_status="hovering") for step in detail.steps)
    context = fragments.run_context(replace(detail, steps=steps), f.frozen_now())
    assert context["look"].label == "transcending"
    assert [str(node.look.label) for node in context["graph"].forward] == ["levitating"] * 3


def test_a_journal_line_is_a_sentence_and_its_raw_record():
    html = fragments.render_run_regions(f.retrying(f.frozen_now()).id)["journal"]
    assert "“Create shipment” failed without effect (try 1): The carrier answered 503" in html
    assert "attempt_ended" in html


def test_the_buttons_follow_the_state():
    def state(tell):
        return fragments.render_run_regions(tell(f.frozen_now()).id)["actions-state"]

    assert 'data-cancel="yes"' in state(f.in_flight)
    assert 'data-retry="no"' in state(f.in_flight)
    assert 'data-retry="yes"' in state(f.retrying)
    assert 'data-cancel="no"' in state(f.completed)


def test_the_strip_shows_forward_and_backward_and_says_it_in_words():
    f.compensating(f.frozen_now())
    row = strip.shown(list_runs(RunFilter()).rows[0])
    assert [cell.look.value for cell in row.cells] == ["succeeded", "succeeded", "failed", "succeeded", "running"]
    assert row.label == "2 of 3 steps done, 1 of 2 undone"
    assert row.where == "Undoing Process payment"


@pytest.mark.parametrize(
    ("tell", "where"),
    [
        (f.compensating, "Undoing Process payment"),
        (f.undo_retrying, "Undoing Process payment"),
        (f.undo_failed, "Undoing Process payment"),
        (f.compensated, "Create shipment"),
        (f.in_flight, "Create shipment"),
        (f.asking, "Update inventory"),
        (f.completed, ""),
    ],
)
def test_a_list_says_where_a_run_is_and_names_what_is_being_undone(tell, where):
    tell(f.frozen_now())
    assert strip.shown(list_runs(RunFilter()).rows[0]).where == where


def test_what_is_undone_next_is_named_before_it_has_begun():
    story = f.Story(f.frozen_now()).do(f.PAY, f.STOCK).fail(f.SHIP).turned(f.PAY, f.STOCK)
    story.save()
    assert strip.shown(list_runs(RunFilter()).rows[0]).where == "Undoing Update inventory"


def test_a_run_keeps_the_title_of_its_own_version():
    run = f.completed(f.frozen_now())
    run.saga.title = "Create order, the new way"
    run.saga.save()
    head = fragments.render_run_regions(run.id)["run-head"]
    assert "<span>Create order <" in head
    assert "the new way" not in head


def test_a_hostile_key_is_escaped_everywhere():
    story = f.Story(f.frozen_now(), key='"><script>alert(1)</script>')
    regions = fragments.render_run_regions(story.do(f.PAY).save().id)
    assert "<script>" not in json.dumps(regions)


def test_every_fragment_says_its_context_on_its_first_line():
    wrong = [
        str(path.relative_to(TEMPLATES))
        for path in TEMPLATES.rglob("_*.html")
        if not path.read_text().startswith("{# Context:")
    ]
    assert wrong == []


def test_a_rejected_step_says_so_in_the_table_and_stays_failed():
    html = fragments.render_run_regions(f.compensating(f.frozen_now()).id)["steps"]
    assert "<span>Failed · rejected</span>" in html
