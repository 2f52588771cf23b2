"""The form of a service: read, kept as typed but for secrets, and with its problems beside their fields."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from sagas.models import ServiceKind
from sagas.presentation.services import KINDS, address_of
from sagas.services.address import without_password
from sagas.services.wanted import MAX_CONCURRENCY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagas.core.problem import Problem
    from sagas.models import Service

NUMBER_LENGTH_MAX = 12
_FIELDS = ("name", "kind", "base_url", "timeout", "max_concurrency", "secret", "reason")


@dataclass(frozen=True, slots=True)
class ServiceForm:
    """A service as a person typed it. An address with a password and a secret are never sent back to the browser."""

    name: str = ""
    kind: str = ServiceKind.HTTP.value
    base_url: str = field(default="", repr=False)
    timeout: str = ""
    max_concurrency: str = str(MAX_CONCURRENCY)
    allow_private: bool = False
    follows_redirects: bool = False
    secret: str = field(default="", repr=False)
    reason: str = ""
    revision: int | None = None
    errors: Mapping[str, str] = field(default_factory=dict)  # by field; "" is about none of them

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Each kind in words."""
        return [(value, str(words)) for value, words in KINDS.items()]


def form_of(service: Service) -> ServiceForm:
    """Return the form filled with what is."""
    return ServiceForm(
        name=service.name,
        kind=service.kind,
        base_url=address_of(service),
        timeout="" if service.timeout_s is None else f"{service.timeout_s:g}",
        max_concurrency=str(service.max_concurrency),
        allow_private=service.allow_private,
        follows_redirects=service.follows_redirects,
        revision=service.revision,
    )


def read_form(sent: Mapping[str, str], name: str | None) -> ServiceForm:
    """Read what was sent; `name` is that of the service, None for a new one."""
    return ServiceForm(
        name=sent.get("name", "").strip() if name is None else name,
        kind=sent.get("kind", ""),
        base_url=sent.get("base_url", "").strip(),
        timeout=sent.get("timeout", "").strip(),
        max_concurrency=sent.get("max_concurrency", "").strip(),
        allow_private=sent.get("allow_private") == "yes",
        follows_redirects=sent.get("follows_redirects") == "yes",
        secret=sent.get("secret", "").strip(),
        reason=sent.get("reason", ""),
        revision=read_number(sent.get("revision", "")),
    )


def read_wanted(form: ServiceForm) -> tuple[Wanted | None, ServiceForm]:
    """Return what is wanted, or None and the form with what cannot be read said beside its field."""
    errors: dict[str, str] = {}
    timeout_s = None
    if form.timeout:
        try:
            timeout_s = float(form.timeout) if len(form.timeout) <= NUMBER_LENGTH_MAX else float("nan")
        except ValueError:
            timeout_s = float("nan")
        if timeout_s != timeout_s:  # noqa: PLR0124 - not a number
            errors["timeout"] = _("A number of seconds, such as 5 or 0.5; leave it empty for what steps say.")
    calls = read_number(form.max_concurrency)
    if calls is None:
        errors["max_concurrency"] = _("A whole number, such as 50.")
    if errors or calls is None:
        return None, replace(form, errors=errors)
    return Wanted(
        kind=form.kind,
        base_url=form.base_url,
        timeout_s=timeout_s,
        max_concurrency=calls,
        allow_private=form.allow_private,
        follows_redirects=form.follows_redirects,
        secret=form.secret or None,
    ), form


def with_problems(form: ServiceForm, problems: Iterable[Problem]) -> ServiceForm:
    """Put each problem beside its field; those of no field together under the empty name."""
    errors: dict[str, str] = {}
    for problem in problems:
        member = problem.pointer.removeprefix("/")
        name = member if member in _FIELDS else ""
        _add(errors, name, problem.message)
    return replace(form, errors=errors)


def without_secrets(form: ServiceForm, before: Service | None) -> ServiceForm:
    """Return the form as it may be sent back: a password and a secret have to be typed again, and it says so."""
    errors = dict(form.errors)
    base_url = form.base_url
    if before is None or base_url != address_of(before):
        base_url = without_password(form.base_url)
    if base_url != form.base_url:
        _add(errors, "base_url", _("Type the password again: it was not sent back."))
    if form.secret:
        _add(errors, "secret", _("Type the secret again: it was not sent back."))
    return replace(form, secret="", base_url=base_url, errors=errors)


def _add(errors: dict[str, str], name: str, said: str) -> None:
    errors[name] = f"{errors[name]} {said}" if name in errors else said


def read_number(text: str) -> int | None:
    """Return a whole number; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - revisions
