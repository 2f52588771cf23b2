"""The pages of services in a real browser: on a phone without JavaScript, and with the keyboard alone."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = "() => document.documentElement.scrollWidth"
TOO_SMALL = """() => [...document.querySelectorAll('.button, .nav a, main summary, .check')]
  .filter(one => one.offsetHeight && one.offsetHeight < 44).map(one => one.textContent.trim())"""


def look(visitor, address: str) -> None:
    """Open a page; nothing of it is wider than the phone, or too small for a finger."""
    visitor.page.goto(address)
    assert visitor.page.evaluate(WIDE) == 390, address
    assert visitor.page.evaluate(TOO_SMALL) == [], address


def test_a_service_is_registered_held_released_and_deleted_on_a_phone_without_javascript(visit):
    erin = visit(**PHONE, java_script_enabled=False)
    erin.page.goto("/services/")
    erin.press("a[href='/services/actions/new/']")
    erin.page.fill("#name", "phone")
    erin.page.fill("#base_url", "https://a-rather-long-name.example.com/with/a/path/that/goes/on/and/on/v1")
    erin.page.fill("#max_concurrency", "none")
    erin.press("main form .button-primary")
    assert "A whole number" in erin.text("#max_concurrency-about")
    assert erin.page.get_attribute("#max_concurrency", "aria-invalid") == "true"
    erin.page.fill("#max_concurrency", "5")
    erin.press("main form .button-primary")
    secret = erin.page.input_value("#secret")
    assert secret.startswith("whsec_")
    erin.press("main .button-primary")
    assert secret not in erin.page.content()
    for address in ("", "phone/", "actions/new/", "phone/actions/edit/", "phone/actions/hold/"):
        look(erin, f"/services/{address}")
    erin.page.fill("#reason", "looking into it")
    erin.press("main form .button-primary")
    assert "Held by" in erin.text(".service-why")
    erin.press("a[href$='/actions/release/']")
    erin.press("main form .button-primary")
    assert "Never called" in erin.text("h1 + .badge")
    look(erin, "/services/phone/actions/delete/")
    erin.press("main form .button-danger")
    assert erin.page.url.endswith("/services/")


def test_a_secret_is_rotated_with_the_keyboard_alone(visit):
    erin = visit()
    erin.page.goto("/services/actions/new/")
    erin.page.fill("#name", "keyboard")
    erin.page.fill("#base_url", "https://keyboard.example.com")
    erin.press("main form .button-primary")
    first = erin.page.input_value("#secret")
    erin.go_by_keyboard("main .button-primary")
    erin.tab_to(".more summary")
    erin.page.keyboard.press("Enter")
    erin.go_by_keyboard("a[href$='/actions/rotate-secret/']")
    erin.tab_to("main form .button-primary")
    with erin.page.expect_navigation():
        erin.page.keyboard.press("Enter")
    second = erin.page.input_value("#secret")
    assert second.startswith("whsec_")
    assert second != first
    erin.page.goto("/services/keyboard/")
    assert "valid until" in erin.text(".facts")
