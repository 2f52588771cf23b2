"""Pages by keyset: stable while rows arrive, as fast on the last page as on the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagas.api.problems import bad_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from rest_framework.request import Request

    from sagas.core.vocabulary import Json

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
PAGE_PARAMETERS = ("cursor", "page_size")


@dataclass(frozen=True, slots=True)
class Keyset:
    """What a list is ordered by: one unique column. `parse` raises ValueError for a text that is no such value."""

    column: str
    is_descending: bool
    parse: Callable[[str], Any]


def page_size(request: Request) -> int:
    """Return the rows wanted, 1 to 200.

    Raises:
        ProblemError: 400.
    """
    return read_number(request, "page_size", default=PAGE_SIZE, low=1, high=PAGE_SIZE_MAX)


def read_number(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """Return a whole number from the query string.

    Raises:
        ProblemError: 400; not a number from `low` to `high`.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
        raise bad_query(name, f"{name} must be a whole number from {low} to {high}.")
    return int(text)


def paged(request: Request, rows: QuerySet[Any], keyset: Keyset, show: Callable[[list[Any]], Json]) -> dict[str, Json]:
    """Return `{next, previous, results}` of the page the query string asks for.

    A cursor is `after-<value>` or `before-<value>`, in the order of the list.

    Raises:
        ProblemError: 400; the cursor or the size cannot be used.
    """
    size = page_size(request)
    is_back, edge = _read_cursor(request, keyset)
    is_falling = keyset.is_descending is not is_back
    if edge is not None:
        rows = rows.filter(**{f"{keyset.column}__{'lt' if is_falling else 'gt'}": edge})
    found = list(rows.order_by(("-" if is_falling else "") + keyset.column)[: size + 1])
    has_more, found = len(found) > size, found[:size]
    if is_back:
        found.reverse()
    following = previous = None
    if found and (has_more or is_back):
        following = _link(request, f"after-{getattr(found[-1], keyset.column)}")
    if found and (has_more if is_back else edge is not None):
        previous = _link(request, f"before-{getattr(found[0], keyset.column)}")
    return {"next": following, "previous": previous, "results": show(found)}


def _read_cursor(request: Request, keyset: Keyset) -> tuple[bool, Any]:
    text = request.query_params.get("cursor")
    if text is None:
        return False, None
    way, _, value = text.partition("-")
    try:
        if way not in {"after", "before"}:
            raise ValueError
        return way == "before", keyset.parse(value)
    except ValueError:
        raise bad_query("cursor", "The cursor is not one that this list gave.") from None


def _link(request: Request, cursor: str) -> str:
    return link(request, cursor=cursor)


def link(request: Request, **changed: str) -> str:
    """Return this address with some query parameters changed."""
    query = request.query_params.copy()
    for name, value in changed.items():
        query[name] = value
    return str(request.build_absolute_uri(f"{request.path}?{query.urlencode()}"))
