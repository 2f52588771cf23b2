"""What a request may never be, however a path or the name of a header is spelt."""

from __future__ import annotations

import pytest

from sagas.core.cel import ExpressionError
from sagas.core.expressions import compile_template
from sagas.core.http_request import RequestTemplate, fault_of
from sagas.core.names import Names

ELSEWHERE = [
    "/a/..", "/a/../b", "/./a", "/a/%2e%2e/b", "/a/%2E./b", "/a/..;/b", "/a/..;x=1/b", "/a/.;/b", "/a/%2e%2e%3b/b",
    "//evil.example", "/a//b", "/%2f%2fevil.example", "/a/%5c..%5cb", "/a?b=c", "/a#b", "/a\r\nX: y", "/a%0d%0aX:y",
    "/a%00", "/a b", "/\\evil.example", "a", "",
]  # fmt: skip
OURS = [
    "Host", "host", "Saga-Run", "Saga_Run", "saga_phase", "SAGA-OUTCOME", "Idempotency-Key", "Idempotency_Key",
    "Webhook-Signature", "webhook_id", "Content-Length", "Content_Length", "Content-Type", "traceparent",
    "Transfer-Encoding", "Transfer_Encoding", "Connection", "Expect", "X\r\nY", "X:", "X ", "",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_could_lead_elsewhere_is_not_asked_for(path):
    assert fault_of({"path": path}) is not None


@pytest.mark.parametrize("path", ["/", "/a", "/a/b;v=1/c", "/a/..b", "/a/b..", "/a@b", "/a/%C3%BC", "/a:b"])
def test_a_path_that_is_only_unusual_is_asked_for(path):
    assert fault_of({"path": path}) is None


@pytest.mark.parametrize("name", OURS)
def test_a_header_that_the_engine_says_is_not_said_by_a_document_however_it_is_spelt(name):
    assert fault_of({"path": "/", "headers": {name: "a"}}) is not None


@pytest.mark.parametrize(
    "value", ["..", ".", "../x", "..;", "//evil.example", "\\evil", "@evil", "?a", "#a", "%2e%2e", "a/b"]
)
def test_a_value_in_a_path_stays_within_its_segment_or_is_refused(value):
    template = RequestTemplate({"path": compile_template("/orders/${input.id}/undo", Names())})
    try:
        path = template.render({"input": {"id": value}})["path"]
    except ExpressionError:
        return
    assert path.startswith("/orders/")
    assert path.endswith("/undo")
    assert path.count("/") == 3
    assert not set("?#@\\;") & set(path)
