"""The `Idempotency-Key` header of a start."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from sagas.api.problems import ProblemError, malformed
from sagas.engine import idempotency
from sagas.engine.errors import RequestKeyBusyError, RequestKeyReusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagas.core.vocabulary import Json
    from sagas.engine.commands import Started
    from sagas.engine.idempotency import Replay

HEADER = re.compile(r"[\x20-\x7e]{1,200}")


def starting_once(owner: str, header: str | None, body: Json, start: Callable[[], Started]) -> Replay:
    """Start a run, or give the run that this owner's key started within 7 days.

    Raises:
        ProblemError: 400 for a key that is not 1 to 200 printable ASCII characters,
            409 for a key that came with another body.
    """
    if header is not None and HEADER.fullmatch(header) is None:
        message = "Idempotency-Key takes 1 to 200 printable ASCII characters."
        raise malformed(message)
    try:
        return idempotency.starting_once(owner, header, body, start)
    except RequestKeyReusedError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "key-reused", str(error), run=str(error.run_id)) from None
    except RequestKeyBusyError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "key-reused", str(error)) from None
