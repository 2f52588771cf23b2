"""What may be called: the policy for every connection that we make to somebody's address.

A name is resolved once, each of its addresses is looked at, and only those are
connected to: what a name means a moment later does not matter. Addresses of this
machine and of private networks are for those that are marked so; addresses that
only hand out a machine's own secrets, or that are nobody's, are for none.
"""

from __future__ import annotations

import asyncio
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver

if TYPE_CHECKING:
    from aiohttp import AddrInfoType
    from aiohttp.abc import ResolveResult

    Address = IPv4Address | IPv6Address

PRINTABLE = re.compile(r"[!-~]+")
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
SCHEMES = ("http", "https")
NAMES_AT_ONCE = 32  # names that wait for an answer; those of a dead name server wait long

# For none: metadata of clouds stands at link-local addresses, and at a few of the private ones.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "192.0.0.192/32", "100.100.100.200/32",
        "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::/32", "fe80::/10", "fec0::/10", "ff00::/8", "::/128",
    )
)  # fmt: skip
# Not on the internet, whatever the Python at hand knows of it: some releases take some for global.
_INSIDE = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "198.18.0.0/15",
        "64:ff9b:1::/48",
        "100::/64",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
    )
)
IPV4 = 4
_MAPPED, _COMPATIBLE = ip_network("::ffff:0:0/96"), ip_network("::/96")
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"), ip_network("::ffff:0:0:0/96"))
_GIVEN_OUT = ip_network("2000::/3")  # all of IPv6 that is routed on the internet
_SIX_TO_FOUR, _TEREDO = ip_network("2002::/16"), ip_network("2001::/32")


class AddressRefusedError(OSError):
    """The policy refuses an address. The message names the host, and no address that it has."""


@lru_cache(maxsize=1024)
def is_allowed(text: str, *, allow_private: bool) -> bool:
    """Return whether an IP address may be connected to.

    Args:
        text: the address, as the resolver or a URL has it.
        allow_private: whether those of this machine and of private networks may be, too.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_may(one, allow_private=allow_private) for one in (found, *_embedded(found)))


def _may(address: Address, *, allow_private: bool) -> bool:
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    if allow_private:
        return True
    if any(address in network for network in _INSIDE if network.version == address.version):
        return False
    if _embedded(address):
        return True  # of one that wraps another, the other is looked at
    return address.is_global and (address.version == IPV4 or address in _GIVEN_OUT)


def _embedded(address: Address) -> list[Address]:
    """Return the IPv4 addresses to which an IPv6 address leads by translation or a tunnel."""
    if not isinstance(address, IPv6Address):
        return []
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if address in _MAPPED or any(address in network for network in _TRANSLATED):
        return [last]
    if address in _COMPATIBLE and number > 1:  # ::1 is the machine itself
        return [last]
    if address in _SIX_TO_FOUR:
        return [IPv4Address((number >> 80) & 0xFFFFFFFF)]
    if address in _TEREDO:
        return [IPv4Address((number >> 64) & 0xFFFFFFFF), IPv4Address((number & 0xFFFFFFFF) ^ 0xFFFFFFFF)]
    return []


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Return why an address may not be registered, as a sentence; None when it may.

    What its name resolves to is looked at when it is called.
    """
    if not PRINTABLE.fullmatch(url) or "\\" in url:
        return "An address holds printable ASCII characters only, and no backslash."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "This is no address: its host or its port cannot be read."
    if parts.scheme not in SCHEMES or not host or not url.lower().startswith(f"{parts.scheme}://"):
        return "An address begins with http:// or https://, and names a host."
    if "@" in parts.netloc:
        return "An HTTP address holds no user and no password: requests are signed with a secret."
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "An address has no part after `?` or `#`."
    if port == 0:
        return "Port 0 is no port."
    return _host_fault(parts.netloc, host, allow_private=allow_private) or _path_fault(parts.path)


