"""The shop through Sagaweb's event API alone: a service sends its events there, and hears the others' by webhook."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from choreography.shop import Event, Service

log = logging.getLogger(__name__)

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
TOLD_MAX = 100  # in one request
BYTES_MAX = 2**21  # of one event that is heard
LOOK_S, AGAIN_S = 0.1, 1.0
TIMEOUT_S = 10


def work(service: Service, api: str, token: str, port: int, secret: str) -> None:
    """Work until told to stop. An API that does not answer is waited for: what is to be told stays in the outbox."""
    receiver = Receiver(service, port, secret)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    while not service.is_over:
        try:
            if rows := service.to_tell(TOLD_MAX):
                send(api, token, [event for _, event in rows])
                for number, _ in rows:
                    service.told(number)
            time.sleep(LOOK_S)
        except (OSError, HTTPException) as error:
            log.warning("%s takes no events of %s now: %s", api, service.name, error)
            time.sleep(AGAIN_S)
    receiver.shutdown()


def send(api: str, token: str, events: Sequence[Event]) -> None:
    """Send events in one request; when this returns they are stored. Those that are known there are ignored.

    Raises:
        OSError, HTTPException: nobody knows whether they are; send them again.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": BATCH}
    request = urllib.request.Request(f"{api}/api/v1/events/", json.dumps(events).encode(), headers)  # noqa: S310 - its own option
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        answer.read()


class Receiver(ThreadingHTTPServer):
    """Where a service hears events: what is signed with its secret, and nothing else."""

    daemon_threads = True

    def __init__(self, service: Service, port: int, secret: str) -> None:
        """Listen on this machine."""
        super().__init__(("127.0.0.1", port), _Request)
        self.service = service
        self.webhook = Webhook(secret)


class _Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Answer when the event is dealt with: what is not answered with 2xx is sent again."""
        self.send_response(self._hear())
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _hear(self) -> HTTPStatus:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BYTES_MAX:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        body = self.rfile.read(int(length))
        try:
            event = self.server.webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            return HTTPStatus.UNAUTHORIZED
        if self.headers.get_content_type() != STRUCTURED:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        self.server.service.take(event)
        return HTTPStatus.NO_CONTENT

    def log_message(self, *_words: object) -> None:
        """Say nothing."""
