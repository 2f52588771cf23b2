"""Commands and replies through real brokers of the test's own."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing

import kombu
import pytest

from sagas.participants.broker import REPLIES, Broker, BrokerError, CommandMessage, address, queue_of
from sagas.participants.known_services import KnownService
from tests.brokers import own_broker

pytestmark = [pytest.mark.embedded, pytest.mark.processes]


@pytest.fixture(scope="module", params=["rabbitmq", "redis"])
def server(request, tmp_path_factory):
    with own_broker(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


def command(number=1, **said):
    said = {"id": f"c{number}", "name": "reserve", "headers": {"Idempotency-Key": f"k{number}"}} | said
    return CommandMessage(**{"body": {"n": number}, "correlation": f"t{number}", "expires_in_s": 60.0} | said)


def send(url, one=None):
    with closing(Broker(url, allow_private=True)) as broker:
        broker.hand_over("inventory", one or command())


def take_all(url, service):
    with kombu.Connection(url) as connection:
        queue = kombu.Queue(queue_of(service), kombu.Exchange(""), queue_of(service))(connection.channel())
        found = []
        while (message := queue.get()) is not None:
            found.append(message)
            message.ack()
        return found


def reply(url, correlation, body=b'{"outcome": "succeeded"}'):
    with kombu.Connection(url) as connection:
        kombu.Producer(connection.channel()).publish(
            body, exchange="", routing_key=REPLIES, correlation_id=correlation, content_type="application/json"
        )


def hear(url, count, *, accept=True, within_s=20, take=None):
    found, until = [], time.monotonic() + within_s

    def keep(one):
        found.append(one)
        if accept:
            one.accept()

    with closing(Broker(url, allow_private=True)) as broker:
        broker.hear(take or keep, lambda: len(found) >= count or time.monotonic() > until)
    return found


def test_a_command_arrives_with_its_key_and_where_to_reply(server):
    send(server.url, command(body={"items": ["ü", None, 1.5]}))
    (message,) = take_all(server.url, "inventory")
    body = message.body
    assert json.loads(body) == {"items": ["ü", None, 1.5]}
    assert message.headers["Idempotency-Key"] == "k1"
    assert message.headers["Saga-Command"] == "reserve"
    assert message.properties["reply_to"] == REPLIES
    assert message.properties["correlation_id"] == "t1"
    assert message.properties["message_id"] == "c1"


def test_a_reply_is_heard_with_its_correlation(server):
    send(server.url)
    reply(server.url, "t1", b'{"outcome": "rejected"}')
    (heard,) = hear(server.url, 1)
    assert (heard.correlation, heard.raw) == ("t1", b'{"outcome": "rejected"}')
    take_all(server.url, "inventory")


def test_a_reply_that_was_not_accepted_comes_again(server):
    send(server.url)
    reply(server.url, "again")
    assert len(hear(server.url, 1, accept=False)) == 1
    assert [one.correlation for one in hear(server.url, 1)] == ["again"]
    take_all(server.url, "inventory")


def test_a_reply_without_correlation_or_too_large_is_still_delivered_to_be_put_aside(server):
    send(server.url)
    reply(server.url, None, b"x" * 600_000)
    (heard,) = hear(server.url, 1)
    assert (heard.correlation, heard.raw, heard.size_bytes) == ("", b"", 600_000)
    take_all(server.url, "inventory")


def test_a_broker_that_is_away_is_an_error_without_a_password_in_it_and_works_when_it_is_back(server):
    broker = Broker(server.url, allow_private=True)
    broker.hand_over("inventory", command(1))
    server.kill()
    with pytest.raises(BrokerError) as caught:
        for _ in range(3):  # the first write may go into a buffer that nobody reads any more
            broker.hand_over("inventory", command(2))
    assert "guest" not in str(caught.value)
    server.start()
    broker.hand_over("inventory", command(3))
    broker.close()
    numbers = [json.loads(message.body)["n"] for message in take_all(server.url, "inventory")]
    assert numbers[-1] == 3
    assert numbers[0] == (1 if server.url.startswith("amqp") else 3)  # what RabbitMQ confirmed outlives its death


def test_a_listener_says_that_its_broker_died(server):
    over, caught = threading.Event(), []

    def listen():
        with closing(Broker(server.url, allow_private=True)) as broker:
            try:
                broker.hear(lambda one: one.accept(), over.is_set)
            except BrokerError as error:
                caught.append(error)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    time.sleep(1)
    server.restart()
    thread.join(30)
    over.set()
    assert len(caught) == 1


def test_the_password_of_an_address_is_put_where_it_belongs():
    service = KnownService(name="a", kind="command", base_url="amqp://shop@mq.example:5671/v1", password="p@ss/w:rd")
    assert address(service) == "amqp://shop:p%40ss%2Fw%3Ard@mq.example:5671/v1"


def test_an_address_that_may_not_be_called_is_not_connected_to(server):
    with pytest.raises(BrokerError, match="may not be called"):
        Broker(server.url).hand_over("inventory", command())
