"""Where things stand on a page: measured in a real browser while a real run goes on."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

WIDE = {"width": 1440, "height": 900}
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


def test_nothing_on_a_run_page_jumps_while_the_run_goes_on(visit):
    bob = visit(viewport=WIDE)
    bob.page.add_init_script(MEASURE)
    bob.run_demo("create_shipment", "time_out")  # tried three times, then all is undone
    bob.wait_for_text("#run-head .badge", "Compensated")
    seen = [json.loads(one) for one in bob.page.evaluate("() => [...window.seen]")]
    said = bob.page.evaluate("() => [...window.said]")
    assert len(said) > 1, "the run was watched while it went on"
    assert len(seen) == 1, seen
