"""What a person sees: one command was started, one button is pressed, everything else happens by itself."""

from __future__ import annotations

import time

import pytest

from tests.running import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.slow]

ALL_DONE = ["succeeded", "succeeded", "succeeded"]


def test_a_demo_order_is_watched_to_its_end_without_a_reload(visit, product):
    bob = visit()
    order = bob.run_demo("create_shipment", "fail")  # twice; then it works
    bob.mark()
    seen = []
    wait_for(lambda: seen.append(tuple(bob.states()[:3])) or bob.text("#run-head .badge") == "Completed", "the end")
    assert bob.states()[:3] == ALL_DONE
    assert len(set(seen)) > 1, "steps change before one's eyes"
    assert bob.is_same_page
    assert product.shop("SELECT status FROM shop_payment WHERE order_id = ?", order) == [("taken",)]
    assert len(product.shop("SELECT 1 FROM shop_shipment WHERE order_id = ?", order)) == 1


def test_a_rejected_shipment_undoes_what_was_done_newest_first(visit, product):
    stock = dict(product.shop("SELECT sku, on_hand FROM shop_stockitem"))
    bob = visit()
    order = bob.run_demo("create_shipment", "reject")
    bob.mark()
    bob.wait_for_text("#run-head .badge", "Compensated")
    assert bob.is_same_page
    assert bob.states()[:3] == ["succeeded", "succeeded", "failed"]
    assert product.shop("SELECT status FROM shop_payment WHERE order_id = ?", order) == [("refunded",)]
    reservations = product.shop("SELECT released_at IS NOT NULL FROM shop_reservation WHERE order_id = ?", order)
    assert reservations, "goods were taken off the shelf"
    assert all(is_back for (is_back,) in reservations)
    assert dict(product.shop("SELECT sku, on_hand FROM shop_stockitem")) == stock
    assert not product.shop("SELECT 1 FROM shop_shipment WHERE order_id = ?", order)
    journal = bob.text("#journal")
    assert 0 < journal.index("Restore inventory") < journal.index("Refund payment"), "newest first"


def test_a_page_connects_although_the_socket_extension_comes_late(visit):
    bob = visit()

    def late(route) -> None:
        time.sleep(0.5)
        route.continue_()

    bob.page.route("**/hx-ws*", late)
    bob.run_demo("nothing")
    bob.wait_until_live()
    bob.mark()
    bob.wait_for_text("#run-head .badge", "Completed")
    assert bob.is_same_page


def test_a_page_comes_back_by_itself_when_the_web_was_killed(visit, product):
    bob = visit()
    bob.run_demo("create_shipment", "fail")  # two failures: it is still waiting while the web is away
    bob.wait_until_live()
    bob.mark()
    product.web().kill()
    bob.wait_for_text("#run-head .badge", "Completed")
    assert bob.is_same_page
    bob.wait_until_live()
    bob.forgive("WebSocket connection", "htmx: htmx:ws:error")


def test_a_page_that_hears_nothing_does_not_look_live(visit):
    bob = visit()
    bob.page.goto("/runs/")
    bob.wait_until_live()
    bob.context.set_offline(True)
    bob.eventually("() => document.getElementById('connection').dataset.state", "reconnecting", "the truth")
    assert "data from" in bob.text("#connection")
    bob.context.set_offline(False)
    bob.wait_until_live()


def test_a_web_that_stands_still_is_noticed(visit, product):
    bob = visit()
    bob.page.goto("/runs/")
    bob.wait_until_live()
    web = product.web()
    web.suspend()  # the socket stays open and says nothing
    try:
        bob.eventually("() => document.getElementById('connection').dataset.state", "reconnecting", "the truth")
    finally:
        if web.is_running():
            web.resume()
    bob.wait_until_live()


def test_an_open_journal_entry_stays_open_while_the_page_moves(visit):
    bob = visit()
    bob.run_demo("nothing")
    bob.page.click("#e-1 summary")
    bob.wait_for_text("#run-head .badge", "Completed")
    assert bob.page.evaluate("() => document.getElementById('e-1').open")


def test_a_list_changes_in_place_and_newcomers_wait(visit):
    ana, bob = visit(), visit()
    ana.run_demo("nothing")
    bob.page.goto("/runs/")
    bob.wait_until_live()
    first = "#rows tr:first-child"
    row = bob.page.get_attribute(first, "id")
    bob.wait_for_text(f"#{row} .badge", "Completed")
    ana.run_demo("nothing")
    bob.wait_for_text("#new-runs", "1 new run")
    assert bob.page.get_attribute(first, "id") == row
    bob.press("#new-runs a")
    assert bob.page.get_attribute(first, "id") != row


def test_who_signs_out_elsewhere_is_told_on_every_open_page(visit, product):
    bob = visit(storage_state=None)
    bob.page.goto(product.new_sign_in_url())
    bob.press("main button")
    bob.page.goto("/runs/")
    bob.wait_until_live()
    other = bob.context.new_page()
    other.goto("/")
    other.click("text=Sign out")
    bob.wait_for_text("#connection", "Sign in again")
    bob.press("#connection a")
    assert "/sign-in/" in bob.page.url
