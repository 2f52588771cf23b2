"""The web as a supervised child: uvicorn with the project's ASGI application."""

from __future__ import annotations

import http.client
import ipaddress
import socket
from typing import Any

from django.conf import settings

from sagas.workers.supervisor import Child

GRACE_S = 3  # for requests in flight; open sockets of the dashboard are closed at once
SOCKET_BYTES_MAX = 4096  # of what a browser sends: our sockets only speak, so anything larger is an attack
PROBE_S = 0.5
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not bound to


class PortError(Exception):
    """The address cannot be listened on; the text says why, for a person."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`.

    Raises:
        PortError: the name has no address.
    """
    return all(
        ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for _, address in _addresses(host, 0)
    )


def claim_port(host: str, port: int) -> int:
    """Return `port`, or a free one when it is 0, having seen that it can be listened on now.

    Raises:
        PortError: it is taken, or not ours to take.
    """
    family, address = _addresses(host, port)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise PortError(
                f"Port {port} on {host} cannot be used: {error.strerror}. Choose another one with --port."
            ) from error
        return int(probe.getsockname()[1])


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError) as error:
        raise PortError(f"{host!r}, port {port}, is not an address to listen on: {error}.") from error
    return [(entry[0], entry[4]) for entry in found]


def named_hosts() -> list[str]:
    """Return the hosts the web answers to, without patterns."""
    return [host for host in settings.ALLOWED_HOSTS if not host.startswith((".", "*"))]


def web_child(host: str, port: int) -> Child:
    """Return the web, listening on one address."""
    module, _, name = settings.ASGI_APPLICATION.rpartition(".")
    return Child(
        "web",
        (
            *("uvicorn", f"{module}:{name}", "--host", host, "--port", str(port), "--lifespan", "on"),
            *("--log-level", "warning", "--timeout-graceful-shutdown", str(GRACE_S)),
            *("--ws-max-size", str(SOCKET_BYTES_MAX)),
        ),
        stop_s=GRACE_S + 2.0,
        answers=lambda: _answers(ANYWHERE.get(host, host), port),
    )


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_S)
    try:
        connection.request("GET", "/livez", headers={"Host": (named_hosts() or ["localhost"])[0]})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
