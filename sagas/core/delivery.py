"""What becomes of a webhook after each try to deliver it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sagas.core.retry import RETRY_AFTER_S_MAX

WAITS_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0, 28800.0, 86400.0)  # after the first try, the second, …
TRIES_MAX = len(WAITS_S) + 1
JITTER = 0.1  # of each wait, either way: receivers that fell together are not called together

_GONE = 410


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; a person may replay it


@dataclass(frozen=True, slots=True)
class AfterTry:
    """What one try came to. `wait_s` is set while there is a next one."""

    state: DeliveryState
    wait_s: float | None = None
    disables_subscription: bool = False


def after_try(tried: int, status: int | None, *, dice: float, retry_after_s: float | None = None) -> AfterTry:
    """Return what becomes of a delivery after the try numbered `tried`.

    >>> after_try(1, 503, dice=0.5).wait_s
    5.0

    Args:
        tried: tries so far, this one included, from 1.
        status: what the receiver answered; None: no answer came.
        dice: uniform in [0, 1), drawn by the shell.
        retry_after_s: what the receiver asked for; it only moves the next try later, by an hour at most.
    """
    if status is not None and 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        return AfterTry(DeliveryState.DELIVERED)
    if status == _GONE:
        return AfterTry(DeliveryState.DEAD, disables_subscription=True)
    if tried >= TRIES_MAX:
        return AfterTry(DeliveryState.DEAD)
    wait = WAITS_S[max(tried, 1) - 1] * (1 + JITTER * (2 * dice - 1))
    return AfterTry(DeliveryState.PENDING, max(wait, min(retry_after_s or 0.0, RETRY_AFTER_S_MAX)))
