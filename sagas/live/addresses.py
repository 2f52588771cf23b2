"""Where the sockets are: a page writes the address, the consumer reads it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from django.utils.dateparse import parse_datetime

from sagas.queries.runs import PAGE_ROWS, RunFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

NOBODY = UUID(int=0)
OVERVIEW_PATH = "/ws/overview/"


@dataclass(frozen=True, slots=True)
class ListView:
    """What an open list of runs shows: these rows, and whether newcomers are counted beside them."""

    rows: tuple[UUID, ...]
    wanted: RunFilter
    counts_newcomers: bool

    @property
    def newest(self) -> UUID:
        """Id of the newest run on the page; newcomers have greater ones."""
        return max(self.rows, default=NOBODY)


def run_path(run_id: UUID) -> str:
    """Return the address of one run's socket."""
    return f"/ws/runs/{run_id}/"


def list_path(rows: Iterable[UUID], wanted: RunFilter, *, is_first_page: bool) -> str:
    """Return the address of a list's socket: the rows the page shows, so that they hold still, and its filter."""
    pairs = [("rows", ",".join(row.hex for row in rows)), *(("status", status) for status in wanted.statuses)]
    pairs += [("saga", wanted.saga), ("q", wanted.search), ("waiting_for", wanted.waiting_for), ("style", wanted.style)]
    pairs.append(("after", wanted.started_after.isoformat() if wanted.started_after else ""))
    pairs.append(("new", "1" if is_first_page else ""))
    return "/ws/runs/?" + urlencode([(name, value) for name, value in pairs if value])


def read_list(query_string: bytes) -> ListView:
    """Read what `list_path` wrote. What cannot be read is left out; at most one page of rows is watched."""
    parsed = parse_qs(query_string.decode("ascii", "ignore"))
    query = {name: [text for value in values if (text := value.replace("\0", ""))] for name, values in parsed.items()}
    texts = {name: values[-1] for name, values in query.items() if values}
    try:
        rows = tuple(UUID(text) for text in texts.get("rows", "").split(",")[:PAGE_ROWS] if text)
        after = parse_datetime(texts.get("after", ""))
    except ValueError:
        rows, after = (), None
    wanted = RunFilter(
        statuses=tuple(query.get("status", ())),
        saga=texts.get("saga", ""),
        search=texts.get("q", ""),
        started_after=after if after is not None and after.tzinfo is not None else None,
        waiting_for=texts.get("waiting_for", ""),
        style=texts.get("style", ""),
    )
    return ListView(rows, wanted, counts_newcomers="new" in texts)
