"""What the three services have in common: a participant over HTTP, on Starlette.

It verifies the signature, reads the headers, does the work once per key, answers,
and calls back about what it took on with 202. What they do is in `payments.py`,
`inventory.py` and `shipping.py`; nothing here knows Django or Sagaweb.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.error import HTTPError
from urllib.request import Request as Outgoing
from urllib.request import urlopen

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shop_http import faults
from shop_http.signature import is_signed
from shop_http.store import Answer, Call, Store

Work: TypeAlias = Callable[[sqlite3.Connection, Call, dict[str, Any]], Answer]

CALLBACKS_EVERY_S = 0.3
CALLBACK_S_MAX = 10.0
NEWS_UNWANTED = {404, 409, 410, 422}  # nobody waits for this callback (any more): it is not sent again


class Participant:
    """One service: its works by method and path, and its database."""

    def __init__(self, name: str, schema: str, works: dict[tuple[str, str], Work], probe: str = "") -> None:
        """Make one; `probe` is the path that says what became of an action."""
        self.name = name
        self.secret = os.environ.get("SHOP_SECRET", "")
        self.store = Store(Path(os.environ.get("SHOP_DATA", "var/shop-http")) / f"{name}.sqlite3", schema)
        routes = [Route(path, partial(self._work, work), methods=[method]) for (method, path), work in works.items()]
        if probe:
            routes.append(Route(probe, self._probe, methods=["GET"]))
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    async def _work(self, work: Work, request: Request) -> Response:
        body = await request.body()
        call = call_of(request)
        if fault := self._fault(request, body, call):
            return fault
        said = {**request.path_params, **(json.loads(body) if body else {})}
        if wrong := await faults.before(call, said):
            return response(wrong)
        told = replace(call, callback_url="") if faults.is_silent(call, said) else call
        answer = self.store.once(told, lambda db: work(db, call, said))
        return response(await faults.after(call, said) or answer)

    async def _probe(self, request: Request) -> Response:
        call = call_of(request)
        return self._fault(request, b"", call) or response(self.store.probe(call))

    def _fault(self, request: Request, body: bytes, call: Call) -> Response | None:
        if self.secret and not is_signed(self.secret, request.headers, body):
            return response(Answer(401, {"title": "Not signed by who may call here"}))
        if not call.key:
            return response(Answer(400, {"title": "The header Idempotency-Key is needed"}))
        return None

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        calling = asyncio.create_task(self._call_back())
        yield
        calling.cancel()

    async def _call_back(self) -> None:
        """Tell what became of what was taken on, until it is heard: a restart in between changes nothing."""
        while True:
            for key, url, body in self.store.callbacks():
                if await asyncio.to_thread(_is_heard, url, body):
                    self.store.forget_callback(key, url)
            await asyncio.sleep(CALLBACKS_EVERY_S)

    def serve(self) -> None:
        """Run as a program."""
        parser = argparse.ArgumentParser(description=f"The service {self.name} of the demo shop.")
        parser.add_argument("--port", type=int, required=True)
        uvicorn.run(
            self.app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning", timeout_graceful_shutdown=1
        )


def call_of(request: Request) -> Call:
    """Return what the headers say."""
    said, attempt = request.headers, request.headers.get("saga-attempt", "")
    return Call(
        key=said.get("idempotency-key", ""),
        action_key=said.get("saga-action-key", ""),
        phase=said.get("saga-phase", "action"),
        attempt=int(attempt) if attempt.isdecimal() else 1,
        run=said.get("saga-run", ""),
        callback_url=said.get("saga-callback", ""),
    )


def response(answer: Answer) -> Response:
    """Return an answer as HTTP; what went wrong as a problem document (RFC 9457), whose `detail` people will read."""
    kind = "application/json" if answer.status < HTTPStatus.BAD_REQUEST else "application/problem+json"
    content = "" if answer.body is None else json.dumps(answer.body)
    return Response(content, answer.status, answer.headers, media_type=kind)


def _is_heard(url: str, body: str) -> bool:
    outgoing = Outgoing(url, body.encode(), {"Content-Type": "application/json"}, method="POST")  # noqa: S310 - ours
    try:
        with urlopen(outgoing, timeout=CALLBACK_S_MAX):  # noqa: S310 - the same
            return True
    except HTTPError as error:
        with error:
            return error.code in NEWS_UNWANTED
    except OSError:
        return False
