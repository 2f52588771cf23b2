"""Whole sentences with named parameters: one text for programs, one for pages, where times keep going."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from sagas.presentation.format import countdown, moment_words, whole

MESSAGE_CHARACTERS_MAX = 200  # of what a participant said, inside a sentence; its step's page has it all


@dataclass(frozen=True, slots=True)
class Left:
    """The time until a moment; on a page it counts down."""

    until: datetime
    now: datetime

    def __str__(self) -> str:
        return countdown(self.until - self.now)

    @property
    def html(self) -> SafeString:
        """The same, for a page that keeps it going."""
        return format_html('<span class="tick" data-until="{}">{}</span>', self.until.isoformat(), str(self))


@dataclass(frozen=True, slots=True)
class Age:
    """The time since a moment; on a page it grows."""

    since: datetime
    now: datetime

    def __str__(self) -> str:
        return whole(max((self.now - self.since).total_seconds(), 0.0))

    @property
    def html(self) -> SafeString:
        """The same, for a page that keeps it going."""
        return format_html('<span class="tick" data-age="{}">{}</span>', self.since.isoformat(), str(self))


@dataclass(frozen=True, slots=True)
class At:
    """A moment, with its date unless that is today."""

    moment: datetime
    now: datetime

    def __str__(self) -> str:
        return moment_words(self.moment, self.now)

    @property
    def html(self) -> SafeString:
        """The same, in the machine's form too."""
        return format_html('<time datetime="{}">{}</time>', self.moment.isoformat(), str(self))


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and its named parameters."""

    template: str
    params: dict[str, Any]

    def __str__(self) -> str:
        return self.template % {name: str(value) for name, value in self.params.items()}

    @property
    def html(self) -> SafeString:
        """The sentence for a page: times keep going, all else is escaped."""
        parts = re.split(r"%\((\w+)\)s", self.template)  # text, name, text, name, text
        shown = (self._shown(part) if place % 2 else part for place, part in enumerate(parts))
        return format_html_join("", "{}", ((part,) for part in shown))

    def _shown(self, name: str) -> object:
        value = self.params[name]
        return getattr(value, "html", value)


def say(template: str, **params: object) -> Sentence:
    """Make a sentence."""
    return Sentence(template, params)


def listed(titles: list[str]) -> str:
    """Name several things in one sentence."""
    quoted = [f"“{title}”" for title in titles]
    if len(quoted) < 2:  # noqa: PLR2004
        return "".join(quoted)
    return _("%(most)s and %(last)s") % {"most": ", ".join(quoted[:-1]), "last": quoted[-1]}


def message_in(error: Any) -> str:
    """Return what an error says, fit to end a sentence with our own full stop."""
    found = error if isinstance(error, dict) else {}
    text = str(found.get("message") or found.get("code") or _("no reason was given"))
    return Truncator(text).chars(MESSAGE_CHARACTERS_MAX).rstrip(". ")
