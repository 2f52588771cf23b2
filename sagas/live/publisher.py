"""The nudge: a hint that a run moved on. It carries no state, so losing one costs a moment, never a fact."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from channels.layers import get_channel_layer

if TYPE_CHECKING:
    from uuid import UUID

log = logging.getLogger(__name__)

LIST_GROUP = "runs"
OVERVIEW_GROUP = "overview"


class Position(NamedTuple):
    """How far a run has come: entries in its journal, and its revision."""

    sequence: int
    revision: int


def group_name(run_id: UUID) -> str:
    """Return the channel group of everybody who watches this run."""
    return f"run.{run_id.hex}"


async def nudge(run_id: UUID, position: Position) -> None:
    """Tell whoever watches `run_id`, in any process, that it has come this far."""
    message = {"type": "run.advanced", "run": run_id.hex, "sequence": position.sequence, "revision": position.revision}
    await _send(group_name(run_id), message)


async def nudge_lists(newest: UUID) -> None:
    """Tell whoever watches a list of runs that there is a newer run."""
    await _send(LIST_GROUP, {"type": "run.appeared", "run": newest.hex})


async def nudge_overview(mark: str) -> None:
    """Tell whoever looks at the overview that something changed; `mark` says what it is like now."""
    await _send(OVERVIEW_GROUP, {"type": "overview.changed", "mark": mark})


async def _send(group: str, message: dict[str, object]) -> None:
    layer = get_channel_layer()
    try:
        await layer.group_send(group, message)
    except (OSError, layer_errors()) as error:  # the layer is away: each viewer still reads at every beat
        log.warning("channel layer: %s", error)


def layer_errors() -> type[Exception]:
    """Return what the Redis layer raises when Redis is away (`OSError` covers the rest)."""
    from redis.exceptions import RedisError

    return RedisError
