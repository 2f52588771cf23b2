"""What stands in the queue of replies and is no reply: it is put aside, costs no memory, and stops nobody behind it."""

from __future__ import annotations

import tracemalloc
import zlib

import kombu
import pytest

from sagas.participants.broker import REPLIES
from tests.brokers import own_broker
from tests.participants.test_broker import command, hear, send, take_all

pytestmark = [pytest.mark.embedded, pytest.mark.processes]

PLAIN_BYTES = 64 * 1024 * 1024
ENVELOPE = (
    '{"body": "e30=", "properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "r"}%s}}'
)
NO_MESSAGES = {
    "no JSON": "garbage",
    "no mapping": "[]",
    "an empty one": "{}",
    "no tag": '{"properties": {}}',
    "a tag that is a list": '{"properties": {"delivery_tag": ["t"], "delivery_info": {}}}',
    "no way": '{"properties": {"delivery_tag": "t"}}',
    "a body that is a number": ENVELOPE.replace('"e30="', "1000000000000") % "",
    "an unknown encoding": ENVELOPE % ', "body_encoding": "x"',
    "an encoding that is a list": ENVELOPE % ', "body_encoding": []',
    "half a base64": ENVELOPE.replace("e30=", "e3") % ', "body_encoding": "base64"',
    "headers that are a list": '{"headers": [1], ' + ENVELOPE.removeprefix("{") % "",
    "too deep": "[" * 100_000,
}


@pytest.fixture(scope="module", params=["rabbitmq", "redis"])
def server(request, tmp_path_factory):
    with own_broker(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    with own_broker("redis", tmp_path_factory.mktemp("redis")) as made:
        yield made


def publish(url, correlation, body, **said):
    with kombu.Connection(url) as connection:
        kombu.Producer(connection.channel()).publish(
            body, exchange="", routing_key=REPLIES, correlation_id=correlation, content_type="application/data",
            content_encoding="binary", **said,
        )  # fmt: skip


def test_a_reply_that_says_it_is_compressed_is_not_unpacked(server):
    send(server.url)
    publish(server.url, "bomb", zlib.compress(b"0" * PLAIN_BYTES), headers={"compression": "application/x-gzip"})
    tracemalloc.start()
    try:
        (heard,) = hear(server.url, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert heard.correlation == "bomb"
    assert heard.size_bytes < 100_000
    assert peak < PLAIN_BYTES / 4
    take_all(server.url, "inventory")


@pytest.mark.parametrize("compression", ["nobody-knows-this", ["a", "list"]])
def test_a_compression_that_nobody_knows_stops_no_reply_behind_it(server, compression):
    send(server.url)
    publish(server.url, "odd", b"{}", headers={"compression": compression})
    publish(server.url, "behind", b"{}")
    assert [one.correlation for one in hear(server.url, 2)] == ["odd", "behind"]
    take_all(server.url, "inventory")


@pytest.mark.parametrize("kind", NO_MESSAGES)
def test_what_is_no_message_is_given_out_as_one_that_says_nothing(redis_server, kind):
    url = redis_server.url
    send(url, command())
    with kombu.Connection(url) as connection:
        connection.channel().client.lpush(REPLIES, NO_MESSAGES[kind])
    publish(url, "behind", b"{}")
    found = hear(url, 2)
    assert [(one.correlation, one.raw) for one in found] == [("", b""), ("behind", b"{}")]
    take_all(url, "inventory")


def test_an_error_of_who_takes_replies_is_not_taken_for_garbage(server):
    send(server.url)
    publish(server.url, "mine", b"{}")

    def take(_reply):
        message = "not the message's fault"
        raise ValueError(message)

    with pytest.raises(ValueError, match="not the message's"):
        hear(server.url, 1, take=take)
    assert [one.correlation for one in hear(server.url, 1)] == ["mine"]
    take_all(server.url, "inventory")
