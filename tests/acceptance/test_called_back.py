"""A service on this machine that answers later: where it calls back is known without a setting."""

from __future__ import annotations

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.running import Running, new_place, wait_for

pytestmark = [pytest.mark.embedded, pytest.mark.processes]

DOCUMENT = """
saga: errand
steps:
  - name: run
    action: {http: {service: runner, path: /errands, async: true}}
    compensation: none
"""


class Later(BaseHTTPRequestHandler):
    """Takes everything on, and says a moment after that it is done."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(202)
        self.end_headers()
        threading.Thread(target=post, args=(self.headers["Saga-Callback"], {"outcome": "succeeded"})).start()

    def log_message(self, *_):
        pass


def post(url, said, token="", method="POST", kind="application/json"):
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=20) as answer:
        return json.load(answer)


@pytest.fixture
def runner():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Later)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_of_this_machine_is_told_where_to_call_back(tmp_path, runner):
    with new_place(tmp_path) as place:
        running = Running(place, "up", "--port", "0")
        try:
            api = running.ready()["url"] + "/api/v1/"
            token = Running(place, "apitoken", "test", "--role", "admin")
            assert token.wait() == 0
            key = token.lines[-1].strip()
            post(f"{api}services/runner/", {"base_url": runner, "allow_private": True}, key, "PUT")
            post(f"{api}sagas/errand/", DOCUMENT, key, "PUT", "application/yaml")
            post(f"{api}runs/", {"saga": "errand", "input": {}}, key)
            wait_for(lambda: place.read("SELECT status FROM sagas_sagarun") == [("completed",)], "completed")
        finally:
            running.close()
