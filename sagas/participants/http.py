"""Calling services over HTTP: one attempt, one request, and whatever comes back is an outcome.

Written for many attempts at once in one event loop. An answer is bounded in size,
in time and in what it unpacks to; nothing of a request or an answer is logged.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from sagas.core.outcome import TIMED_OUT, Error, Failed, Outcome, Unknown
from sagas.core.sealed import MASK
from sagas.core.vocabulary import Phase
from sagas.participants.connection import Connector
from sagas.participants.contract import contract_headers
from sagas.participants.http_answer import BAD_REPLY, Answer, Asked, outcome_of
from sagas.participants.network import AddressRefusedError, CheckedResolver, check_literal, checked_socket
from sagas.participants.signing import signature_headers
from sagas.participants.unpacking import ENCODINGS, Body

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import AbstractResolver

    from sagas.core.definition import HttpAction
    from sagas.core.vocabulary import Json
    from sagas.participants.base import Accepted, Call
    from sagas.participants.known_services import KnownService

UNREACHABLE = "unreachable"
ADDRESS_REFUSED = "address_refused"
CONNECTION_LOST = "connection_lost"
BAD_REQUEST = "bad_request"

CONNECT_S = 10.0
NAMES_KEPT_S = 10  # resolved names; their addresses were looked at when they were resolved
HEADER_BYTES_MAX = 8 * 1024  # of one line of an answer's head
REDIRECTS_MAX = 3
CHUNK_BYTES_MAX = 16 * 1024
KEPT_ALIVE_S = 1.5  # less than servers do (gunicorn 2 s, many 5 s): a request must not meet a connection that is ending
_READS = frozenset({"GET", "HEAD"})
_KEEPS_METHOD = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})


@dataclass(slots=True)
class _Progress:
    """How far a request has come: before its head is sent, nothing can have happened."""

    is_sent: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


class HttpParticipants:
    """The connections of one pump, and one attempt at a time over them. Made and closed in one event loop."""

    def __init__(self, make_resolver: Callable[[], AbstractResolver] | None = None) -> None:
        """Resolve names with what `make_resolver` returns; as the system does when None."""
        self._make_resolver = make_resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def perform(self, action: HttpAction, call: Call, service: KnownService) -> Outcome | Accepted:
        """Send one attempt and wait for its answer, `call.timeout_s` seconds at most.

        Raises:
            asyncio.CancelledError: nobody waits for the attempt any more.
        """
        asked = Asked(service.name, action.method, call.phase, action.is_async, call.is_unsettled)
        progress = _Progress()
        try:
            async with asyncio.timeout(call.timeout_s):
                answer = await self._answer(_request_of(action, call, service), service, progress)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            return _broken(error, service.name, call, is_sent=progress.is_sent)
        return outcome_of(_without_token(answer, call), asked, datetime.now(UTC))

    async def close(self) -> None:
        """Let go of all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def _answer(self, request: _Request, service: KnownService, progress: _Progress) -> Answer:
        """Return the answer, after the redirects that the service may give within its own address."""
        session = self._session(allow_private=service.allow_private)
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._send(session, request, service, progress)
            target = _redirected(request, answer) if service.follows_redirects else None
            if target is None:
                return answer
            request = replace(request, url=target)
        return answer

    async def _send(
        self, session: aiohttp.ClientSession, request: _Request, service: KnownService, progress: _Progress
    ) -> Answer:
        check_literal(urlsplit(request.url).hostname or "", allow_private=service.allow_private)
        async with session.request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            headers = _headers_of(response)
            body = Body(headers.get("content-encoding", ""))
            while not body.fault and (chunk := await response.content.read(CHUNK_BYTES_MAX)):
                body.take(chunk)
            if body.fault:
                response.close()  # what is left of it is not worth reading
            return Answer(response.status, headers, *body.whole())

    def _session(self, *, allow_private: bool) -> aiohttp.ClientSession:
        found = self._sessions.get(allow_private)
        if found is None:
            inner = None if self._make_resolver is None else self._make_resolver()
            found = self._sessions[allow_private] = new_session(allow_private=allow_private, inner=inner)
        return found


