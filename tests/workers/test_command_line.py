"""One hand-over to a broker that takes what is for some services and not for others."""

from __future__ import annotations

from datetime import timedelta

import pytest
from amqp.exceptions import MessageNacked
from django.utils import timezone

from sagas.models import OutgoingCommand
from sagas.participants.broker import Broker, BrokerError, CommandMessage
from sagas.participants.known_services import KnownService
from sagas.workers.command_line import CommandLine
from tests.factories import make_runs

URL = "amqp://broker.example.com/"


class Picky:
    """A broker that refuses what is for some services, each time."""

    def __init__(self, *full: str) -> None:
        self.full = full
        self.asked: list[str] = []

    def hand_over(self, service, _message):
        self.asked.append(service)
        if service in self.full:
            raise BrokerError("broker.example.com: MessageNacked")


@pytest.fixture
def line(db):
    """Three services behind one broker, and two commands for each, those for `a` first."""
    (run,), now = make_runs(1), timezone.now()
    for number, service in enumerate("aabbcc"):
        OutgoingCommand.objects.create(
            run=run,
            service=service,
            message={"name": "do", "headers": {}, "body": {}, "correlation": str(number)},
            due_at=now + timedelta(microseconds=number),
            expires_at=now + timedelta(hours=1),
            created_at=now,
        )
    made = CommandLine(URL, allow_private=False)
    made.serve([KnownService(name=name, kind="command", base_url=URL) for name in "abc"])
    return made


def left():
    return sorted(OutgoingCommand.objects.values_list("service", flat=True))


def test_a_queue_that_is_full_keeps_no_command_of_others(line):
    broker = Picky("a")
    assert line._hand_over_some(broker)
    assert broker.asked == ["a", "b", "b", "c", "c"]
    assert left() == ["a", "a"]
    assert OutgoingCommand.objects.first().last_error == "broker.example.com: MessageNacked"


def test_a_broker_that_is_away_is_not_asked_for_each_service(line):
    broker = Picky("a", "b", "c")
    with pytest.raises(BrokerError):
        line._hand_over_some(broker)
    assert broker.asked == ["a", "b"]
    assert left() == list("aabbcc")


def test_what_a_broker_refuses_to_take_is_an_error_of_the_broker():
    class Full:
        def publish(self, *_, **__):
            raise MessageNacked

    broker = Broker(URL)
    broker._producer, broker._declared = Full(), {"sagaweb.a", "sagaweb.replies"}
    with pytest.raises(BrokerError, match="MessageNacked"):
        broker.hand_over("a", CommandMessage("1", "do", {}, {}, "c", 1.0))
