"""Handshakes that no page of ours makes."""

from __future__ import annotations

import asyncio

import pytest
from channels.testing import WebsocketCommunicator
from django.conf import settings

from sagas.live import addresses, consumers, routing
from sagas.live.origin import Origin
from tests.live.conftest import Page, in_database, sign_in

database = pytest.mark.django_db(transaction=True)
OVERVIEW = addresses.OVERVIEW_PATH


async def knock(
    origin: str | None, host: str | None = "localhost", *, more: tuple[tuple[bytes, bytes], ...] = ()
) -> bool:
    """Whether a stranger is let in so far that they are told to sign in."""
    headers = [*more]
    if host is not None:
        headers.append((b"host", host.encode("latin1")))
    if origin is not None:
        headers.append((b"origin", origin.encode("latin1")))
    socket = WebsocketCommunicator(routing.application, OVERVIEW, headers=headers)
    is_open, _ = await socket.connect(timeout=10)
    if is_open:
        while (await socket.receive_output(timeout=10))["type"] != "websocket.close":
            pass
        await socket.disconnect(timeout=10)
    return is_open


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = ["localhost", "127.0.0.1", "[::1]", ".example.org"]
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", allowed)


@database
@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost", "localhost"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost"),
        ("https://sagas.example.org", "sagas.example.org:443"),
        ("https://SAGAS.example.org", "sagas.EXAMPLE.org"),
    ],
)
async def test_our_own_page_is_let_in(hosts, layer, origin, host):
    assert await knock(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:9999", "127.0.0.1:8000"),
        ("http://127.0.0.1", "127.0.0.1:8000"),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("https://localhost", "localhost:80"),
        ("http://other.example.org", "sagas.example.org"),
        ("http://evil.example", "evil.example"),
        ("http://evil.example", "localhost"),
        ("http://localhost", None),
        (None, "localhost"),
        ("null", "localhost"),
        ("", "localhost"),
        ("", ""),
        ("http://[", "localhost"),
        ("http://[", "["),
        ("http://]", "]"),
        ("http://localhost:port", "localhost:port"),
        ("http://localhost:99999", "localhost:99999"),
        ("http://localhost:-1", "localhost:-1"),
        ("http://[::1", "[::1"),
        ("http://localhost/", "localhost/"),
        ("http://localhost/path", "localhost"),
        ("http://evil@localhost", "evil@localhost"),
        ("http://@localhost", "@localhost"),
        ("http://localhost?", "localhost?"),
        ("ftp://localhost", "localhost"),
        ("localhost", "localhost"),
        ("//localhost", "localhost"),
        ("http://\xff", "\xff"),
        ("http://local\thost", "local\thost"),
    ],
)
async def test_any_other_is_a_403(hosts, origin, host):
    assert not await knock(origin, host)


async def test_two_of_a_header_are_none(hosts):
    assert not await knock("http://localhost", more=((b"origin", b"http://evil.example"),))
    assert not await knock("http://localhost", more=((b"host", b"evil.example"),))


@database
@pytest.mark.parametrize(
    "base", ["https://sagas.example.org", "https://sagas.example.org/", "https://sagas.example.org/a/b"]
)
async def test_behind_a_proxy_the_stated_address_counts(hosts, layer, monkeypatch, base):
    monkeypatch.setattr(settings, "SAGAWEB_BASE_URL", base)
    assert await knock("https://sagas.example.org", "127.0.0.1:8000")
    assert not await knock("http://sagas.example.org", "127.0.0.1:8000")
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["127.0.0.1"])
    assert not await knock("https://sagas.example.org", "127.0.0.1:8000"), "only an allowed host's"


async def test_a_project_without_our_settings_has_sockets_too(hosts, monkeypatch):
    monkeypatch.delattr(settings, "SAGAWEB_BASE_URL")
    assert not await knock("http://127.0.0.1:9999", "127.0.0.1:8000")


def test_an_origin_has_its_schemes_port():
    assert Origin.parse("https://a") == Origin("https", "a", 443) == Origin.parse("https://a.:443")


@database
@pytest.mark.parametrize("cookie", ['"aaaaaaaaaaaaaaaa\\000bbbbbbbbbb"', '"\\000"', "\xe4"])
async def test_a_session_cookie_that_cannot_be_one_is_told_to_sign_in(layer, cookie):
    page = Page(OVERVIEW, cookie=cookie)
    assert await page.open()
    assert "/sign-in/" in await page.frame()
    assert await page.close_code() == consumers.SIGNED_OUT
    await page.leave()


@pytest.mark.parametrize(
    "query", [b"new=1&q=%0%000", b"new=1&saga=%00%0%0000", b"new=1&status=%0%000", b"new=1&%00=%00", b"new=1&after=%00"]
)
def test_an_address_holds_no_nul_however_it_is_written(query):
    view = addresses.read_list(query)
    assert view.counts_newcomers
    assert "\\x00" not in repr(view)


@database
@pytest.mark.parametrize(
    "query",
    ["q=%0%000", "saga=%0%000", "status=%00", "q=a%00b", "q=%ff", "after=0001-01-01T00:00:00%2B14:00",
     "after=9999-12-31T23:59:59-14:00"],
)  # fmt: skip
async def test_no_address_of_a_list_breaks_it(layer, query, caplog):
    page = Page(f"/ws/runs/?new=1&{query}", cookie=await in_database(sign_in)("bob"))
    assert await page.open()
    assert "hx-partial" in await page.frame()
    await asyncio.sleep(0)
    assert "a live view broke" not in caplog.text
    await page.leave()
