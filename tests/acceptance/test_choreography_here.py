"""Reactions carried out by our own workers, which are killed: every order ends right, effects happen once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.acceptance.choreographed_orders import fails_at
from tests.running import Running, new_place, wait_for

pytestmark = pytest.mark.processes

COUNT = 60


def test_workers_that_are_killed_lose_no_event_and_double_no_effect(tmp_path):
    with ExitStack() as stack:
        place = stack.enter_context(new_place(tmp_path))

        def begin(*arguments):
            running = Running(place, *arguments, SAGAWEB_DEMO="1", SAGAWEB_LOCAL="1")
            stack.callback(running.close)
            return running

        def call(*arguments):
            made = begin(*arguments)
            assert made.wait() == 0, made.errors

        def count(table: str, where: str = "true") -> int:
            if place.database_url.startswith("sqlite"):
                where = where.replace("true", "1")
            return place.read(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]

        call("migrate")
        call("demo")
        call("shell", "-v", "0", "-c", f"from tests.acceptance.choreographed_orders import place; place({COUNT})")
        for share in (5, 15, 30, 45):
            workers = begin("sagaworker", "--pumps", "1")
            wait_for(lambda share=share: count("sagas_sagarun", "finished_at IS NOT NULL") >= share, f"{share} orders")
            workers.close()  # SIGKILL, to all of it
        begin("sagaworker", "--pumps", "1").ready()
        wait_for(lambda: count("sagas_sagarun", "finished_at IS NOT NULL") == COUNT, "every order final")

        ends = dict(place.read("SELECT key, status FROM sagas_sagarun"))
        assert ends == {str(number): "compensated" if fails_at(number) else "completed" for number in range(COUNT)}
        paid = [number for number in range(COUNT) if fails_at(number) != "process_payment"]
        reserved = [number for number in paid if fails_at(number) != "update_inventory"]
        shipped = [number for number in reserved if not fails_at(number)]
        assert count("shop_payment") == len(paid)
        assert count("shop_payment", "status = 'refunded'") == len(paid) - len(shipped)
        assert count("shop_reservation") == len(reserved)
        assert count("shop_reservation", "released_at IS NOT NULL") == len(reserved) - len(shipped)
        assert count("shop_shipment") == len(shipped)
        assert count("sagas_sagaevent", "type = 'order.shipped'") == len(shipped)
