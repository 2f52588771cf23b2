"""How amounts of time, moments, ids and JSON are written for people."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from sagas.core.vocabulary import Json

DAY_S = 86_400
JSON_CHARACTERS_MAX = 16_384  # of one value on a page; the whole is in the API


def duration(span: timedelta | float | None) -> str:
    """Write a length of time with at most two units.

    >>> [duration(s) for s in (0.04, 0.42, 12, 72, 11_100, 187_200)]
    ['40 ms', '0.4 s', '12 s', '1 m 12 s', '3 h 05 m', '2 d 4 h']
    """
    if span is None:
        return ""
    seconds = max(span.total_seconds() if isinstance(span, timedelta) else span, 0.0)
    if seconds < 0.1:  # noqa: PLR2004 - below a tenth of a second, milliseconds read better
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else whole(seconds)  # noqa: PLR2004


def whole(seconds: float) -> str:
    """Write a length of time in whole seconds, as `static/js/live.js` does.

    >>> whole(6.2), whole(3725)
    ('6 s', '1 h 02 m')
    """
    minutes, left_s = divmod(round(seconds), 60)
    hours, left_m = divmod(minutes, 60)
    days, left_h = divmod(hours, 24)
    if days:
        return f"{days} d {left_h} h"
    if hours:
        return f"{hours} h {left_m:02d} m"
    return f"{minutes} m {left_s:02d} s" if minutes else f"{left_s} s"


def length(seconds: float) -> str:
    """Write a length of time that somebody chose: without the nought of a unit that it does not need.

    >>> [length(s) for s in (0.25, 90, 1_800, 3_600, 5_400, 172_800)]
    ['250 ms', '1 m 30 s', '30 m', '1 h', '1 h 30 m', '2 d']
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    text = whole(seconds) if float(seconds).is_integer() else duration(seconds)
    for nought in (" 00 s", " 00 m", " 0 h"):
        text = text.removesuffix(nought)
    return text


def countdown(span: timedelta) -> str:
    """Write what is left, as a clock does; days and hours when it is a day or more.

    >>> [countdown(timedelta(seconds=s)) for s in (42, 3_605, 86_400, 190_800)]
    ['0:42', '1:00:05', '1 d 0 h', '2 d 5 h']
    """
    left = max(math.ceil(span.total_seconds()), 0)
    if left >= DAY_S:
        return whole(left // 3600 * 3600)
    hours, rest = divmod(left, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def ago(span: timedelta) -> str:
    """Write an age in one coarse unit: it need not be exact, it must not jump.

    >>> ago(timedelta(seconds=3)), ago(timedelta(minutes=5)), ago(timedelta(days=3))
    ('just now', '5 m ago', '3 d ago')
    """
    seconds = span.total_seconds()
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)} {unit} ago"
    return "just now" if seconds < 10 else f"{int(seconds)} s ago"  # noqa: PLR2004


def moment_words(moment: datetime, now: datetime) -> str:
    """Write a moment in UTC for the inside of a sentence, with its date unless that is today.

    >>> moment_words(datetime(2026, 3, 1, 9, 5, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    '09:05:00 UTC'
    >>> moment_words(datetime(2027, 3, 1, 9, 5, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    '1 Mar 2027 09:05 UTC'
    """
    moment, now = utc(moment), utc(now)
    if moment.date() == now.date():
        return moment.strftime("%H:%M:%S UTC")
    return moment.strftime("%-d %b %H:%M UTC" if moment.year == now.year else "%-d %b %Y %H:%M UTC")


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC, which every page is written in."""
    return moment.astimezone(UTC)


def short_id(run_id: UUID | str) -> str:
    """Shorten a run id for reading: enough to recognise it, never enough to look it up.

    >>> short_id("0192f0c8-7b3c-7cc0-98c4-dc0c0c07398f")
    '0192f0c8…398f'
    """
    text = str(run_id)
    return f"{text[:8]}…{text[-4:]}"


def pretty_json(value: Json) -> str:
    """Write JSON for reading, cut at `JSON_CHARACTERS_MAX`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) <= JSON_CHARACTERS_MAX:
        return text
    return f"{text[:JSON_CHARACTERS_MAX]}\n… cut here; {len(text):,} characters in all"
