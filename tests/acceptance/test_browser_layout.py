"""Where things stand on a page: measured in a real browser while a real run goes on."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

WIDE = {"width": 1440, "height": 900}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MEASURE = """
document.addEventListener('DOMContentLoaded', () => {
  window.seen = new Set();
  const look = () => {
    const steps = document.getElementById('steps');
    if (!steps) return;
    const columns = [...steps.querySelectorAll('th')].map(th => th.getBoundingClientRect().width);
    window.seen.add(JSON.stringify({columns, top: steps.getBoundingClientRect().top}));
    window.said = (window.said || new Set()).add(document.getElementById('why').dataset.code);
  };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
  look();
});
"""
TOO_SMALL = """() => [...document.querySelectorAll('a.chip, .link-button, .theme button, .button, .nav a, .tile')]
  .filter(one => one.offsetHeight && one.offsetHeight < 44).map(one => one.textContent.trim() || one.ariaLabel)"""
TO_THE_BORDER = """() => [...document.querySelectorAll('.tile')].map(
  tile => tile.getBoundingClientRect().right - tile.querySelector('.tile-label span').getBoundingClientRect().right)"""


def test_nothing_on_a_run_page_jumps_while_the_run_goes_on(visit):
    bob = visit(viewport=WIDE)
    bob.page.add_init_script(MEASURE)
    bob.run_demo("create_shipment", "time_out")  # tried three times, then all is undone
    bob.wait_for_text("#run-head .badge", "Compensated")
    seen = [json.loads(one) for one in bob.page.evaluate("() => [...window.seen]")]
    said = bob.page.evaluate("() => [...window.said]")
    assert len(said) > 1, "the run was watched while it went on"
    assert len(seen) == 1, seen


def test_no_word_of_a_tile_touches_its_border(visit):
    bob = visit(viewport=WIDE)
    bob.page.goto("/")
    assert min(bob.page.evaluate(TO_THE_BORDER)) >= 12


def test_what_is_pressed_is_large_enough_for_a_finger(visit):
    bob = visit(**PHONE)
    bob.page.goto("/runs/?status=completed&saga=create-order")
    assert bob.page.evaluate(TOO_SMALL) == []
    assert bob.page.evaluate("() => document.documentElement.scrollWidth") == 390


def test_a_picture_that_is_cut_off_says_that_it_goes_on(visit):
    bob = visit(**PHONE)
    bob.run_demo("nothing")
    assert "scroll it sideways" in bob.text(".picture-card .scroll-hint")
    bob.page.set_viewport_size(WIDE)
    assert not bob.page.is_visible(".picture-card .scroll-hint")


def test_a_long_word_in_what_a_service_says_makes_no_page_wider_than_a_phone(visit):
    bob = visit(**PHONE)
    bob.run_demo("create_shipment", "reject")
    bob.wait_for_text("#run-head .badge", "Compensated")
    for place in (".why-text span", ".entry summary span:last-child"):
        bob.page.eval_on_selector(place, "one => { one.textContent = 'x'.repeat(200) }")
        assert bob.page.evaluate("() => document.documentElement.scrollWidth") == 390, place


def test_the_admins_list_of_runs_shows_its_last_column(visit):
    bob = visit(viewport=WIDE)
    bob.run_demo("nothing")
    bob.page.goto("/admin/sagas/sagarun/")
    left_over = """() => document.querySelector('.results').getBoundingClientRect().right
      - document.querySelector('#result_list td:last-child').getBoundingClientRect().right"""
    assert bob.page.evaluate(left_over) >= 0
    height = bob.page.evaluate("() => document.querySelector('#result_list .field-short').offsetHeight")
    assert height < 60, "two lines"


def test_each_line_of_the_editor_has_its_number_and_keeps_it(visit):
    bob = visit(viewport=WIDE)
    bob.page.goto("/sagas/actions/new/")
    last = "() => Number(document.querySelector('.gutter').textContent.split('\\n').at(-1))"
    lines = len(bob.page.input_value("#source").split("\n"))
    assert bob.page.evaluate(last) == lines
    bob.page.fill("#source", "saga: x\n" * 200)
    assert bob.page.evaluate(last) == 201
    bob.page.evaluate("() => { document.getElementById('source').scrollTop = 900; }")
    bob.eventually("() => document.querySelector('.gutter').scrollTop", 900, "the numbers follow the text")
