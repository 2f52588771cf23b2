"""What may be called, and what may not, however it is spelt."""

from __future__ import annotations

import asyncio
import socket
import threading

import aiohttp
import pytest

from sagas.core.definition import HttpAction
from sagas.core.outcome import Failed, Succeeded
from sagas.core.vocabulary import Phase
from sagas.participants import http
from sagas.participants.base import Call
from sagas.participants.http import HttpParticipants
from sagas.participants.known_services import KnownService
from sagas.participants.network import is_allowed, url_fault
from tests.participants.hostile import Hostile, ok

ADDRESSES = [  # address, allowed, allowed where private ones are
    ("93.184.216.34", True, True),
    ("2606:2800:220:1:248:1893:25c8:1946", True, True),
    ("127.0.0.1", False, True),
    ("127.255.255.254", False, True),
    ("::1", False, True),
    ("10.0.0.1", False, True),
    ("172.16.0.1", False, True),
    ("172.31.255.255", False, True),
    ("192.168.1.1", False, True),
    ("100.64.0.1", False, True),
    ("fd12:3456::1", False, True),
    ("198.18.0.1", False, True),
    ("0.0.0.0", False, False),
    ("0.1.2.3", False, False),
    ("::", False, False),
    ("169.254.169.254", False, False),
    ("169.254.0.1", False, False),
    ("fe80::1", False, False),
    ("fe80::1%eth0", False, False),
    ("fec0::1", False, False),
    ("fd00:ec2::254", False, False),
    ("fd20:ce::254", False, False),
    ("100.100.100.200", False, False),
    ("192.0.0.192", False, False),
    ("168.63.129.16", False, False),
    ("224.0.0.1", False, False),
    ("ff02::1", False, False),
    ("240.0.0.1", False, False),
    ("255.255.255.255", False, False),
    ("::ffff:127.0.0.1", False, True),
    ("::ffff:169.254.169.254", False, False),
    ("::ffff:93.184.216.34", True, True),
    ("::ffff:0:127.0.0.1", False, True),
    ("::ffff:0:169.254.169.254", False, False),
    ("4000::1", False, True),
    ("::127.0.0.1", False, True),
    ("::169.254.169.254", False, False),
    ("64:ff9b::7f00:1", False, True),
    ("64:ff9b::a9fe:a9fe", False, False),
    ("64:ff9b::808:808", True, True),
    ("64:ff9b:1::a9fe:a9fe", False, False),
    ("64:ff9b:1::808:808", False, True),  # translated within a network, which alone knows where it leads
    ("2002:808:808::", True, True),
    ("3fff::1", False, True),
    ("5f00::1", False, True),
    ("192.0.0.8", False, True),
    ("192.0.2.1", False, True),
    ("2001:db8::1", False, True),
    ("2130706433", False, False),
    ("0x7f000001", False, False),
    ("127.1", False, False),
    ("0177.0.0.1", False, False),
    ("①②⑦.0.0.1", False, False),
    ("127.0.0.1\x00", False, False),
    ("2002:7f00:1::", False, True),
    ("2002:a9fe:a9fe::", False, False),
    ("2001:0:a9fe:a9fe::1", False, False),
    ("2001:0:4136:e378:8000:63bf:5601:5601", False, False),  # Teredo: the client behind it is 169.254.169.254
    ("not an address", False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("address", "is_public", "is_private_too"), ADDRESSES)
def test_an_address_may_be_connected_to_or_not(address, is_public, is_private_too):
    assert is_allowed(address, allow_private=False) == is_public
    assert is_allowed(address, allow_private=True) == is_private_too


REFUSED = [
    "http://127.0.0.1/", "http://localhost/", "http://LOCALHOST:80/", "http://localhost./", "http://api.localhost/",
    "http://printer.local/", "http://metadata.google.internal/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:0:0:1]:8080/", "http://10.0.0.1/", "http://192.168.0.1:9200/",
    "http://172.16.3.4/", "http://100.64.1.1/", "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/", "http://[fe80::1%25eth0]/", "http://0.0.0.0/", "http://0/", "http://127.1/",
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/",
    "http://127.0.0.1.0x1/", "http://1.2.3/", "http://example.com.0/", "http://1.2.3.4.5/",
    "http://user@example.com/", "http://user:pw@example.com/", "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/", "http://example.com#@evil", "http://example.com/?a=b", "http://example.com/#a",
    "http://example.com?", "http://example.com\\@127.0.0.1/", "http:\\\\127.0.0.1/", "http://exa mple.com/",
    "http://example.com/\r\nHost: evil", "http://example.com/\0", "http://exämple.com/", "http://①②⑦.0.0.1/",
    "http://example。com/", "http://\u200bexample.com/", "http:///path", "http://", "http:example.com",
    "//example.com/",
    "example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)",
    "http://example.com:0/", "http://example.com:99999/", "http://example.com:abc/", "http://[::1", "http://[v1.a]/",
    "http://-example.com/", "http://example..com/", "http://.example.com/", "http://example.com../",
    "http://example.com/a/../b", "http://example.com/a//b", "http://example.com/%2e%2e/b", "http://exa_mple.com/",
    "http://%31%32%37.0.0.1/", "",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_leads_elsewhere_or_inside_is_not_registered(url):
    assert url_fault(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com", "https://example.com/", "https://example.com:8443/base/v1", "http://1.1.1.1/",
        "https://[2606:4700:4700::1111]/", "http://xn--exmple-cua.com/", "https://inventory.example.org./x",
        "https://example.com/a%20b",
    ],
)  # fmt: skip
def test_a_plain_address_is_registered(url):
    assert url_fault(url, allow_private=False) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001", "http://[::1]/", "http://10.1.2.3/", "http://localhost:1/"])
def test_a_private_address_is_registered_where_it_is_meant(url):
    assert url_fault(url, allow_private=False)
    assert url_fault(url, allow_private=True) is None


class Names(aiohttp.abc.AbstractResolver):
    """A resolver under somebody else's control: it gives another answer each time."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked += 1
        text = self.answers[min(self.asked, len(self.answers)) - 1]
        return [
            {"hostname": host, "host": one, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
            for one in text.split()
        ]

    async def close(self):
        pass


def call(**said):
    said = {"arguments": {"path": "/"}, "timeout_s": 2.0, "phase": Phase.ACTION} | said
    key = "0192f0c0-0000-7000-8000-000000000001"
    return Call(run_id=key, saga="s", step="a", attempt=1, idempotency_key=f"{key}:a:action", **said)


async def ask(names, port, *, allow_private=False, times=1):
    service = KnownService(name="far", kind="http", base_url=f"http://far.example:{port}", allow_private=allow_private)
    participants = HttpParticipants(lambda: names)
    try:
        return [await participants.perform(HttpAction("far", "POST"), call(), service) for _ in range(times)]
    finally:
        await participants.close()


async def test_a_name_that_means_this_machine_is_not_called():
    async with Hostile(ok) as server:
        (outcome,) = await ask(Names("127.0.0.1"), server.port)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "address_refused"
    assert "127.0.0.1" not in outcome.error.message
    assert server.connections == 0


async def test_a_name_one_of_whose_addresses_is_private_is_not_called_at_all():
    async with Hostile(ok) as server:
        (outcome,) = await ask(Names("93.184.216.34 127.0.0.1"), server.port)
    assert outcome.error.code == "address_refused"
    assert server.connections == 0


async def test_a_name_that_means_something_else_the_second_time_is_asked_once_and_never_leads_inside(monkeypatch):
    """The address that was looked at is the one connected to, so a later answer changes nothing."""
    tried = []

    async def connect(_loop, _protocol, host=None, port=None, **said):
        tried.append((said.get("sock") and said["sock"].getpeername()[0]) or host)
        raise ConnectionRefusedError

    async def sock_connect(_loop, _sock, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    loop = type(asyncio.get_running_loop())
    monkeypatch.setattr(loop, "create_connection", connect)
    monkeypatch.setattr(loop, "sock_connect", sock_connect)
    names = Names("93.184.216.34", "127.0.0.1")
    async with Hostile(ok) as server:
        first, second = await ask(names, server.port, times=2)
    assert tried
    assert set(tried) == {"93.184.216.34"}
    assert server.connections == 0
    assert {first.error.code, second.error.code} <= {"unreachable", "address_refused"}


async def test_a_service_that_is_marked_so_is_called_on_this_machine():
    async with Hostile(ok) as server:
        (outcome,) = await ask(Names("127.0.0.1"), server.port, allow_private=True)
    assert isinstance(outcome, Succeeded)


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_literal_address_is_looked_at_too(host):
    async with Hostile(ok) as server:
        service = KnownService(name="far", kind="http", base_url=f"http://{host}:{server.port}")
        participants = HttpParticipants()
        outcome = await participants.perform(HttpAction("far", "GET"), call(), service)
        await participants.close()
    assert outcome.error.code == "address_refused"
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0"])
async def test_a_number_that_some_take_for_an_address_leads_nowhere(host):
    async with Hostile(ok) as server:
        service = KnownService(name="far", kind="http", base_url=f"http://{host}:{server.port}")
        participants = HttpParticipants()
        outcome = await participants.perform(HttpAction("far", "GET"), call(), service)
        await participants.close()
    assert isinstance(outcome, Failed)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "far.example"])
async def test_the_last_look_is_at_the_address_that_is_connected_to(host, monkeypatch):
    """Whatever the looks before it let through."""
    monkeypatch.setattr(http, "check_literal", lambda *_, **__: None)
    monkeypatch.setattr(http, "CheckedResolver", lambda inner, **_: inner)
    async with Hostile(ok) as server:
        service = KnownService(name="far", kind="http", base_url=f"http://{host}:{server.port}")
        participants = HttpParticipants(lambda: Names("127.0.0.1"))
        outcome = await participants.perform(HttpAction("far", "GET"), call(), service)
        await participants.close()
    assert outcome.error.code == "address_refused"
    assert "127.0.0.1" not in outcome.error.message
    assert server.connections == 0


async def test_names_that_nobody_answers_hold_up_no_other(monkeypatch):
    answered, asked = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host, *rest, **said):
        if host.startswith("dead"):
            answered.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return asked("127.0.0.1", *rest, **said)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    participants, action = HttpParticipants(), HttpAction("far", "POST")

    def perform(host, port):
        service = KnownService(name="far", kind="http", base_url=f"http://{host}:{port}", allow_private=True)
        return participants.perform(action, call(), service)

    try:
        async with Hostile(ok) as server:
            waiting = [asyncio.create_task(perform(f"dead-{number}.example", server.port)) for number in range(20)]
            await asyncio.sleep(0.1)
            assert isinstance(await perform("alive.example", server.port), Succeeded)
            outcomes = await asyncio.gather(*waiting)
    finally:
        answered.set()
        await participants.close()
    assert {outcome.error.code for outcome in outcomes} == {"unreachable"}


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    async with Hostile(ok) as proxy, Hostile(ok) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        (outcome,) = await ask(Names("127.0.0.1"), server.port, allow_private=True)
    assert isinstance(outcome, Succeeded)
    assert (proxy.connections, server.connections) == (0, 1)
