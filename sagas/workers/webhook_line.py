"""Delivering webhooks: a thread of the courier with an event loop of its own, and one lane to each subscription.

A lane takes a few deliveries at a time and sends them side by side, so that an
address which does not answer holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import aiohttp
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from sagas.choreography.bus import as_cloud_event
from sagas.choreography.listeners import shown_data
from sagas.core.cloud_event import STRUCTURED
from sagas.core.delivery import after_try
from sagas.core.sealed import LOST, holds_hidden
from sagas.engine import deliveries
from sagas.models import SagaRun, WebhookSubscription
from sagas.participants.http import find_refused, new_session
from sagas.participants.http_answer import Answer, retry_after_s
from sagas.participants.network import AddressRefusedError, check_literal
from sagas.participants.signing import signature_headers
from sagas.sealing import opened
from sagas.workers.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sagas.core.vocabulary import Json
    from sagas.models import WebhookDelivery

log = logging.getLogger(__name__)

LOOK_S = 0.2
TRY_S = 15.0
REASON_LENGTH_MAX = 300

Result = TypeVar("Result")


class WebhookLine(Line):
    """Delivers to all subscriptions until told to stop."""

    def __init__(self) -> None:
        super().__init__("webhooks", {"webhooks": self._keep})
        self._database = ThreadPoolExecutor(1, "webhooks-db")
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def _keep(self) -> None:
        while not self._is_over.is_set():
            try:
                asyncio.run(self._work())
            except Exception:
                log.exception("Delivering webhooks broke; it starts again")
                self._is_over.wait(1.0)
        self._database.submit(connections.close_all)
        self._database.shutdown(wait=True)

    async def _work(self) -> None:
        try:
            while not self._is_over.is_set():
                self._turned["webhooks"] = time.monotonic()
                try:
                    due = await self._in_thread(lambda: deliveries.due_subscriptions(timezone.now()))
                except (DatabaseError, InterfaceError):
                    log.warning("The database cannot be reached for webhooks", exc_info=True)
                    await self._in_thread(connections.close_all)
                    due = []
                for subscription in due:
                    if subscription not in self._lanes:
                        self._lanes[subscription] = lane = asyncio.create_task(self._lane(subscription))
                        lane.add_done_callback(partial(self._ended, subscription))
                await asyncio.sleep(LOOK_S)
        finally:
            lanes = list(self._lanes.values())
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            for session in self._sessions.values():
                await session.close()
            self._sessions.clear()

    def _ended(self, subscription: int, lane: asyncio.Task[None]) -> None:
        self._lanes.pop(subscription, None)
        if not lane.cancelled() and (error := lane.exception()) is not None:
            log.warning("Deliveries to subscription %s broke; they are tried again", subscription, exc_info=error)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._database, work)

    async def _lane(self, subscription_id: int) -> None:
        """Send what is due for one subscription, until nothing is."""
        while rows := await self._in_thread(lambda: deliveries.take(subscription_id, timezone.now())):
            subscription = await self._in_thread(lambda: WebhookSubscription.objects.get(id=subscription_id))
            await asyncio.gather(*(self._deliver(subscription, row) for row in rows))

    async def _deliver(self, subscription: WebhookSubscription, row: WebhookDelivery) -> None:
        body = await self._in_thread(lambda: body_of(row))
        answer, error = (None, f"Not sent: {LOST}.") if body is None else await self._send(subscription, row, body)
        now = timezone.now()
        asked = None if answer is None else retry_after_s(answer, now)
        status = None if answer is None else answer.status
        after = after_try(row.tries, status, dice=random.random(), retry_after_s=asked)
        await self._in_thread(lambda: deliveries.finish(row, after, timezone.now(), status=status, error=error))

    async def _send(
        self, subscription: WebhookSubscription, row: WebhookDelivery, body: bytes
    ) -> tuple[Answer | None, str]:
        """Return what was answered, or None and why there is no answer."""
        secrets = _secrets(subscription)
        headers = {"Content-Type": STRUCTURED if row.event_id else "application/json"}
        headers |= signature_headers(secrets, str(row.id), int(time.time()), body)
        allow_private = subscription.allow_private
        if allow_private not in self._sessions:
            self._sessions[allow_private] = new_session(allow_private=allow_private)
        try:
            check_literal(urlsplit(subscription.url).hostname or "", allow_private=allow_private)
            async with (
                asyncio.timeout(TRY_S),
                self._sessions[allow_private].post(
                    subscription.url, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                found = {name.lower(): value for name, value in response.headers.items()}
                is_delivered = 200 <= response.status < 300  # noqa: PLR2004 - HTTP's own classes
                return Answer(response.status, found), "" if is_delivered else f"It answered {response.status}."
        except TimeoutError:
            return None, f"No answer within {TRY_S:g} s."
        except AddressRefusedError:
            return None, "Its address may not be called."
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if find_refused(error) is not None:
                return None, "Its address may not be called."
            is_away = isinstance(error, aiohttp.ClientConnectorError)
            return None, "It cannot be reached." if is_away else "The connection was lost, or its answer is no HTTP."


def _secrets(subscription: WebhookSubscription) -> tuple[str, ...]:
    until = subscription.former_secret_until
    former = subscription.former_secret if until is not None and until > timezone.now() else None
    found = (opened(one) for one in (subscription.secret, former) if one is not None)
    return tuple(one for one in found if isinstance(one, str) and one.startswith("whsec_"))


def body_of(row: WebhookDelivery) -> bytes | None:
    """Return what is told: of an event all that its receiver may have, of a change what `_change` says.

    None while a redacted part that the receiver is to have cannot be opened here: `•••` is no data.
    """
    event = row.event
    if event is not None:
        gets_redacted = row.subscription.gets_redacted
        event.data = opened(event.data) if gets_redacted else shown_data([event])[0]
        if gets_redacted and holds_hidden(event.data):
            return None
        said = as_cloud_event(event)
    elif row.run_id is not None:
        said = _change(row, row.run_id)
    else:
        raise AssertionError(f"{row.id} tells of nothing")
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _change(row: WebhookDelivery, run_id: UUID) -> dict[str, Json]:
    """Return which run, what became of it, where to look. Nothing of its input, output or errors."""
    run = SagaRun.objects.select_related("saga", "version").get(id=run_id)
    reason = run.reason if isinstance(run.reason, dict) else {}
    base = str(getattr(settings, "SAGAWEB_BASE_URL", "")).rstrip("/")
    data: dict[str, Json] = {
        "run": str(run.id),
        "saga": run.saga.name,
        "version": run.version.number,
        "key": run.key,
        "sequence": row.sequence,
        "status": run.status,  # as it is now: a later change may be on its way
        "revision": run.revision,
        "reason": {name: reason[name] for name in ("cause", "step", "outcome", "code") if name in reason},
        "url": f"{base}/api/v1/runs/{run.id}/" if base else f"/api/v1/runs/{run.id}/",
    }
    return {"type": row.kind, "timestamp": row.created_at.isoformat(), "data": data}
