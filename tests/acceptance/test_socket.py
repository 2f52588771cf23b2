"""The socket of the running product, knocked at by programs that are no browser of ours."""

from __future__ import annotations

import re
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

pytestmark = [pytest.mark.processes, pytest.mark.slow]


@pytest.fixture
def cookie(product) -> str:
    """Sign in as a program would: read the form, send it back."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    link = product.new_sign_in_url()
    form = opener.open(link).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]
    opener.open(link, urlencode({"csrfmiddlewaretoken": token}).encode())
    return "; ".join(f"{each.name}={each.value}" for each in jar)


def knock(product, path: str = "/ws/runs/?new=1", *, origin: str | None = "own", cookie: str = "") -> ClientConnection:
    origin = product.url if origin == "own" else origin
    headers = {"Cookie": cookie} if cookie else {}
    return connect(product.url.replace("http", "ws") + path, origin=origin, additional_headers=headers, proxy=None)


def read_on(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=20)


def test_our_own_page_is_shown_the_list(product, cookie):
    with knock(product, cookie=cookie) as socket:
        assert "<hx-partial" in socket.recv(timeout=20)


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1.evil.example"])
def test_a_page_of_another_site_gets_no_socket(product, cookie, origin):
    with pytest.raises(InvalidStatus) as refusal, knock(product, origin=origin, cookie=cookie):
        pass
    assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/ws/runs/?new=1", f"/ws/runs/{uuid4()}/"])
def test_somebody_not_signed_in_is_told_so_and_shown_nothing(product, path):
    with knock(product, path, cookie="sessionid=invented") as socket:
        assert "Sign in again" in socket.recv(timeout=20)
        with pytest.raises(ConnectionClosed) as end:
            socket.recv(timeout=20)
    assert end.value.rcvd.code == 4401


@pytest.mark.parametrize(("message", "code"), [("{}", 1008), ("x" * 5000, 1009), (b"\x00", 1008)])
def test_a_page_that_writes_is_cut_off(product, cookie, message, code):
    with knock(product, cookie=cookie) as socket:
        socket.send(message)
        with pytest.raises(ConnectionClosed) as end:
            read_on(socket)
    assert end.value.rcvd.code == code


def test_an_address_nobody_listens_at_gets_no_socket(product, cookie):
    with pytest.raises(InvalidStatus), knock(product, "/ws/elsewhere/", cookie=cookie):
        pass
