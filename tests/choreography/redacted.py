"""A choreography with redacted values, and events that carry them."""

from __future__ import annotations

from sagas.core.cloud_event import CloudEvent

CARD, PIN, TOKEN = "CANARY-4111111111111111", 9021788460, "CANARY-token-7"
SECRETS = (CARD, "9021788460", TOKEN, "CANARY")
SOURCE = """
saga: charge
style: choreography
starts_on: [order.placed]
correlate: ${event.data.order_id}
labels: {customer: "${event.data.customer}"}
completes_on: [order.shipped]
compensated_on: [payment.refused, payment.refunded]
publishes: {storefront: [order.placed]}
defaults: {timeout: 5s, retry: {attempts: 2, initial: 10ms, factor: 1, jitter: 0}}
redact: [event.data.card.number, event.data.card.pin]
reactions:
  - name: take_payment
    service: payments
    on: [order.placed]
    action: engine.plain
    with: {card: "${event.data.card}", order: "${event.data.order_id}"}
    redact: [output.token]
    emits: {succeeded: payment.taken, rejected: payment.refused}
  - name: ship
    service: shipping
    on: [payment.taken]
    action: engine.plain
    with: {bearer: "${'Bearer ' + event.data.token}", token: "${event.data.token}"}
    redact: [with.bearer]
    emits: {succeeded: order.shipped, rejected: shipment.failed}
  - name: refund_payment
    service: payments
    on: [shipment.failed]
    undoes: take_payment
    action: engine.plain
    with: {number: "${event.data.card.number}"}
    emits: {succeeded: payment.refunded}
"""


def placed(order_id: str = "7", kind: str = "order.placed", **more) -> CloudEvent:
    """Return an event that carries a card."""
    data = {"order_id": order_id, "customer": "dora", "card": {"number": CARD, "pin": PIN, "holder": "Dora"}}
    return CloudEvent(id=f"{order_id}-{kind}", source="/shop/storefront", type=kind, data=data | more)


def give_token(_call) -> dict[str, str]:
    """Give back what nobody is to see."""
    return {"token": TOKEN, "receipt": "R-1"}
