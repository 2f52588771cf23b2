"""A real service that others wrote, httpbin, in this process on a port of its own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from werkzeug.serving import make_server

from sagas.core.outcome import Failed, Rejected, Succeeded, Unknown
from tests.participants.asking import ask


@pytest.fixture(scope="module")
def httpbin():
    module = pytest.importorskip("httpbin")
    server = make_server("127.0.0.1", 0, module.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore")
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
