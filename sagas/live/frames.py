"""What a socket carries: fragments wrapped for htmx, rendered once however many people watch."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from channels.db import DatabaseSyncToAsync
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html

from sagas.core.vocabulary import RunStatus
from sagas.live.publisher import Position
from sagas.models import SagaRun
from sagas.presentation import fragments
from sagas.queries.run_detail import find_run_detail
from sagas.queries.runs import list_rows, matching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagas.live.addresses import ListView

REUSE_S = 1.0  # a new viewer is shown the last frame if it is this fresh; the tail nudges what came after
NEWCOMERS_MAX = 99  # counted; beyond that the page says 99+
FRESH_S = 10.0  # sentences speak of time, so a frame is not reused for longer even when nothing moved
STALE_S = 0.25  # after a time was up the engine may say so first: then this frame is not needed
READERS = 2

readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="live")  # one connection each


@dataclass(frozen=True, slots=True)
class Frame:
    """All regions of one page as one message, and how far the run had come when it was read."""

    position: Position
    is_final: bool
    html: str
    rendered_at: float  # monotonic seconds
    stale_at: float = math.inf  # the same: when its words are no longer true, though the run did not move


def partials(regions: Mapping[str, str]) -> str:
    """Wrap each region so that htmx morphs the element of that id and touches nothing else."""
    return "".join(
        f'<hx-partial hx-target="#{region}" hx-swap="outerMorph">{html}</hx-partial>'
        for region, html in regions.items()
    )


def pulse(sequence: int = 0) -> str:
    """Return the heartbeat: the server's time, and how far the run has come. `live.js` reads it."""
    html = format_html(
        '<i id="pulse" hidden data-at="{}" data-sequence="{}"></i>',
        timezone.now().isoformat(timespec="milliseconds"), sequence,
    )  # fmt: skip
    return partials({"pulse": html})


def farewell() -> str:
    """Return what takes the socket's place when the viewer is not, or no longer, signed in.

    It replaces the element that holds the socket, and so ends htmx's reconnecting.
    """
    html = render_to_string("sagas/live/_sign_in_again.html")
    return f'<hx-partial hx-target="#live" hx-swap="outerHTML">{html}</hx-partial>'


def render_run(run_id: UUID) -> Frame | None:
    """Read and render one run; None when there is no such run.

    The position is read first: what is rendered is at least that far, so a
    viewer may be shown the same twice, but never too little.
    """
    row = SagaRun.objects.filter(id=run_id).values_list("sequence", "revision", "status").first()
    if row is None:
        return None
    sequence, revision, status = row
    detail, now = find_run_detail(run_id), timezone.now()
    if detail is None:
        return None
    rendered_at = time.monotonic()
    changes_at = fragments.changes_at(detail, now)
    stale_at = math.inf if changes_at is None else rendered_at + (changes_at - now).total_seconds() + STALE_S
    html = partials(fragments.render_regions(detail, now))
    return Frame(Position(sequence, revision), RunStatus(status).is_final, html, rendered_at, stale_at)


def render_list(view: ListView) -> str:
    """Read and render the rows of a list, and how many newer runs match its filter. At most three queries."""
    regions: dict[str, str] = {}
    if view.rows:
        regions["rows"] = fragments.render_rows(list_rows(view.rows))
    if view.counts_newcomers:
        newer = matching(view.wanted).filter(id__gt=view.newest).order_by()[: NEWCOMERS_MAX + 1].count()
        context = {"count": min(newer, NEWCOMERS_MAX), "is_more": newer > NEWCOMERS_MAX}
        regions["new-runs"] = render_to_string("sagas/live/_new_runs.html", context)
    return partials(regions)


def render_overview() -> Frame:
    """Read and render the overview. Six queries."""
    began_at = time.monotonic()
    return Frame(
        Position(0, 0), is_final=False, html=partials(fragments.render_overview_regions()), rendered_at=began_at
    )


_render_overview = DatabaseSyncToAsync(render_overview, thread_sensitive=False, executor=readers)
_render_run = DatabaseSyncToAsync(render_run, thread_sensitive=False, executor=readers)


@dataclass(slots=True)
class _Shared:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    frame: Frame | None = None
    mark: str = ""  # of the overview: the change that the frame shows
    viewers: int = 0


OVERVIEW = UUID(int=0)  # the key of its frames, which is no run's id
shared: dict[UUID, _Shared] = {}


def join(run_id: UUID) -> None:
    """Count one more viewer of the frames of `run_id`."""
    shared.setdefault(run_id, _Shared()).viewers += 1


def leave(run_id: UUID) -> None:
    """Count one viewer less; the last one takes the kept frame along."""
    entry = shared[run_id]
    entry.viewers -= 1
    if not entry.viewers:
        del shared[run_id]


async def get_overview_frame(mark: str) -> str:
    """Return the overview with the change that `mark` stands for ("": as it is now), read once for all viewers."""
    entry = shared[OVERVIEW]
    async with entry.lock:
        kept = entry.frame
        if kept is not None:
            age_s = time.monotonic() - kept.rendered_at
            if age_s < FRESH_S if mark and mark == entry.mark else not mark and age_s < REUSE_S:
                return kept.html
        entry.mark = mark or entry.mark
        entry.frame = await _render_overview()
        return entry.frame.html


async def get_run_frame(run_id: UUID, wanted: Position | None) -> Frame | None:
    """Return a frame that shows at least `wanted` (None: as it is now); None when there is no such run."""
    entry = shared[run_id]
    async with entry.lock:
        kept = entry.frame
        if kept is not None:
            age_s = time.monotonic() - kept.rendered_at
            is_far_enough = age_s < REUSE_S if wanted is None else kept.position >= wanted and age_s < FRESH_S
            if is_far_enough and time.monotonic() < kept.stale_at:
                return kept
        entry.frame = await _render_run(run_id)
        return entry.frame
