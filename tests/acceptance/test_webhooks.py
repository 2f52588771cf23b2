"""Webhooks of a real product to a real receiver that is down first, while the courier is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from standardwebhooks import Webhook

from tests.running import Running, new_place, wait_for

pytestmark = pytest.mark.processes

SECRET = "whsec_" + "Q" * 43 + "="
COUNT = 12


class Receiver(ThreadingHTTPServer):
    """Writes down what it is told; says 503 until it is well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.is_well = False
        self.heard = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
        with self.server.lock:
            self.server.heard.append((self.headers["webhook-id"], said, self.server.is_well))
        self.send_response(204 if self.server.is_well else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def courier_of(process):
    found = psutil.Process(process.pid).children(recursive=True)
    return next((one for one in found if "sagas.workers.courier" in " ".join(one.cmdline())), None)


def test_every_change_is_told_in_order_whoever_dies(tmp_path, receiver):
    with new_place(tmp_path) as place, ExitStack() as stack:

        def begin(*arguments):
            running = Running(place, *arguments, SAGAWEB_DEMO="1")
            stack.callback(running.close)
            return running

        for command in ("migrate", "demo"):
            made = begin(command)
            assert made.wait() == 0, made.errors
        url = f"http://127.0.0.1:{receiver.server_address[1]}/hook"
        made = begin(
            "shell", "-v", "0", "-c", f"from tests.acceptance import told; told.prepare({url!r}, {SECRET!r}, {COUNT})"
        )
        assert made.wait() == 0, made.errors
        workers = begin("sagaworker", "--pumps", "1")
        workers.ready()
        wait_for(lambda: len(receiver.heard) >= COUNT, "the first tries, all refused")
        first = wait_for(lambda: courier_of(workers.process), "the courier")
        os.kill(first.pid, signal.SIGKILL)
        receiver.is_well = True

        def delivered():
            rows = place.read("SELECT count(*) FROM sagas_webhookdelivery WHERE state = 'delivered'")
            return rows[0][0] == 2 * COUNT

        wait_for(delivered, "every change delivered")
        second = courier_of(workers.process)
        assert second is not None
        assert second.pid != first.pid
    well = [(said["data"]["run"], said["type"], webhook) for webhook, said, is_well in receiver.heard if is_well]
    for run in {run for run, _, _ in well}:
        kinds = list(dict.fromkeys(kind for one, kind, _ in well if one == run))
        assert kinds == ["run.started", "run.completed"]
    ids = {}
    for webhook, said, _ in receiver.heard:
        ids.setdefault((said["data"]["run"], said["type"]), set()).add(webhook)
    assert len(ids) == 2 * COUNT
    assert all(len(each) == 1 for each in ids.values())
    print(json.dumps({"changes": len(ids), "requests": len(receiver.heard)}))
