"""A run that waits, in a browser: it counts down, takes a signal and an answer by keyboard, and open pages follow."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

SOURCE = """\
saga: lend-in-browser
title: Lend a car
input: {type: object, required: [who], properties: {who: {type: string}}}
steps:
  - {name: cool_off, sleep: 2s}
  - {name: papers, wait_for: {signal: papers_checked, timeout: 2d}}
  - {name: agree, approval: {prompt: "Lend it to ${input.who}?", timeout: 1h}}
"""


def test_a_run_that_waits_counts_down_and_goes_on_when_somebody_answers(visit):
    bob = visit()
    bob.page.goto("/sagas/")
    bob.press("text=New saga")
    bob.page.fill("#source", SOURCE)
    bob.press("#editor button:has-text('Publish')")
    bob.page.fill("#field-who", "Ann")
    bob.press("#start button")
    address = bob.page.url
    watcher = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    watcher.page.goto(address)
    watcher.wait_until_live()
    watcher.mark()
    watcher.wait_for_text("#why", "“Papers” waits for the signal “papers_checked”.")
    assert watcher.text("#run-head .badge") == "Waiting"
    assert watcher.states() == ["succeeded", "waiting", "pending"]
    node = "() => document.getElementById('node-papers').textContent.replace(/\\d+ d \\d+ h/, 'days')"
    assert "Waits for signal · days" in watcher.page.evaluate(node)
    assert not watcher.page.is_visible(".actions [data-verb=approve]")

    bob.page.goto(address)
    bob.go_by_keyboard(".actions [data-verb=signal]")
    bob.tab_to("#payload")
    bob.page.keyboard.type('{"by": "Mia"}')
    bob.go_by_keyboard("form .button-primary")
    watcher.wait_for_text("#why", "Waiting for a person to decide: “Lend it to Ann?”")
    assert watcher.page.is_visible(".actions [data-verb=approve]")
    assert watcher.page.is_visible("#step-agree .step-answers")
    left = watcher.text("#why .tick")
    watcher.eventually("left => document.querySelector('#why .tick').textContent !== left", True, "a tick", left)

    bob.page.goto(address)
    bob.go_by_keyboard(".actions [data-verb=approve]")
    assert bob.text("h1") == "Approve “Agree”?"
    bob.tab_to("#reason")
    bob.page.keyboard.type("a good driver")
    bob.go_by_keyboard("form .button-primary")
    watcher.wait_for_text("#run-head .badge", "Completed")
    assert "approved “Agree”: a good driver" in watcher.text("#journal")
    assert not watcher.page.is_visible(".actions [data-verb=approve]")
    assert watcher.page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert watcher.is_same_page
