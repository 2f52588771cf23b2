"""Addresses of services: what one may look like, and how a broker's password is kept apart from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

from sagas.core.limits import SERVICE_ADDRESS_LENGTH_MAX
from sagas.core.sealed import MASK
from sagas.models import ServiceKind
from sagas.participants.network import url_fault

HTTP_SCHEMES = ("http", "https")
BROKER_SCHEMES = ("amqp", "amqps", "redis", "rediss")
_PRINTABLE = re.compile(r"[!-~]+")
_STAND_IN = quote(MASK)  # `•••` as an address can hold it
_PASSWORD_WORDS = ("password", "passwd", "passcode", "secret", "token")


class AddressError(Exception):
    """The address cannot be used; the text is a whole sentence and repeats nothing of a password."""


@dataclass(frozen=True, slots=True)
class Address:
    """A service's address as it is stored, and the password that was in it.

    `password` is None where the address holds none, and `•••` where it holds the mask.
    """

    base_url: str
    password: str | None = field(default=None, repr=False)


def read_address(kind: str, text: str, *, allow_private: bool) -> Address:
    """Take an address apart.

    Raises:
        AddressError: it is not one of its kind.
    """
    text = text.strip().replace(MASK, _STAND_IN)
    if not text:
        message = "An address is needed."
        raise AddressError(message)
    if len(text) > SERVICE_ADDRESS_LENGTH_MAX or not _PRINTABLE.fullmatch(text):
        message = f"An address has at most {SERVICE_ADDRESS_LENGTH_MAX} characters, all of them printable ASCII."
        raise AddressError(message)
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        message = "This is no address: its host or its port cannot be read."
        raise AddressError(message) from None
    schemes = HTTP_SCHEMES if kind == ServiceKind.HTTP else BROKER_SCHEMES
    if parts.scheme not in schemes or not has_host:
        message = f"An address of this kind begins with {_either(schemes)}, and names a host."
        raise AddressError(message)
    if parts.fragment:
        message = "An address has no part after `#`."
        raise AddressError(message)
    if kind == ServiceKind.HTTP:
        _check_http(text, allow_private=allow_private)
        return Address(text)
    return _split_password(parts)


def shown_address(base_url: str, *, has_password: bool) -> str:
    """Return an address as everybody may see it: with `•••` for the password, if there is one.

    >>> shown_address("amqp://guest@broker:5672/", has_password=True)
    'amqp://guest:•••@broker:5672/'
    """
    if not has_password:
        return base_url
    parts = urlsplit(base_url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{MASK}@{host}"))


def without_password(text: str) -> str:
    """Return an address that somebody typed without what could be its password, however it is spelt otherwise.

    >>> without_password("amqp://guest:pa@ss@broker:5672/")
    'amqp://guest@broker:5672/'
    """
    head, slashes, rest = text.rpartition("//")
    user_info, at, host = rest.rpartition("@")
    user = user_info.partition(":")[0]
    return f"{head}{slashes}{user}{at if user else ''}{host}".partition("?")[0]


def is_same_door(base_url: str, other: str) -> bool:
    """Whether a password for one address may be sent to the other: same scheme, user, host and port."""
    one, two = urlsplit(base_url), urlsplit(other)
    return (one.scheme, one.netloc) == (two.scheme, two.netloc)


def _check_http(text: str, *, allow_private: bool) -> None:
    if fault := url_fault(text, allow_private=allow_private):
        raise AddressError(fault)


def _split_password(parts: SplitResult) -> Address:
    if any(word in name.lower() for name, _ in parse_qsl(parts.query, True) for word in _PASSWORD_WORDS):
        message = "A password stands before the host, as in amqp://user:password@host, where it is kept secret."
        raise AddressError(message)
    if not all(name.startswith("ssl_") for name, _ in parse_qsl(parts.query, True)):
        message = "After `?` an address of a broker may say how its TLS is checked (ssl_…), and nothing else."
        raise AddressError(message)
    user_info, at, host = parts.netloc.rpartition("@")
    user, colon, password = user_info.partition(":")
    base_url = urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
    if ";" in base_url:  # what speaks to brokers would take what follows for another one, and look at it no more
        message = "An address names one broker: there is no semicolon in it."
        raise AddressError(message)
    return Address(base_url, unquote(password) if at and colon and password else None)


def _either(schemes: tuple[str, ...]) -> str:
    *others, last = (f"{scheme}://" for scheme in schemes)
    return f"{', '.join(others)} or {last}"
