"""The order choreography in the forms that tests need: done here, or only watched."""

from __future__ import annotations

import re

ORDER = """
saga: order
style: choreography
starts_on: [order.placed]
correlate: ${event.data.order_id}
completes_on: [order.shipped]
compensated_on: [payment.refused, payment.refunded]
publishes: {storefront: [order.placed]}
deadline: 30m
early: {default: park, payment.taken: buffer 10m}
defaults: {timeout: 5s, retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
reactions:
  - name: take_payment
    service: payments
    on: [order.placed]
    action: engine.plain
    with: {order_id: "${event.data.order_id}"}
    emits: {succeeded: payment.taken, rejected: payment.refused}
    within: 1m
  - name: reserve_stock
    service: inventory
    on: [payment.taken]
    action: engine.plain
    emits: {succeeded: stock.reserved, rejected: stock.short}
  - name: ship
    service: shipping
    on: [stock.reserved]
    action: engine.plain
    emits: {succeeded: order.shipped, rejected: shipment.failed}
  - name: restore_stock
    service: inventory
    on: [shipment.failed]
    undoes: reserve_stock
    action: engine.plain
    emits: {succeeded: stock.restored}
  - name: refund_payment
    service: payments
    on: [stock.short, stock.restored]
    undoes: take_payment
    action: engine.plain
    emits: {succeeded: payment.refunded}
"""
WATCHED = re.sub(r"    with: .*\n", "", ORDER.replace("action: engine.plain", "external: true")).replace(
    "defaults: {timeout: 5s, retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}}\n", ""
)
