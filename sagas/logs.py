"""What must not stand in a log: the secret of a sign-in link that nobody has used yet, and what is no news."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

_LINK = re.compile(r"(/sign-in/+)[^/?#\s\"']+")


class HideSignInLinks(logging.Filter):
    """Write `/sign-in/…` for the address of a link; whoever reads the log could sign in with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, for every handler after this one, and let it pass."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # the handler says what is wrong with it
            return True
        if _LINK.search(text):
            record.msg, record.args = _LINK.sub(r"\1…", text), ()
        return True


class RefusalsInBrief(logging.Filter):
    """Drop the line for each 4xx of the API, which to a program is an answer like any other.

    What a page refused is written without a traceback, what went wrong here (5xx) with all there is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is to be written."""
        status = getattr(record, "status_code", 0)
        if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return True
        record.exc_info = None
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        return match is None or not (match.url_name or "").startswith("api-")
