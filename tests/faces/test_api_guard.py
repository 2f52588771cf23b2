"""Bad input over REST: the right 4xx problem each, the same on both databases, and never a row."""

from __future__ import annotations

import json
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas import access
from sagas.api import parsers
from sagas.api.bound import with_bounded_bodies
from sagas.core.vocabulary import Role
from sagas.models import IdempotencyKey, JournalEntry, SagaRun, SagaVersion
from tests.faces.conftest import SOURCE, Api

MIB = 1024 * 1024
START = b'{"saga": "order", "input": {"order_id": "1", "note": %s}}'


def of_size(size: int) -> bytes:
    """Return a good body of exactly this many bytes."""
    body = START % b'"%s"'
    return body.replace(b"%s", b"x" * (size - len(body) + 2))


def assert_problem(answer, status: int, kind: str) -> dict:
    """The answer is a problem document of this kind, and nothing was written."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.content
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"urn:sagaweb:problem:{kind}", status)
    assert problem["title"]
    assert problem["detail"]
    assert not SagaRun.objects.exists()
    assert not JournalEntry.objects.exists()
    assert not IdempotencyKey.objects.exists()
    return problem


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        pytest.param(of_size(MIB + 1), 413, "too-large", id="1 MiB and one byte"),
        pytest.param(b"[" * 5000 + b"]" * 5000, 400, "malformed", id="5,000 lists in each other"),
        pytest.param(b'{"a":' * 5000 + b"1" + b"}" * 5000, 400, "malformed", id="5,000 objects in each other"),
        pytest.param(b"[" * 500_000, 400, "malformed", id="lists that never end"),
        pytest.param(START % (b"[" * 63 + b"]" * 63), 400, "malformed", id="one level too deep"),
        pytest.param(START % b'"\\u0000"', 400, "malformed", id="NUL as an escape"),
        pytest.param(START % b'"\0"', 400, "malformed", id="NUL as a byte"),
        pytest.param(b'{"saga": "order", "input": {"order_id\\u0000": "1"}}', 400, "malformed", id="NUL in a key"),
        pytest.param(START % b'"\\ud800"', 400, "malformed", id="half of a surrogate pair"),
        pytest.param(START % b'"\\udc00\\ud800"', 400, "malformed", id="surrogates the wrong way round"),
        pytest.param(START % b'"\xed\xa0\x80"', 400, "malformed", id="half of a surrogate pair as bytes"),
        pytest.param(START % b'"\xff"', 400, "malformed", id="not UTF-8"),
        pytest.param(b"\xef\xbb\xbf" + START % b'"x"', 400, "malformed", id="byte order mark"),
        pytest.param((START % b'"x"').decode().encode("utf-16"), 400, "malformed", id="UTF-16"),
        pytest.param(START % b"NaN", 400, "malformed", id="NaN"),
        pytest.param(START % b"-Infinity", 400, "malformed", id="Infinity"),
        pytest.param(START % b"1e999", 400, "malformed", id="a number that would become Infinity"),
        pytest.param(START % b"9223372036854775808", 400, "malformed", id="an integer of 65 bits"),
        pytest.param(START % (b"9" * 100_000), 400, "malformed", id="an integer of 100,000 digits"),
        pytest.param(b'{"saga": "order", "saga": "x", "input": {}}', 400, "malformed", id="a key twice"),
        pytest.param(b'{"saga": "order"', 400, "malformed", id="half a body"),
        pytest.param(b"{'saga': 'order'}", 400, "malformed", id="not JSON"),
        pytest.param(b"null", 422, "invalid", id="null"),
        pytest.param(b"[]", 422, "invalid", id="a list"),
        pytest.param(b"", 422, "invalid", id="nothing"),
        pytest.param(b'{"saga": 5, "input": {}}', 422, "invalid", id="a number for a name"),
        pytest.param(b'{"saga": "order", "input": {}}', 422, "invalid", id="input against the schema"),
        pytest.param(b'{"saga": "order", "input": {"order_id": 7}}', 422, "invalid", id="a number for an order"),
        pytest.param(START % (b'"' + b"x" * 300_000 + b'"'), 422, "invalid", id="an input of 300 kB"),
        pytest.param(b'{"saga": "oder", "input": {"order_id": "1"}}', 422, "invalid", id="unknown saga"),
        pytest.param(
            b'{"saga": "order", "version": 7, "input": {"order_id": "1"}}', 422, "invalid", id="unknown version"
        ),
        pytest.param(
            b'{"saga": "order", "version": true, "input": {"order_id": "1"}}', 422, "invalid", id="true for a number"
        ),
    ],
)
def test_a_bad_body_is_refused_and_leaves_no_row(api, saga, body, status, kind):
    assert_problem(api.post("runs/", body), status, kind)


def test_no_body_is_an_empty_object(api, saga):
    without, empty = (assert_problem(api.post("runs/", body), 422, "invalid") for body in (b"", b"{}"))
    assert without == empty


def test_a_body_of_exactly_one_mebibyte_is_read(api, saga):
    assert_problem(api.post("runs/", of_size(MIB)), 422, "invalid")  # read, and its input found too large


def test_the_limit_counts_bytes_that_arrive_and_not_the_length_that_is_claimed(api, saga):
    answer = api.post("runs/", of_size(MIB + 1), **{"Content-Length": "10"})
    assert answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
    assert not SagaRun.objects.exists()


async def test_a_chunked_body_without_a_length_is_read_and_bounded():
    """As an ASGI server hands it over: no `Content-Length`, pieces."""
    from django.core.handlers.asgi import ASGIHandler

    async def body_of(total: int) -> tuple[bytes | None, int]:
        pieces = [b"x" * 65_536] * (total // 65_536) + [b"x" * (total % 65_536)]

        async def receive():
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        handler = ASGIHandler()
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"application/json")]}
        with await handler.read_body(receive) as spooled:
            request, _ = handler.create_request(scope, spooled)
            return parsers.GuardedRequest(request).stream.read(), total

    body, total = await body_of(1000)
    assert len(body) == total
    with pytest.raises(parsers.ProblemError) as refused:
        await body_of(MIB + 1)
    assert refused.value.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


async def test_a_body_without_end_is_not_read_to_its_end():
    """The framework would spool all of it to disk first."""
    asked, sent = [], []

    async def receive():
        asked.append(1)
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    async def send(message):
        sent.append(message)

    async def spool(_scope, receive, _send):
        while (await receive())["type"] == "http.request":
            pass

    await with_bounded_bodies(spool)({"type": "http"}, receive, send)
    assert len(asked) == MIB // 65_536 + 1
    assert (sent[0]["status"], json.loads(sent[1]["body"])["type"]) == (413, "urn:sagaweb:problem:too-large")


@pytest.mark.parametrize("length", [b"1048577", b"99999999999", b"9" * 5_000])
async def test_a_body_that_says_it_is_too_long_is_not_waited_for(length):
    sent = []

    async def send(message):
        sent.append(message)

    async def read(_scope, _receive, _send):
        raise AssertionError

    scope = {"type": "http", "headers": [(b"content-length", length)]}
    await with_bounded_bodies(read)(scope, None, send)
    assert sent[0]["status"] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_sixty_four_levels_are_not_too_many(api, saga):
    deep = b"[" * 62 + b"]" * 62
    problem = assert_problem(api.post("runs/", START % deep), 422, "invalid")
    assert problem["errors"][0]["pointer"] == "/input/note"  # it was read: only the schema minds


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", ""]
)
def test_only_json_is_read(api, saga, kind):
    assert_problem(api.post("runs/", START % b'"x"', kind=kind), 415, "unsupported-media-type")


def test_only_json_is_sent(api, saga):
    assert_problem(api.get("runs/", Accept="text/html"), 406, "not-acceptable")


def test_everything_that_is_wrong_is_said_at_once_with_the_nearest_name(api, saga):
    body = {"saga": "order", "inptu": {}, "labels": {"a b": "x", "ok": 3}, "key": 7}
    problem = assert_problem(api.post("runs/", body), 422, "invalid")
    found = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert set(found) >= {"/inptu", "/input", "/key", "/labels/ok"}
    assert "Did you mean 'input'?" in found["/inptu"]


def test_an_unknown_saga_is_told_the_nearest(api, saga):
    problem = api.post("runs/", {"saga": "oder", "input": {"order_id": "1"}}).json()
    assert problem["errors"][0]["pointer"] == "/saga"
    assert "Did you mean 'order'?" in problem["detail"]


@pytest.mark.parametrize(
    "member",
    [
        "id",
        "status",
        "created_by",
        "by",
        "token",
        "revision",
        "sequence",
        "due_at",
        "lease_until",
        "is_staff",
        "version_id",
    ],
)
def test_no_column_can_be_set_from_outside(api, saga, member):
    body = {"saga": "order", "input": {"order_id": "1"}, member: 1}
    problem = assert_problem(api.post("runs/", body), 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [f"/{member}"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=finished", "status"),
        ("statsu=completed", "statsu"),
        ("key=%00", "?"),
        ("label.a%00=1", "?"),
        ("label.a'b=1", "label.a'b"),
        ("label.%22%5D=1", 'label."]'),
        ("label.=1", "label."),
        ("cursor=after-x", "cursor"),
        ("cursor=%F0%9F", "cursor"),
        ("page_size=0", "page_size"),
        ("page_size=201", "page_size"),
        ("page_size=" + "9" * 5000, "page_size"),
        ("page_size=%D9%A3", "page_size"),
        ("started_after=yesterday", "started_after"),
        ("started_after=2026-01-01T00:00:00", "started_after"),
        ("started_before=0001-01-01T00:00:00%2B14:00", "started_before"),
        ("key=a&key=b", "key"),
    ],
)
def test_a_query_that_would_be_misread_is_refused(api, saga, query, parameter):
    problem = assert_problem(api.client.get(f"/api/v1/runs/?{query}"), 400, "bad-query")
    assert problem["errors"][0]["parameter"] == parameter


@pytest.mark.parametrize(
    "query",
    [
        "search=%ED%A0%80",
        "search=%25_%5C%27",
        "key=" + "x" * 5000,
        "saga=%E2%80%AE",
        "label.a-b.c_1=%22%27%5C",
        "started_after=0001-01-01T00:00:00Z",
        "started_before=9999-12-31T23:59:59Z",
        "search=" + "f" * 32,
        "saga=",
    ],
)
def test_a_strange_but_readable_query_finds_nothing(api, saga, query):
    answer = api.client.get(f"/api/v1/runs/?{query}")
    assert (answer.status_code, answer.json()["results"]) == (200, [])


@pytest.mark.parametrize(
    "path",
    [
        "nope/",
        "runs/1/",
        "runs/%00/",
        f"runs/{uuid4()}/",
        f"runs/{uuid4()}/journal/",
        "runs",
        "sagas/%00/",
        "sagas/o%0Ader/",
        "sagas/nope/",
        "sagas/order/versions/0/",
        "sagas/order/versions/99999999999999999999/",
        "sagas/../../etc/",
        "sagas/" + "x" * 5000 + "/",
        "sagas/order/versions/" + "9" * 5000 + "/",
        "%E2%80%AE/",
        "runs/?x=%00/..",
    ],
)
def test_what_is_not_there_is_a_problem_too(api, saga, path):
    answer = api.client.get(f"/api/v1/{path}")
    assert answer.status_code in {400, 404}
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["patch", "delete", "options", "trace"])
def test_other_methods_are_refused_with_what_is_allowed(api, saga, method):
    answer = getattr(api.client, method)("/api/v1/runs/")
    assert answer.status_code == 405
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize(("body", "status"), [({"reson": "x"}, 422), ({"reason": 5}, 422), (b"[", 400), (b"\0", 400)])
def test_a_bad_order_is_refused(api, saga, verb, body, status):
    run = api.post("runs/", {"saga": "order", "input": {"order_id": "1"}}).json()
    answer = api.post(f"runs/{run['id']}/{verb}/", body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert api.get(f"runs/{run['id']}/").json()["revision"] == run["revision"]


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_an_order_to_an_unknown_run_is_a_404(api, saga, verb):
    assert_problem(api.post(f"runs/{uuid4()}/{verb}/", {}), 404, "not-found")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a: [",
        "\0",
        "saga: order\nsaga: order\n",
        "a: &a [*a]",
        "- 1\n" * 100_000,
        "[" * 5000,
        'saga: "\\0"',
        "{saga: order, steps: [{name: pay, action: 5}]}",
        'saga: order\ntitle: "\\uD800"\nsteps: []',
        "\ufeffsaga: order",
        "%YAML 9.9\n---\n",
        '[{"\\ud800\\udc00": null}]',
        '"\\ud800": 1\n"\\ud800": 2\n',
    ],
)
@pytest.mark.parametrize("kind", ["application/yaml", "application/json"])
def test_a_bad_document_is_refused_with_every_problem(db, saga, source, kind):
    author = Api(Role.AUTHOR, "author")
    answer = author.put("sagas/order/", source, kind)
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert SagaVersion.objects.count() == 1


def test_a_document_over_the_limit_is_a_413(db, saga):
    author = Api(Role.AUTHOR, "author")
    answer = author.put("sagas/order/", SOURCE + "#" * (MIB + 1 - len(SOURCE)))
    assert_problem(answer, 413, "too-large")


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(api, saga):
    def gone(*_arguments: object) -> None:
        message = "the server closed the connection"
        raise OperationalError(message)

    with connection.execute_wrapper(gone):
        answer = api.get("runs/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["type"] == "urn:sagaweb:problem:unavailable"


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "bearer sgw_x", "Bearer \u00ff", "Basic YTpi", "Token x", "Bearer " + "x" * 5000]
)
def test_a_wrong_token_is_a_401_with_a_challenge(db, saga, header):
    answer = Client(headers={"Authorization": header}).get("/api/v1/runs/")
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_numbers_at_the_edge_of_64_bits_are_kept(api, saga):
    for number in (2**63 - 1, -(2**63)):
        run = api.post("runs/", {"saga": "order", "input": {"order_id": "1", "amount": number}}).json()
        assert json.loads(api.get(f"runs/{run['id']}/").content)["input"]["amount"] == number


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["saga", "version", "input", "key", "labels", "with", "step", "reason", "nope"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=ANY_JSON
    | st.dictionaries(MEMBERS, ANY_JSON)
    | st.fixed_dictionaries({"saga": st.just("order"), "input": ANY_JSON})
)
def test_no_body_whatever_is_a_fault_of_the_server(api, saga, body):
    for path in ("runs/", f"runs/{uuid4()}/cancel/", f"runs/{uuid4()}/retry/"):
        assert 400 <= api.post(path, body).status_code < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=50), kind=st.sampled_from(["application/json", "application/yaml"]))
def test_no_bytes_whatever_are_a_fault_of_the_server(db, body, kind):
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {author_token()}"})
    for path in ("sagas/order/", "runs/"):
        assert 400 <= client.put(f"/api/v1/{path}", body, content_type=kind).status_code < 500


def author_token() -> str:
    """Return a new token of an author."""
    return access.make_token(str(uuid4()), Role.AUTHOR, None)