def _host_fault(netloc: str, host: str, *, allow_private: bool) -> str | None:
    private = "This address is on this machine or in a private network; allow private addresses if that is meant."
    if "[" in netloc or ":" in host:
        if "%" in host or not _is_address(host):
            return "This is no IPv6 address."
        return None if is_allowed(host, allow_private=allow_private) else _refused(host, private)
    if _is_address(host):
        return None if is_allowed(host, allow_private=allow_private) else _refused(host, private)
    bare = host.rstrip(".")
    if not HOST.fullmatch(bare) or host.endswith(".."):
        return "The host must be a name of letters, digits and dashes, or an IP address."
    if _is_number(bare.rpartition(".")[2]):
        return "The host looks like a number: an IPv4 address is written as four decimal numbers."
    if not allow_private and (bare == "localhost" or bare.endswith((".localhost", ".local", ".internal"))):
        return private
    return None


def _refused(host: str, private: str) -> str:
    return private if is_allowed(host, allow_private=True) else "Nobody may call this address."


def _path_fault(path: str) -> str | None:
    parts = path.split("/")
    if "//" in path or any(part.lower().replace("%2e", ".") in {".", ".."} for part in parts):
        return "The path of an address holds no `//`, `.` or `..`."
    return None


@lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_number(label: str) -> bool:
    """Whether some parsers would take a name that ends so for an IPv4 address."""
    return bool(re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", label))


class SystemResolver(AbstractResolver):
    """Asks the system for addresses, in threads that do nothing else.

    In the loop's own few, a handful of names that nobody answers would hold up every other service.
    """

    def __init__(self) -> None:
        """Begin without a thread."""
        self._threads = ThreadPoolExecutor(NAMES_AT_ONCE, "names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            OSError: it has none, or nobody says so.
        """
        ask = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            {"hostname": host, "host": _text(address), "port": port, "family": kind, "proto": proto, "flags": numeric}
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Wait for nobody: a name that is being asked for is of no use any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _text(address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """Return an address with its zone, which only link-local ones have, and those are refused."""
    zone = f"%{address[3]}" if len(address) > 3 and address[3] else ""  # noqa: PLR2004 - as sockets have it
    return f"{address[0]!s}{zone}"


def checked_socket(info: AddrInfoType, *, allow_private: bool) -> socket.socket:
    """Return a socket that is going to be connected to an address: the last look before every connection.

    Raises:
        AddressRefusedError: the address may not be connected to, however it got here.
    """
    family, kind, proto, _, address = info
    if not is_allowed(str(address[0]), allow_private=allow_private):
        message = "the address it has may not be called"
        raise AddressRefusedError(message)
    return socket.socket(family, kind, proto)


class CheckedResolver(AbstractResolver):
    """Resolves names, and lets through only addresses that may be connected to."""

    def __init__(self, *, allow_private: bool, inner: AbstractResolver | None = None) -> None:
        """Ask `inner`, the system's resolver when None."""
        self._allow_private = allow_private
        self._inner = inner or SystemResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            AddressRefusedError: one of them may not be connected to: then none is.
        """
        found = await self._inner.resolve(host, port, family)
        for one in found:
            if not is_allowed(one["host"], allow_private=self._allow_private):
                message = f"{host} has an address that may not be called"
                raise AddressRefusedError(message)
        return found

    async def close(self) -> None:
        """Let go of the resolver."""
        await self._inner.close()


def check_host(host: str, *, allow_private: bool) -> None:
    """Look at all addresses of a host that a library is going to resolve by itself, once more.

    Between the two a name may change: this is for addresses that an admin gave, such as a broker's.

    Raises:
        AddressRefusedError: one of them may not be connected to.
        OSError: it cannot be resolved.
    """
    for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        if not is_allowed(str(found[4][0]), allow_private=allow_private):
            message = f"{host} has an address that may not be called"
            raise AddressRefusedError(message)


def check_literal(host: str, *, allow_private: bool) -> None:
    """Look at a host that is an IP address itself, which no resolver is asked about.

    Raises:
        AddressRefusedError: it may not be connected to.
    """
    if _is_address(host) and not is_allowed(host, allow_private=allow_private):
        message = f"{host} may not be called"
        raise AddressRefusedError(message)
