"""Requests to services: what they say, where they may be sent on to, how many at once."""

from __future__ import annotations

import asyncio
import json

import pytest
from standardwebhooks import Webhook

from sagas.core.definition import HttpAction
from sagas.core.outcome import Rejected, Succeeded
from sagas.core.vocabulary import Phase
from sagas.participants.base import Accepted
from sagas.participants.http import HttpParticipants
from sagas.participants.known_services import KnownService
from tests.participants.asking import RUN, ask, call, headers_of
from tests.participants.hostile import Hostile, ok, reply

SECRETS = ("whsec_" + "A" * 43 + "=", "whsec_" + "B" * 43 + "=")


async def test_a_request_says_all_that_the_contract_says():
    async with Hostile(ok) as server:
        await ask(
            server.port,
            path="/base/",
            is_async=True,
            callback_url="https://sagas.example/api/v1/callbacks/x/",
            arguments={
                "path": "/a%2Fb",
                "query": {"q": "a&b=ü", "many": [1, True, "x y"]},
                "headers": {"X-Tenant": "7"},
                "body": {"sku": "ü7"},
            },
        )
    ((head, body),) = server.requests
    headers = headers_of(head)
    assert head.startswith("POST /base/a%2Fb?q=a%26b%3D%C3%BC&many=1&many=true&many=x+y HTTP/1.1\r\n")
    assert json.loads(body) == {"sku": "ü7"}
    assert headers["Idempotency-Key"] == f"{RUN}:reserve:action"
    assert (headers["Saga-Run"], headers["Saga-Name"], headers["Saga-Step"]) == (RUN, "create-order", "reserve")
    assert (headers["Saga-Phase"], headers["Saga-Attempt"]) == ("action", "2")
    assert headers["Saga-Callback"] == "https://sagas.example/api/v1/callbacks/x/"
    assert headers["X-Tenant"] == "7"
    assert headers["traceparent"].startswith(f"00-{RUN.replace('-', '')}-")
    assert headers["User-Agent"].startswith("sagaweb")
    assert "Saga-Action-Key" not in headers
    assert "Cookie" not in headers
    assert "webhook-signature" not in headers


async def test_a_compensation_names_the_key_of_its_action_and_items_their_number():
    async with Hostile(ok) as server:
        await ask(server.port, phase=Phase.COMPENSATION, action_key="the-action", item=3)
    headers = headers_of(server.requests[0][0])
    assert (headers["Saga-Phase"], headers["Saga-Action-Key"], headers["Saga-Step"]) == (
        "compensation", "the-action", "reserve[3]",
    )  # fmt: skip


async def test_two_secrets_sign_and_a_library_of_others_verifies_either():
    async with Hostile(ok) as server:
        await ask(server.port, service={"secrets": SECRETS})
    head, body = server.requests[0]
    headers = {name.lower(): value for name, value in headers_of(head).items()}
    for secret in SECRETS:
        assert Webhook(secret).verify(body, headers) == {"sku": "ü7"}
    with pytest.raises(Exception, match="signature"):
        Webhook("whsec_" + "C" * 43 + "=").verify(body, headers)
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRETS[0]).verify(body + b" ", headers)


async def test_a_request_without_a_body_sends_none():
    async with Hostile(ok) as server:
        outcome = await ask(server.port, method="GET", arguments={"path": "/x"})
    head, body = server.requests[0]
    assert isinstance(outcome, Succeeded)
    assert body == b""
    assert "Content-Type" not in headers_of(head)


async def test_202_of_an_asynchronous_step_is_taken_on():
    async def later(writer, _number):
        writer.write(reply("202 Accepted"))

    async with Hostile(later) as server:
        assert await ask(server.port, is_async=True) == Accepted("inventory")
        assert isinstance(await ask(server.port), Succeeded)


@pytest.mark.parametrize("status", ["200 OK", "422 Unprocessable Content", "500 Internal Server Error"])
async def test_an_answer_that_repeats_the_request_does_not_show_where_to_call_back(status):
    address = "https://sagas.example/api/v1/callbacks/AaIbbS9Zez_-x/"

    async def echo(writer, _number):
        body = json.dumps({"detail": f"Saga-Callback: {address}"}).replace("/", "\\/").encode()
        writer.write(reply(status, body, "Content-Type: application/problem+json\r\n"))

    async with Hostile(echo) as server:
        outcome = await ask(server.port, is_async=True, callback_url=address)
    shown = outcome.output["detail"] if isinstance(outcome, Succeeded) else outcome.error.message
    assert shown == "Saga-Callback: https://sagas.example/api/v1/callbacks/•••/"


