"""What becomes of a webhook after each try."""

from __future__ import annotations

import pytest

from sagas.core.delivery import TRIES_MAX, WAITS_S, AfterTry, DeliveryState, after_try


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_success_delivers(status: int) -> None:
    assert after_try(1, status, dice=0.5) == AfterTry(DeliveryState.DELIVERED)


@pytest.mark.parametrize("status", [None, 199, 301, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again_redirects_too(status: int | None) -> None:
    assert after_try(1, status, dice=0.5) == AfterTry(DeliveryState.PENDING, 5.0)


def test_waits_are_those_promised_and_then_it_is_dead() -> None:
    waits = [after_try(tried, 500, dice=0.5).wait_s for tried in range(1, TRIES_MAX)]
    assert waits == [5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600, 24 * 3600]
    assert after_try(TRIES_MAX, 500, dice=0.5) == AfterTry(DeliveryState.DEAD)


def test_the_last_try_can_still_deliver() -> None:
    assert after_try(TRIES_MAX, 200, dice=0.5).state is DeliveryState.DELIVERED


def test_gone_ends_it_at_once_and_disables_the_subscription() -> None:
    assert after_try(1, 410, dice=0.5) == AfterTry(DeliveryState.DEAD, disables_subscription=True)


def test_jitter_is_a_tenth_either_way() -> None:
    assert after_try(2, 500, dice=0.0).wait_s == pytest.approx(WAITS_S[1] * 0.9)
    assert after_try(2, 500, dice=1.0).wait_s == pytest.approx(WAITS_S[1] * 1.1)


def test_retry_after_only_moves_the_next_try_later_and_by_an_hour_at_most() -> None:
    assert after_try(1, 429, dice=0.5, retry_after_s=60).wait_s == 60
    assert after_try(1, 429, dice=0.5, retry_after_s=1).wait_s == 5
    assert after_try(1, 429, dice=0.5, retry_after_s=1e9).wait_s == 3600
    assert after_try(8, 429, dice=0.5, retry_after_s=60).wait_s == 24 * 3600
