"""Lengths of time as people write them: `250ms`, `10s`, `5m`, `2h`, `1d`, or ISO 8601 (`PT1H30M`)."""

from __future__ import annotations

import re

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

SHORT = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
ISO = re.compile(
    r"P(?!$)(?:(?P<w>\d{1,6})W|(?:(?P<d>\d{1,6})D)?(?:T(?!$)(?:(?P<h>\d{1,6})H)?(?:(?P<m>\d{1,6})M)?"
    r"(?:(?P<s>\d{1,9}(?:\.\d{1,6})?)S)?)?)",
    re.ASCII,
)
_ISO_UNITS_S = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


def parse_duration_s(text: str) -> float | None:
    """Return the length of `text` in seconds; None when it is not a duration.

    Years and months of ISO 8601 have no fixed length and are not accepted.

    >>> parse_duration_s("250ms"), parse_duration_s("5m"), parse_duration_s("PT1H30M")
    (0.25, 300.0, 5400.0)
    >>> parse_duration_s("5 minutes") is None
    True
    """
    if short := SHORT.fullmatch(text):
        return round(float(short[1]) * UNITS_S[short[2]], 6)
    iso = ISO.fullmatch(text)
    if iso is None:
        return None
    return sum(float(value) * _ISO_UNITS_S[unit] for unit, value in iso.groupdict().items() if value)


def duration_text(seconds: float) -> str:
    """Return a length of time as a document would say it, in the largest unit that leaves a whole number.

    >>> duration_text(5400), duration_text(0.25), duration_text(86_400)
    ('90m', '250ms', '1d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{_exact(seconds / length)}{unit}"
    return f"{_exact(seconds)}s" if seconds >= 1 or seconds == 0 else f"{_exact(seconds * 1000)}ms"


def _exact(number: float) -> str:
    """Write a number to the sixth decimal place, and no more places than it has."""
    return f"{number:.6f}".rstrip("0").rstrip(".")
