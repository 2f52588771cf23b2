"""The shapes: sagas that differ in what they are made of. Another one is another entry of `SHAPES`.

All take the demo order's input, and go wrong as its `faults` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.acceptance.three_hundred import FAULTS

COMPLETED, COMPENSATED = "completed", "compensated"
BY_FAULTS: tuple[str, ...] = (COMPLETED, COMPENSATED)

HEAD = """
input: {type: object}
deadline: 15m
defaults:
  timeout: 10s
  retry: {attempts: 5, initial: 100ms, factor: 2, max: 1s, jitter: 0.2}
  compensation_retry: {attempts: 5, initial: 100ms, factor: 2, max: 1s, jitter: 0.2}
steps:
"""

KINDS = f"""saga: mixed-kinds
{HEAD}
  - name: look
    action: mixed.look
    with: {{fault: "${{input.faults.look}}", pace_ms: "${{input.pace_ms}}"}}
  - name: reserve
    action: mixed.ask
    with: {{fault: "${{input.faults.reserve}}", pace_ms: "${{input.pace_ms}}"}}
    compensation:
      action: mixed.ask
      with: {{fault: "${{input.faults.unreserve}}", pace_ms: "${{input.pace_ms}}"}}
  - name: pay
    action: shop.process_payment
    with: {{order_id: "${{input.order_id}}", amount: "${{input.amount}}", fault: "${{input.faults.pay}}"}}
    compensation:
      action: shop.refund_payment
      with: {{order_id: "${{input.order_id}}", fault: "${{input.faults.refund}}"}}
  - name: confirm
    action: mixed.ask
    pivot: true
    with: {{fault: "${{input.faults.confirm}}", pace_ms: "${{input.pace_ms}}"}}
  - name: ship
    action: shop.create_shipment
    with: {{order_id: "${{input.order_id}}", fault: "${{input.faults.ship}}"}}
"""

_TRIPLE = """  - name: take_{0}
    action: shop.update_inventory
    with: {{order_id: "${{input.order_id}}", items: "${{input.items}}"}}
    compensation: {{action: shop.restore_inventory, with: {{order_id: "${{input.order_id}}"}}}}
  - name: ask_{0}
    action: mixed.ask
    with: {{pace_ms: "${{input.pace_ms}}"}}
    compensation: {{action: mixed.ask, with: {{fault: "${{input.faults.unask_{0}}}"}}}}
  - name: ship_{0}
    action: shop.create_shipment
    with: {{order_id: "${{input.order_id}}", fault: "${{input.faults.ship_{0}}}"}}
    compensation: none
"""

TWELVE = f"saga: mixed-twelve\n{HEAD}" + "".join(_TRIPLE.format(number) for number in range(1, 5))


def fault(mode: str, times: int | None = None) -> dict[str, Any]:
    return {"mode": mode} | ({"times": times} if times else {})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A saga, the ways in which its runs go, and what a completed one leaves in the shop."""

    saga: str
    source: str = ""  # empty: published by the demo
    ways: tuple[tuple[dict[str, Any], tuple[str, ...]], ...]  # faults of the input -> the ends it may come to
    payments: int
    reservations: int
    parcels: int


SHAPES = (
    Shape(  # its time-outs are short, so on a slow machine a step may be spent that would have been done
        saga="create-order",
        ways=tuple((faults, BY_FAULTS) for faults in FAULTS),
        payments=1,
        reservations=1,
        parcels=1,
    ),
    Shape(
        saga="mixed-kinds",
        source=KINDS,
        ways=(
            ({}, (COMPLETED,)),
            ({"look": fault("break", 2), "ship": fault("fail", 2)}, (COMPLETED,)),
            ({"reserve": fault("break", 1), "pay": fault("fail", 1)}, (COMPLETED,)),
            ({"confirm": fault("reject"), "refund": fault("fail", 3), "unreserve": fault("break", 2)}, (COMPENSATED,)),
            ({"pay": fault("reject")}, (COMPENSATED,)),
        ),
        payments=1,
        reservations=0,
        parcels=1,
    ),
    Shape(
        saga="mixed-twelve",
        source=TWELVE,
        ways=(
            ({}, (COMPLETED,)),
            ({"ship_4": fault("reject"), "unask_2": fault("fail", 2)}, (COMPENSATED,)),
            ({"ship_2": fault("fail", 1)}, (COMPLETED,)),
        ),
        payments=0,
        reservations=4,
        parcels=4,
    ),
)