def new_session(*, allow_private: bool, inner: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """Return a session that keeps to the network's policy. The caller closes it."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    return aiohttp.ClientSession(
        connector=Connector(
            limit=0,
            resolver=CheckedResolver(allow_private=allow_private, inner=inner),
            ttl_dns_cache=NAMES_KEPT_S,
            keepalive_timeout=KEPT_ALIVE_S,
            socket_factory=partial(checked_socket, allow_private=allow_private),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_S),
        trust_env=False,
        auto_decompress=False,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": ENCODINGS},
        trace_configs=[trace],
        middlewares=(_once,),
    )


class _LostError(aiohttp.ClientConnectionError):
    """The connection ended before an answer came."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep the library from sending a request that writes once more on a new connection.

    It does so with PUT and DELETE when a connection ends without an answer. What the second
    request is told (404, 409) would then be taken for the answer to the first, which may have worked.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in _READS:
            raise
        raise _LostError from error


async def _note_sent(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
    progress = context.trace_request_ctx
    if isinstance(progress, _Progress):
        progress.is_sent = True


def _user_agent() -> str:
    try:
        return f"sagaweb/{version('sagaweb')}"
    except PackageNotFoundError:
        return "sagaweb"


USER_AGENT = _user_agent()


# ---- the request -----------------------------------------------------------


def _request_of(action: HttpAction, call: Call, service: KnownService) -> _Request:
    said = call.arguments
    query = urlencode([*_pairs(said.get("query") or {})])
    url = service.base_url.rstrip("/") + said["path"] + (f"?{query}" if query else "")
    body = None
    headers = {name: str(value) for name, value in (said.get("headers") or {}).items()}
    if "body" in said:
        body = json.dumps(said["body"], ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = "application/json"
    headers |= contract_headers(call)
    message_id = f"{call.idempotency_key}:{call.phase}:{call.attempt}" if call.phase is Phase.PROBE else (
        f"{call.idempotency_key}:{call.attempt}"
    )  # fmt: skip
    headers |= signature_headers(service.secrets, message_id, int(time.time()), body or b"")
    return _Request(action.method, url, headers, body)


def _pairs(query: dict[str, Json]) -> list[tuple[str, str]]:
    return [
        (name, str(one).lower() if isinstance(one, bool) else str(one))
        for name, value in query.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def _headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the headers by their names in small letters; one that is there twice is a list, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _redirected(request: _Request, answer: Answer) -> str | None:
    """Return where an answer sends the request, if that is within the same scheme, host and port; else None."""
    location = answer.headers.get("location", "")
    keeps = answer.status in _KEEPS_METHOD or request.method in _READS
    if "saga-outcome" in answer.headers:  # whoever says what it came to does not ask for it a second time
        return None
    if not HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST or not location or not keeps:
        return None
    target = urljoin(request.url, location)
    here, there = urlsplit(request.url), urlsplit(target)
    return target if (here.scheme, here.netloc) == (there.scheme, there.netloc) else None


# ---- the answer ------------------------------------------------------------


def _without_token(answer: Answer, call: Call) -> Answer:
    """Return an answer in which nobody who may read it finds what they could call back with.

    Services echo what they were sent, in what they log of an error above all.
    """
    token = call.callback_url.rstrip("/").rpartition("/")[2].encode()
    return replace(answer, body=answer.body.replace(token, MASK.encode())) if token else answer


def _broken(error: Exception, service: str, call: Call, *, is_sent: bool) -> Outcome:
    """Return what an attempt without an answer came to: before anything was sent nothing can have happened."""
    refused = find_refused(error)
    if refused is not None:
        return Failed(Error(ADDRESS_REFUSED, f"{service} was not called: {refused}."))
    if isinstance(error, aiohttp.InvalidURL):
        return Failed(Error(BAD_REQUEST, f"{service} was not called: its address cannot be used."), is_retriable=False)
    is_time = isinstance(error, TimeoutError)
    if not is_sent:
        why = "no connection in time" if is_time else _why_unreachable(error)
        return Failed(Error(UNREACHABLE, f"{service} cannot be reached: {why}."))
    if is_time:
        return Unknown(Error(TIMED_OUT, f"No answer from {service} within {call.timeout_s:g} s."))
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError | ValueError):
        return Unknown(Error(BAD_REPLY, f"The answer of {service} breaks off, or is no HTTP."))
    return Unknown(Error(CONNECTION_LOST, f"The connection to {service} was lost before it answered."))


def find_refused(error: BaseException | None) -> AddressRefusedError | None:
    """Return the refusal of an address that an error came of; None when it came of something else."""
    while error is not None:
        if isinstance(error, AddressRefusedError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _why_unreachable(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "no secure connection can be made"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorError():
            return "it refuses connections"
    return "no connection can be made"
