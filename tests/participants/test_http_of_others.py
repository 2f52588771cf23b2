"""A real service that others wrote, httpbin, in a process and on a port of its own."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec

import pytest

from sagas.core.outcome import Failed, Rejected, Succeeded, Unknown
from tests.participants.asking import ask

SERVE = """
from httpbin import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def httpbin():
    if find_spec("httpbin") is None:
        pytest.skip("httpbin is not installed")
    command = [sys.executable, "-W", "ignore", "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize(
    ("method", "path", "kind", "timeout_s"),
    [
        ("POST", "/post", Succeeded, 5),
        ("PUT", "/put", Succeeded, 5),
        ("DELETE", "/delete", Succeeded, 5),
        ("GET", "/get", Succeeded, 5),
        ("GET", "/gzip", Succeeded, 5),
        ("GET", "/deflate", Succeeded, 5),
        ("GET", "/brotli", Unknown, 5),
        ("GET", "/html", Unknown, 5),
        ("GET", "/status/204", Succeeded, 5),
        ("POST", "/status/400", Rejected, 5),
        ("POST", "/status/429", Failed, 5),
        ("POST", "/status/503", Unknown, 5),
        ("GET", "/delay/3", Unknown, 0.3),
        ("GET", "/drip?duration=3&numbytes=30", Unknown, 0.3),
        ("GET", "/stream-bytes/400000", Unknown, 5),
        ("GET", "/redirect/3", Rejected, 5),
        ("GET", "/absolute-redirect/3", Rejected, 5),
        ("GET", "/basic-auth/a/b", Failed, 5),
    ],
)
async def test_a_service_that_others_wrote_answers_as_the_table_says(httpbin, method, path, kind, timeout_s):
    path, _, query = path.partition("?")
    arguments = {"path": path, "query": dict(pair.split("=") for pair in query.split("&") if pair)}
    if method not in {"GET", "HEAD"}:
        arguments["body"] = {"at": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}
    outcome = await ask(httpbin, method=method, arguments=arguments, timeout_s=timeout_s)
    assert isinstance(outcome, kind), outcome
