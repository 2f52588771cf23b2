"""The ledger honours the key, bears what the barrier bears, and goes wrong exactly as told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ledger import script
from tests.ledger.client import LedgerProcess
from tests.running import wait_for

pytestmark = [pytest.mark.embedded, pytest.mark.processes]

KEY, UNDO = "run1:pay:action", "run1:pay:compensation"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerProcess]:
    with LedgerProcess(tmp_path) as started:
        yield started


def ask(
    ledger: LedgerProcess, phase: str = "action", attempt: int = 1, body: Any = None, timeout_s: float = 10, **more: str
) -> tuple[int, Any, dict[str, str]]:
    """Call as the engine calls; return status, JSON and headers."""
    headers = {
        "Idempotency-Key": UNDO if phase == "compensation" else KEY,
        "Saga-Run": "run1", "Saga-Step": "pay", "Saga-Phase": phase, "Saga-Attempt": str(attempt),
        "Saga-Action-Key": KEY if phase == "compensation" else "",
        "Content-Type": "application/json",
    } | more  # fmt: skip
    line = http.client.HTTPConnection("127.0.0.1", ledger.port, timeout=timeout_s)
    try:
        line.request("POST", "/pay", json.dumps(body or {"amount": 1}), headers)
        answer = line.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, dict(answer.getheaders())
    finally:
        line.close()


def kinds(ledger: LedgerProcess) -> list[str]:
    return [effect.kind for effect in ledger.effects()]


def test_the_same_key_acts_once_and_is_answered_alike(ledger):
    first, second = ask(ledger), ask(ledger, attempt=2)
    assert first[:2] == second[:2]
    assert first[0] == 200
    assert kinds(ledger) == ["action"]
    assert [one.decision for one in ledger.requests()] == ["applied", "duplicate"]


def test_a_naive_one_acts_each_time(tmp_path):
    with LedgerProcess(tmp_path, is_naive=True) as ledger:
        ask(ledger)
        ask(ledger, attempt=2)
        assert kinds(ledger) == ["action", "action"]


def test_an_undo_of_what_never_happened_is_borne_and_the_late_action_refused(ledger):
    assert ask(ledger, "compensation")[0] == 200
    status, said, headers = ask(ledger)
    assert (status, headers["Saga-Outcome"]) == (409, "rejected")
    assert "undone" in said["detail"]
    assert kinds(ledger) == ["empty"]


def test_an_undo_undoes_once(ledger):
    ask(ledger)
    ask(ledger, "compensation")
    ask(ledger, "compensation", attempt=2)
    assert kinds(ledger) == ["action", "undo"]


def test_a_probe_tells_what_happened(ledger):
    assert ask(ledger, "probe")[1] == {"outcome": "not_done"}
    ask(ledger)
    assert ask(ledger, "probe")[1]["outcome"] == "succeeded"
    ask(ledger, "compensation")
    assert ask(ledger, "probe")[1] == {"outcome": "not_done"}


def test_what_it_wrote_survives_a_kill_and_so_does_its_script(ledger):
    ledger.script(script.reply_lost(attempts=(1,)))
    with pytest.raises(ConnectionError):
        ask(ledger)
    ledger.kill()
    assert kinds(ledger) == ["action"], "committed before anything was answered"
    port = ledger.port
    ledger.start()
    assert ledger.port == port
    with pytest.raises(ConnectionError):
        ask(ledger)
    assert ask(ledger, attempt=2)[0] == 200
    assert kinds(ledger) == ["action"]


@pytest.mark.parametrize(
    ("rule", "effects"),
    [
        (script.reset_before(), []),
        (script.reply_lost(), ["action"]),
        (script.Rule(end="close"), ["action"]),
        (script.Rule(end="half"), ["action"]),
    ],
)
def test_connections_end_before_and_after_the_effect(rule, effects, ledger):
    ledger.script(rule)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        ask(ledger)
    assert kinds(ledger) == effects


def test_errors_come_with_and_without_the_effect(ledger):
    ledger.script(
        script.error(500, has_effect=True, attempts=(1,)),
        script.error(503, retry_after="7", attempts=(2,)),
        script.refusal(attempts=(3,)),
    )
    assert ask(ledger)[0] == 500
    status, _, headers = ask(ledger, attempt=2)
    assert (status, headers["Retry-After"]) == (503, "7")
    status, _, headers = ask(ledger, attempt=3)
    assert (status, headers["Saga-Outcome"]) == (422, "rejected")
    assert [one.decision for one in ledger.requests()] == ["applied", "none", "none"]


def test_a_late_answer_comes_after_an_effect_at_once_and_a_slow_effect_after_its_undo(ledger):
    ledger.script(script.late(3000, attempts=(1,)), script.slow(1000, attempts=(2,)))
    with pytest.raises(TimeoutError):
        ask(ledger, timeout_s=0.3)
    assert kinds(ledger) == ["action"]
    ledger.script(script.slow(800, step="pay", phase="action"))
    key = "run1:book:action"
    with pytest.raises(TimeoutError):
        ask(ledger, timeout_s=0.2, **{"Idempotency-Key": key})
    undo = {"Idempotency-Key": "run1:book:compensation", "Saga-Action-Key": key}
    ask(ledger, "compensation", **undo)
    wait_for(lambda: ledger.requests(decision="refused"), "the hanging action, refused")
    assert kinds(ledger) == ["action", "empty"]


def test_garbage_and_huge_answers_are_what_they_say(ledger):
    ledger.script(script.Rule(end="garbage", attempts=(1,)), script.Rule(end="huge", attempts=(2,)))
    with pytest.raises(ValueError, match=r"codec|JSON|Expecting"):
        ask(ledger)
    with socket.create_connection(("127.0.0.1", ledger.port)) as line:
        line.sendall(
            b"POST / HTTP/1.1\r\nIdempotency-Key: k\r\nSaga-Run: r\r\nSaga-Step: s\r\n"
            b"Saga-Phase: action\r\nSaga-Attempt: 2\r\n\r\n"
        )
        assert f"Content-Length: {script.HUGE_BYTES}".encode() in line.recv(200)


def test_a_truncated_request_leaves_no_trace(ledger):
    with socket.create_connection(("127.0.0.1", ledger.port)) as line:
        line.sendall(b"POST / HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Length: 100\r\n\r\nhalf")
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert ledger.requests() == []


def test_what_is_not_signed_with_its_secret_is_not_done(tmp_path):
    key = b"k" * 24
    with LedgerProcess(tmp_path, secret="whsec_" + base64.b64encode(key).decode()) as ledger:
        assert ask(ledger)[0] == 401
        for stamp, status in ((int(time.time()), 200), (int(time.time()) - 3600, 401)):
            signed = hmac.new(key, f'm1.{stamp}.{{"amount": 1}}'.encode(), hashlib.sha256).digest()
            headers = {"webhook-id": "m1", "webhook-timestamp": str(stamp),
                       "webhook-signature": f"v1,AAAA v1,{base64.b64encode(signed).decode()}"}  # fmt: skip
            assert ask(ledger, **headers)[0] == status
        assert kinds(ledger) == ["action"]


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Take callbacks in: the address, and what came."""
    came: list[tuple[str, Any]] = []

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came.append((self.path, said))
            self.send_response(200 if "right" in self.path else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callbacks/right/", came
    server.shutdown()
    thread.join()
    server.server_close()


def test_callbacks_come_before_the_202_twice_with_a_wrong_token_or_never(heard, ledger):
    url, came = heard
    ledger.script(
        script.accepted({"is_before_reply": True}, attempts=(1,)),
        script.accepted({"token": "wrong"}, {"times": 2, "body": {"outcome": "rejected"}}, attempts=(2,)),
        script.accepted(attempts=(3,)),
    )
    assert ask(ledger, **{"Saga-Callback": url})[0] == 202
    assert came == [("/callbacks/right/", {"outcome": "succeeded", "output": {"step": "pay", "of": KEY}})]
    assert ask(ledger, attempt=2, **{"Saga-Callback": url})[0] == 202
    calls = wait_for(lambda: found if len(found := ledger.callbacks()) == 4 else None, "four callbacks written")
    assert [(call.is_wrong, call.answered) for call in calls] == [(False, 200), (True, 404), (False, 200), (False, 200)]
    assert ask(ledger, attempt=3, **{"Saga-Callback": url})[0] == 202
    assert ask(ledger, attempt=4, **{"Saga-Callback": url})[0] == 200
    assert len(ledger.callbacks()) == 4
