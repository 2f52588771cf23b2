"""What somebody wants a service to be, checked as a whole: every problem at once, each beside its member."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagas.core import limits
from sagas.core.problem import Problem
from sagas.core.sealed import MASK
from sagas.core.steps import SAGA_NAME
from sagas.models import ServiceKind
from sagas.services.address import Address, AddressError, is_same_door, read_address
from sagas.services.errors import ServiceInvalidError
from sagas.services.secret import secret_problem

if TYPE_CHECKING:
    from sagas.models import Service

FORMER_VALID_S = 86_400.0  # a day to change over, when nobody says otherwise
MAX_CONCURRENCY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A service as somebody wants it. `base_url` may hold a broker's password, or `•••` for the one that is kept."""

    kind: str = ServiceKind.HTTP.value
    base_url: str = field(repr=False)
    timeout_s: float | None = None
    max_concurrency: int = MAX_CONCURRENCY
    allow_private: bool = False
    follows_redirects: bool = False
    secret: str | None = field(default=None, repr=False)  # None and `•••`: the one that is there, or a new one


def check_name(name: str) -> None:
    """Refuse what cannot be a service's name.

    Raises:
        ServiceInvalidError: it is not one.
    """
    if not SAGA_NAME.fullmatch(name):
        message = (
            f"A name is small letters, digits and single dashes, at most {limits.NAME_LENGTH_MAX}, such as payments."
        )
        raise ServiceInvalidError([Problem(message, pointer="/name", code="wrong_value")])


def check_wanted(wanted: Wanted, before: Service | None) -> Address:
    """Return the address taken apart; `before` is the service as it is, whose password `•••` stands for.

    Raises:
        ServiceInvalidError: with everything that is wrong.
    """
    problems: list[Problem] = []
    address = Address("")
    if wanted.kind not in set(ServiceKind):
        kinds = " or ".join(kind.value for kind in ServiceKind)
        problems.append(_problem("kind", f"A service is of the kind {kinds}."))
    else:
        try:
            address = read_address(wanted.kind, wanted.base_url, allow_private=wanted.allow_private)
            if address.password == MASK:
                _check_kept(address, before)
        except AddressError as error:
            problems.append(_problem("base_url", str(error)))
    low, high = limits.TIMEOUT_S_MIN, limits.TIMEOUT_S_MAX
    if wanted.timeout_s is not None and not low <= wanted.timeout_s <= high:
        problems.append(_problem("timeout", f"A time-out is {low:g} to {high:g} seconds."))
    if not 1 <= wanted.max_concurrency <= limits.SERVICE_CONCURRENCY_MAX:
        message = f"1 to {limits.SERVICE_CONCURRENCY_MAX} calls can be in flight at once."
        problems.append(_problem("max_concurrency", message))
    if wanted.secret is not None and not (wanted.secret == MASK and before is not None and before.secret is not None):
        problem = secret_problem(wanted.secret)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise ServiceInvalidError(problems)
    return address


def check_former_valid(seconds: float) -> None:
    """Refuse a time for which a former secret cannot stay valid.

    Raises:
        ServiceInvalidError: negative, or longer than a month.
    """
    if not 0 <= seconds <= limits.FORMER_SECRET_S_MAX:
        message = f"A former secret stays valid for 0 to {limits.FORMER_SECRET_S_MAX:g} seconds."
        raise ServiceInvalidError([_problem("former_valid", message)])


def _check_kept(address: Address, before: Service | None) -> None:
    if before is None or before.password is None:
        message = f"`{MASK}` stands for the password that is kept; there is none. Give the password."
        raise AddressError(message)
    if not is_same_door(before.base_url, address.base_url):
        message = f"Give the password again: `{MASK}` keeps it for the same user, host and port only."
        raise AddressError(message)


def _problem(member: str, message: str) -> Problem:
    return Problem(message, pointer=f"/{member}", code="wrong_value")
