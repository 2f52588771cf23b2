"""The filter in the address of the list of runs: what it says, and what of it makes no sense.

What is not understood is said and nothing is listed, as the API does: a whole
list must not pass for a filtered one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from sagas.core.choreography import STYLES
from sagas.core.vocabulary import RunStatus, WaitingFor
from sagas.queries.runs import RunFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import QueryDict

SEARCH_CHARACTERS_MAX = 200
SHOWN_CHARACTERS_MAX = 40  # of what is said back
PROBLEMS_MAX = 10
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
NAMES = ("status", "saga", "q", "waiting_for", "style", "since", "started_after", "older", "newer")
WAITS = tuple(kind.value for kind in WaitingFor)
STATUSES = tuple(status.value for status in RunStatus)


def read_filter(query: QueryDict, now: datetime) -> tuple[RunFilter, tuple[str, ...]]:
    """Return the filter of an address, and a sentence for each part of it that is not understood."""
    statuses = tuple(dict.fromkeys(value for value in query.getlist("status") if value))
    span = SINCE.get(query.get("since", ""))
    wanted = RunFilter(
        statuses=tuple(value for value in statuses if value in STATUSES),
        saga=_text(query, "saga"),
        search=_text(query, "q"),
        started_after=now - span if span else _moment(query.get("started_after", "")),
        style=style if (style := query.get("style", "")) in STYLES else "",
        waiting_for=waits if (waits := query.get("waiting_for", "")) in WAITS else "",
    )
    return wanted, tuple(_problems(query, statuses))[:PROBLEMS_MAX]


def read_place(query: QueryDict, name: str) -> UUID | None:
    """Return the run beside which a page begins, if the address names one."""
    try:
        return UUID(query.get(name, ""))
    except ValueError:
        return None


def _problems(query: QueryDict, statuses: Iterable[str]) -> Iterable[str]:
    for name in query:
        if name not in NAMES:
            yield _("There is no filter “%(name)s”.") % {"name": _shown(name)} + _nearest(name, NAMES)
        elif name != "status" and len(query.getlist(name)) > 1:
            yield _("“%(name)s” can be given once.") % {"name": name}
    for value in statuses:
        if value not in STATUSES:
            yield _("There is no status “%(value)s”.") % {"value": _shown(value)} + _nearest(value, STATUSES)
    waits = query.get("waiting_for", "")
    if waits and waits not in WAITS:
        yield _("No run waits for “%(value)s”.") % {"value": _shown(waits)} + _nearest(waits, WAITS)
    style = query.get("style", "")
    if style and style not in STYLES:
        yield _("There is no style “%(value)s”.") % {"value": _shown(style)} + _nearest(style, STYLES)
    since = query.get("since", "")
    if since and since not in SINCE:
        spans = ", ".join(SINCE)
        yield _("“%(value)s” is no span of time: say one of %(spans)s.") % {"value": _shown(since), "spans": spans}
    after = query.get("started_after", "")
    if after and _moment(after) is None:
        yield _("“%(value)s” is no time such as 2026-01-31T12:00:00Z.") % {"value": _shown(after)}
    for name, what in (("q", _("key or run id")), ("saga", _("name of a saga"))):
        text = query.get(name, "")
        if "\0" in text or len(text.strip()) > SEARCH_CHARACTERS_MAX:
            yield _("No %(what)s is like “%(value)s”.") % {"what": what, "value": _shown(text)}
    for name in ("older", "newer"):
        if query.get(name) and read_place(query, name) is None:
            yield _("“%(value)s” is no place in this list.") % {"value": _shown(query.get(name, ""))}


def _nearest(text: str, words: Iterable[str]) -> str:
    found = get_close_matches(text[:SHOWN_CHARACTERS_MAX], words, 1)
    return " " + _("Did you mean “%(word)s”?") % {"word": found[0]} if found else ""


def _shown(text: str) -> str:
    return text[:SHOWN_CHARACTERS_MAX].replace("\0", "␀")


def _text(query: QueryDict, name: str) -> str:
    """Return a value without what databases refuse (NUL, lone surrogates)."""
    value = query.get(name, "").strip()[:SEARCH_CHARACTERS_MAX]
    return value.replace("\x00", "").encode("utf-8", "ignore").decode()


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    if found is None:
        return None
    return timezone.make_aware(found) if timezone.is_naive(found) else found
