"""A connection to a service on which one answer follows each request, and nothing else is listened to.

The library keeps what a server says between two requests, and takes it for the answer to
the next one: an answer too many, or the 408 of a server that ends an idle connection, would
then be taken for the outcome of an attempt that nobody has carried out.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import asyncio

    from aiohttp import StreamReader
    from aiohttp.http_parser import RawResponseMessage

WORDS_MAX = 100  # answers of the kind 1xx before one that is an answer
SLICE_BYTES = 16 * 1024  # looked at at once: of 256 KiB of them the event loop would have to make 10,000 objects


class OneAnswer(ResponseHandler):
    """Ends the connection when more is said than was asked for, so that it is not used again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._words = 0
        self._has_answer = False

    def set_response_params(self, **said: Any) -> None:
        """Begin to listen to the answer of another request."""
        self._words, self._has_answer = 0, False
        super().set_response_params(**said)

    def data_received(self, data: bytes) -> None:
        """Take what came; whatever comes after an answer was asked for by nobody."""
        for start in range(0, len(data) or 1, SLICE_BYTES):
            if self._words > WORDS_MAX or self.exception() is not None or (self._is_answered() and data):
                self._end()
                return
            super().data_received(data[start : start + SLICE_BYTES] if len(data) > SLICE_BYTES else data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take the head of an answer, and pass over the words before it."""
        code = data[0].code
        if not HTTPStatus.CONTINUE <= code < HTTPStatus.OK or code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._has_answer = True
            super().feed_data(data, size)
            return
        self._words += 1
        if self._words == WORDS_MAX + 1:
            self.set_exception(HttpProcessingError(message="words without end, and no answer"))
            self._end()

    def _is_answered(self) -> bool:
        return self._has_answer and (self._payload is None or self._payload.is_eof())

    def _end(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()


class Connector(aiohttp.TCPConnector):
    """Makes such connections. The library has no public way to say so."""

    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        made: type[ResponseHandler] = OneAnswer
        self._factory = partial(made, loop=self._loop)
