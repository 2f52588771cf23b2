"""The outermost guard: no request's body is read beyond a bound, so that nobody can fill the disk.

Under ASGI the framework spools a whole body to a file before any of our code runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sagas.api.parsers import BODY_BYTES_MAX, too_large
from sagas.api.problems import MEDIA_TYPE

LENGTH_DIGITS_MAX = 18  # enough of a number to know that it is too large

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]


def with_bounded_bodies(app: Application, *, bytes_max: int = BODY_BYTES_MAX) -> Application:
    """Wrap an ASGI application: a longer body is answered 413, and the rest of it is not read."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if _declared(scope) > bytes_max:
            await _refuse(send)
            return
        arrived = 0

        async def bounded() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            # The framework drops a request whose sender has left, and answers nothing.
            return {"type": "http.disconnect"} if arrived > bytes_max else message

        await app(scope, bounded, send)
        if arrived > bytes_max:
            await _refuse(send)

    return application


def _declared(scope: Message) -> int:
    """Return the length that the sender announces; 0 when it announces none."""
    length = next((value for name, value in scope.get("headers", ()) if name == b"content-length"), b"0")
    return int(length[:LENGTH_DIGITS_MAX]) if length.isdigit() else 0


async def _refuse(send: Send) -> None:
    problem = too_large()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": int(problem.status_code), "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem.as_json()).encode()})
