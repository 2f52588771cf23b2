"""The toxic proxy passes everything when it is kind, and harms exactly as told."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.toxic import Toxic

pytestmark = pytest.mark.embedded


@pytest.fixture
def toxic() -> Iterator[Toxic]:
    """A proxy before a server that echoes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def echo(line: socket.socket) -> None:
        with line:
            try:
                while piece := line.recv(65_536):
                    line.sendall(piece)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(line,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Toxic("127.0.0.1", listening.getsockname()[1]) as proxy:
        yield proxy
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def said(toxic: Toxic, words: bytes, within_s: float = 10) -> bytes:
    """Say something and return what comes until the other side ends, or until all of it came."""
    with socket.create_connection(("127.0.0.1", toxic.port), timeout=within_s) as line:
        line.sendall(words)
        heard = b""
        while len(heard) < len(words) and (piece := line.recv(65_536)):
            heard += piece
        return heard


def test_a_kind_one_passes_everything(toxic):
    words = bytes(range(256)) * 2000
    assert said(toxic, words) == words
    assert (toxic.connections, toxic.bytes_up, toxic.bytes_down) == (1, len(words), len(words))


def test_latency_holds_each_piece_in_both_directions(toxic):
    toxic.harm(latency_s=0.15)
    began = time.monotonic()
    assert said(toxic, b"hello") == b"hello"
    assert time.monotonic() - began >= 0.3
    toxic.heal()
    assert said(toxic, b"hello") == b"hello"


def test_answers_are_cut_after_so_many_bytes(toxic):
    toxic.harm(cut_after_down=3)
    assert said(toxic, b"hello") == b"hel"


def test_requests_are_cut_after_so_many_bytes(toxic):
    toxic.harm(cut_after_up=2)
    said(toxic, b"hello")
    assert toxic.bytes_up == 2


def test_a_cut_can_be_a_reset(toxic):
    toxic.harm(cut_after_up=2, is_reset=True)
    with pytest.raises(ConnectionResetError):
        said(toxic, b"hello")


def test_each_new_connection_can_be_reset(toxic):
    toxic.harm(is_reset=True)
    with pytest.raises(ConnectionError):
        said(toxic, b"hello")


def test_a_black_hole_swallows(toxic):
    toxic.harm(is_black_hole=True)
    with pytest.raises(TimeoutError):
        said(toxic, b"hello", within_s=0.3)
    assert toxic.bytes_up == 0


def test_answers_drip(toxic):
    toxic.harm(drip_bytes_s=50)
    began = time.monotonic()
    assert said(toxic, b"x" * 20) == b"x" * 20
    assert time.monotonic() - began >= 0.35


def test_down_refuses_and_resets_what_is_open_and_up_is_at_the_same_port(toxic):
    port = toxic.port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
        line.sendall(b"a")
        assert line.recv(1) == b"a"
        toxic.down()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    with pytest.raises(ConnectionRefusedError):
        said(toxic, b"hello")
    toxic.up()
    assert toxic.port == port
    assert said(toxic, b"hello") == b"hello"


def test_open_connections_are_cut_once(toxic):
    with socket.create_connection(("127.0.0.1", toxic.port), timeout=5) as line:
        line.sendall(b"a")
        assert line.recv(1) == b"a"
        toxic.cut()
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert said(toxic, b"hello") == b"hello"


def test_a_server_that_resets_is_passed_on_as_a_reset(toxic):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        toxic.target = ("127.0.0.1", listening.getsockname()[1])

        def reset_one() -> None:
            line, _ = listening.accept()
            line.recv(5)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

        thread = threading.Thread(target=reset_one)
        thread.start()
        with pytest.raises(ConnectionResetError):
            said(toxic, b"hello")
        thread.join(5)


def test_a_server_that_is_away_looks_like_a_reset(toxic):
    toxic.target = ("127.0.0.1", 1)
    with pytest.raises(ConnectionError):
        said(toxic, b"hello")