def redirect(status, location):
    async def answer(writer, number):
        writer.write(reply(status, headers=f"Location: {location}\r\n") if number == 1 else reply(body=b"[1]"))

    return answer


@pytest.mark.parametrize(
    ("status", "location", "method", "follows", "count"),
    [
        ("307 Temporary Redirect", "/there", "POST", True, 2),
        ("308 Permanent Redirect", "/there?x=1", "DELETE", True, 2),
        ("302 Found", "/there", "GET", True, 2),
        ("302 Found", "/there", "POST", True, 1),
        ("307 Temporary Redirect", "/there", "POST", False, 1),
        ("307 Temporary Redirect", "http://127.0.0.1:1/", "POST", True, 1),
        ("307 Temporary Redirect", "http://169.254.169.254/", "GET", True, 1),
        ("307 Temporary Redirect", "//evil.example/", "GET", True, 1),
        ("307 Temporary Redirect", "file:///etc/passwd", "GET", True, 1),
    ],
)
async def test_redirects_are_followed_within_the_service_only_and_where_it_says_so(
    status, location, method, follows, count
):
    async with Hostile(redirect(status, location)) as server:
        body = {} if method == "GET" else {"body": {"a": 1}}
        outcome = await ask(
            server.port, method=method, service={"follows_redirects": follows}, arguments={"path": "/", **body}
        )
    assert len(server.requests) == count
    assert isinstance(outcome, Succeeded if count == 2 else Rejected)
    if count == 2:
        assert server.requests[0][1] == server.requests[1][1]


async def test_a_redirect_that_says_the_outcome_is_not_followed():
    async with Hostile(redirect("307 Temporary Redirect", "/there\r\nSaga-Outcome: rejected")) as server:
        outcome = await ask(server.port, service={"follows_redirects": True})
    assert isinstance(outcome, Rejected)
    assert len(server.requests) == 1


async def test_redirects_in_a_circle_end():
    async def circle(writer, _number):
        writer.write(reply("307 Temporary Redirect", headers="Location: /again\r\n"))

    async with Hostile(circle) as server:
        outcome = await ask(server.port, service={"follows_redirects": True})
    assert isinstance(outcome, Rejected)
    assert len(server.requests) == 4


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request():
    async def cookie(writer, _number):
        writer.write(reply(headers="Content-Type: application/json\r\nSet-Cookie: a=b; Path=/\r\n"))

    async with Hostile(cookie) as server:
        service = KnownService(
            name="inventory", kind="http", base_url=f"http://127.0.0.1:{server.port}", allow_private=True
        )
        participants = HttpParticipants()
        for _ in range(2):
            await participants.perform(HttpAction("inventory", "POST"), call(), service)
        await participants.close()
    assert all("Cookie" not in headers_of(head) for head, _ in server.requests)
    assert server.connections == 1  # kept alive


async def test_hundreds_are_in_flight_at_once():
    arrived, all_there = 0, asyncio.Event()

    async def wait_for_all(writer, _number):
        nonlocal arrived
        arrived += 1
        if arrived == 300:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 30)
        writer.write(reply())

    async with Hostile(wait_for_all) as server:
        service = KnownService(
            name="inventory", kind="http", base_url=f"http://127.0.0.1:{server.port}", allow_private=True
        )
        participants = HttpParticipants()
        action = HttpAction("inventory", "POST")
        calls = (participants.perform(action, call(timeout_s=30.0), service) for _ in range(300))
        outcomes = await asyncio.gather(*calls)
        await participants.close()
    assert all(isinstance(one, Succeeded) for one in outcomes)


async def test_a_cancelled_attempt_lets_go_of_its_connection():
    async def silence(_writer, _number):
        await asyncio.sleep(30)

    async with Hostile(silence) as server:
        waiting = asyncio.create_task(ask(server.port, timeout_s=30.0))
        for _ in range(500):
            await asyncio.sleep(0.01)
            if server.requests:
                break
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
