"""A saga against a real HTTP server on this machine: sent, taken on, called back about."""

from __future__ import annotations

import http.server
import json
import threading
from urllib.parse import urlsplit

import pytest

from sagas.engine.commands import start_run
from tests.engine.conftest import drive
from tests.engine.services import make_service
from tests.engine.stored_run import faults_of, fetch, kinds
from tests.engine.test_orders import step

SOURCE = """
saga: over-http
steps:
  - name: look
    action: {http: {service: inventory, method: GET, path: "/goods/${input.id}", query: {a: ["x y", true]}}}
  - name: reserve
    action: {http: {service: inventory, path: /reservations, headers: {X-Store: "${input.id}"}, async: true}}
    with: {id: "${input.id}"}
    compensation: {action: {http: {service: inventory, method: DELETE, path: "/reservations/${input.id}"}}}
"""


@pytest.fixture
def server():
    """Run a server that takes on whatever it may call back about; return its address and what it was asked."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.command, self.path, dict(self.headers), body))
            said = b"" if "Saga-Callback" in self.headers else b'{"ok": true}'
            self.send_response(200 if said else 202)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 - what the server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/api", seen
    made.shutdown()
    thread.join(10)
    made.server_close()


def test_a_service_is_called_takes_a_step_on_and_calls_back(saga, server, settings, client):
    base_url, seen = server
    settings.SAGAWEB_BASE_URL = "https://sagas.example.org"
    make_service(base_url=base_url, allow_private=True)
    run = start_run(saga(source=SOURCE), {"id": "a/1"}).run
    drive(lambda: fetch(run).steps.filter(status="waiting").exists() and fetch(run).lease_until is None)
    (get, target, _, _), (post, path, headers, body) = seen
    assert (get, target) == ("GET", "/api/goods/a%2F1?a=x+y&a=true")
    assert (post, path, json.loads(body)) == ("POST", "/api/reservations", {"id": "a/1"})
    assert (headers["X-Store"], headers["Idempotency-Key"]) == ("a/1", f"{run.id}:reserve:action")
    address = urlsplit(headers["Saga-Callback"])
    assert f"{address.scheme}://{address.netloc}" == "https://sagas.example.org"
    told = client.post(address.path, {"outcome": "succeeded", "output": {"n": 1}}, content_type="application/json")
    assert told.status_code == 200
    drive()
    assert (fetch(run).status, kinds(run).count("attempt_accepted")) == ("completed", 1)
    assert (step(run, "look").output, step(run, "reserve").output) == ({"ok": True}, {"n": 1})
    assert faults_of(run) == []
