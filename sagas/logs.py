"""What must not stand in a log: the secret of a sign-in link that nobody has used yet."""

from __future__ import annotations

import logging
import re

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
