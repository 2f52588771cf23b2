"""The saga that every benchmark runs: CreateOrder, three no-op steps, each a thread hop and a commit."""

from __future__ import annotations

SOURCE = """
saga: {name}
title: Create order, without the work
steps:
  - name: process_payment
    action: noop.succeed
    compensation: {{action: noop.succeed}}
  - name: update_inventory
    action: noop.succeed
    compensation: {{action: noop.succeed}}
  - name: create_shipment
    action: {last}
    compensation: none
"""


def completing() -> str:
    """Return the document whose runs complete."""
    return SOURCE.format(name="noop-order", last="noop.succeed")


def undoing() -> str:
    """Return the document whose third step is rejected: two compensations run."""
    return SOURCE.format(name="noop-undo", last="noop.reject")
