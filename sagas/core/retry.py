"""When to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagas.core.definition import RetryPolicy

LOST_IN_A_ROW_MAX = 5  # a step that ended its worker so often is not tried again by itself
RETRY_AFTER_S_MAX = 3600.0  # a participant may put the next attempt off, at most for an hour


def wait_s(policy: RetryPolicy, tried: int, *, dice: float, retry_after_s: float | None = None) -> float:
    """Return the wait after the attempt numbered `tried` in this budget, in seconds.

    `min(max, initial · factorⁿ⁻¹) · (1 ± jitter)`; a participant's `Retry-After`
    only moves it later.

    >>> from sagas.core.definition import RetryPolicy
    >>> wait_s(RetryPolicy(initial_s=1, factor=2, wait_s_max=60, jitter=0), 3, dice=0.9)
    4.0

    Args:
        policy: the policy of the half.
        tried: attempts that used up the budget so far, from 1.
        dice: uniform in [0, 1), drawn by the shell.
        retry_after_s: what the participant asked for, in seconds.
    """
    exponent = min(max(tried, 1) - 1, 64)  # beyond this every wait is the longest one; keeps the power finite
    base = min(policy.wait_s_max, policy.initial_s * policy.factor**exponent)
    wait = base * (1 + policy.jitter * (2 * dice - 1))
    return max(wait, min(retry_after_s or 0.0, RETRY_AFTER_S_MAX))


def is_spent(policy: RetryPolicy, tried: int) -> bool:
    """Whether the budget allows no further attempt."""
    return policy.attempts is not None and tried >= policy.attempts
