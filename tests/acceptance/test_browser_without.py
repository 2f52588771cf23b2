"""The same product without a mouse, and without JavaScript."""

from __future__ import annotations

import json

import pytest

from tests.running import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

ORDER = {"amount": "100", "items": '[{"sku": "teapot"}]'}
TROUBLE = {"create_shipment": {"mode": "reject"}, "refund_payment": {"mode": "reject", "times": 1}}


def start(visitor, order_id: str, **fields: str) -> None:
    """Fill in the start form of the demo saga and send it."""
    visitor.page.goto("/sagas/create-order/")
    for name, value in (ORDER | {"order_id": order_id} | fields).items():
        visitor.page.fill(f"#field-{name}", value)
    visitor.press("#start button")


def reload_until(visitor, wanted: str) -> None:
    wait_for(lambda: visitor.page.reload() and wanted in visitor.text("#run-head .badge"), wanted)


def test_a_run_in_need_is_found_and_retried_with_the_keyboard_alone(visit):
    alice = visit()
    start(alice, "keyboard-1", faults=json.dumps(TROUBLE))
    alice.wait_for_text("#run-head .badge", "Needs attention")
    alice.page.goto("/")
    alice.go_by_keyboard("nav a[href='/attention/']")
    alice.go_by_keyboard("main a[href*='/runs/']")
    alice.go_by_keyboard("a[data-verb=retry]")
    alice.go_by_keyboard("main form .button-primary")
    alice.wait_for_text("#run-head .badge", "Compensated")


def test_the_first_tab_leads_past_the_menu(visit):
    alice = visit()
    alice.page.goto("/runs/")
    alice.page.keyboard.press("Tab")
    alice.page.keyboard.press("Enter")
    assert alice.page.evaluate("() => document.activeElement.id") == "main"


def test_a_run_is_started_watched_and_cancelled_without_javascript(visit):
    bob = visit(java_script_enabled=False)
    bob.run_demo("create_shipment", "reject")
    assert "Refresh" in bob.text("#connection")
    assert "Live" not in bob.text("#connection")
    reload_until(bob, "Compensated")
    start(bob, "no-script-1", faults=json.dumps({"create_shipment": {"mode": "time_out"}}))  # ten seconds of tries
    bob.press("a[data-verb=cancel]")
    bob.press("main form .button-primary")
    reload_until(bob, "Compensated")
    assert "ancel" in bob.text("#journal")


def test_a_run_in_need_is_retried_without_javascript(visit):
    bob = visit(java_script_enabled=False)
    start(bob, "no-script-2", faults=json.dumps(TROUBLE))
    reload_until(bob, "Needs attention")
    bob.press("a[data-verb=retry]")
    bob.press("main form .button-primary")
    reload_until(bob, "Compensated")


def test_a_saga_is_written_corrected_and_published_without_javascript(visit):
    dora = visit(java_script_enabled=False)
    dora.page.goto("/sagas/")
    dora.press("text=New saga")
    text = dora.page.input_value("#source").replace("my-saga", "written-here")
    dora.page.fill("#source", text.replace("compensation:", "compensaton:", 1))
    dora.press("#editor button:has-text('Validate')")
    assert "compensaton" in dora.page.input_value("#source"), "the text is kept"
    assert "Line " in dora.text("#problems")
    assert "compensation" in dora.text("#problems"), "the nearest known name"
    dora.page.fill("#source", text)
    dora.press("#editor button:has-text('Publish')")
    assert dora.page.url.endswith("/sagas/written-here/")
    assert "Version 1 is live" in dora.text("main")


def test_wrong_input_is_said_beside_its_field_and_nothing_starts(visit, product):
    bob = visit(java_script_enabled=False)
    start(bob, "wrong-1", amount="12,50")
    assert "whole number" in bob.text("#field-amount-about")
    assert bob.page.input_value("#field-amount") == "12,50"
    assert not product.shop("SELECT 1 FROM sagas_sagarun WHERE key = 'wrong-1'")


def test_validating_keeps_the_place_in_the_text(visit):
    dora = visit()
    dora.page.goto("/sagas/create-order/")
    dora.mark()
    dora.page.fill("#source", dora.page.input_value("#source").replace("retry:", "retri:", 1))
    dora.page.click("#editor button:has-text('Validate')")
    dora.wait_for_text("#problems", "retri")
    assert dora.is_same_page
