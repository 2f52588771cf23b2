"""A form that starts a run carries a key of its own, so that pressing its button twice starts one run."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING

from sagas.engine.idempotency import starting_once

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    from sagas.core.vocabulary import Json
    from sagas.engine.commands import Started
    from sagas.engine.idempotency import Replay

NAME = "form_key"
_MADE_HERE = re.compile(r"[0-9a-f]{32}")


def make_form_key() -> str:
    """Return the key of a form that is about to be shown."""
    return secrets.token_hex(16)


def start_once(request: HttpRequest, asked: str, start: Callable[[], Started]) -> Replay:
    """Start a run, or give the one that this form has started with the same fields.

    Fields changed after going back make another run: that is what the person
    asked for. So the fields are part of the key. A form without a key of ours
    (written by hand) starts each time.

    Args:
        request: the POST of the form.
        asked: what is started, beside the fields: the saga's name.
        start: what starts the run.
    """
    key = key_of(request, asked)
    if key is None:
        return starting_once("", None, None, start)
    return starting_once(f"user:{request.user.pk}", f"form:{key}", asked, start)


def key_of(request: HttpRequest, asked: str) -> str | None:
    """Return what is the same for a form that is sent twice with the same fields; None without a key of ours."""
    sent = request.POST.get(NAME, "")
    if _MADE_HERE.fullmatch(sent) is None:
        return None
    fields: Json = [asked, *sorted([name, value] for name, value in request.POST.items() if not _is_ours(name))]
    return f"{sent}:{hashlib.sha256(repr(fields).encode('utf-8', 'surrogatepass')).hexdigest()}"


def _is_ours(name: str) -> bool:
    return name in {NAME, "csrfmiddlewaretoken"}
