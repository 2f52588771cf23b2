"""What must not stand in a log: the secrets that addresses of sign-in and of callbacks are, and what is no news."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

_SECRET = re.compile(r"(/(?:sign-in|callbacks)/+)[^/?#\s\"']+", re.IGNORECASE)


class HideSecretPaths(logging.Filter):
    """Write `/sign-in/…` for the address of a link: whoever reads the log could sign in with it.

    Likewise `/callbacks/…`: who has such an address may say the outcome of an attempt. A service that
    puts it together wrongly is answered 404, and that is written down.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, for every handler after this one, and let it pass."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # the handler says what is wrong with it
            return True
        if _SECRET.search(text):
            record.msg, record.args = _SECRET.sub(r"\1…", text), ()
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
