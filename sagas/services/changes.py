"""Changing the registry of services: the only writer of it. Each change is written down with who, when and why.

What comes back may hold a secret that was made here: it is shown once, by
whoever asked, and cannot be read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from sagas.core.limits import SERVICES_MAX
from sagas.core.problem import Problem, nearest, sayable
from sagas.core.sealed import MASK
from sagas.models import Service, ServiceChange, ServiceKind, ServiceVerb
from sagas.queries import services as queries
from sagas.sealing import opened, seal
from sagas.services.address import shown_address
from sagas.services.errors import (
    ServiceInUseError,
    ServiceInvalidError,
    ServiceStaleError,
    ServiceStateError,
    ServiceUnknownError,
)
from sagas.services.secret import new_secret, secret_problem
from sagas.services.wanted import FORMER_VALID_S, check_former_valid, check_name, check_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sagas.core.vocabulary import Json
    from sagas.services.address import Address
    from sagas.services.wanted import Wanted

REASON_LENGTH_MAX = 1_000  # as of an order: a few sentences
_COLUMNS = ("kind", "base_url", "timeout_s", "max_concurrency", "allow_private", "follows_redirects")


@dataclass(frozen=True, slots=True)
class Done:
    """What a change came to. `secret` is one that was made here, to be shown this once; else empty."""

    service: Service
    is_new: bool = False
    has_changed: bool = True
    secret: str = field(default="", repr=False)


def put_service(name: str, wanted: Wanted, *, by: str, revision: int | None = None, reason: str = "") -> Done:
    """Make a service what is wanted; make one where there is none. The same again changes nothing.

    Another secret than the present one becomes the present one, and that one
    stays valid for a day beside it.

    Raises:
        ServiceInvalidError: with everything that is wrong.
        ServiceInUseError: it would be of another kind, and a run that has not ended calls it as it is.
        ServiceStaleError: `revision` is not the present one.
    """
    check_name(name)
    _check_reason(reason)
    try:
        with transaction.atomic():
            before = Service.objects.select_for_update().filter(name=name).first()
            _check_revision(name, before, revision)
            address = check_wanted(wanted, before)
            if before is None:
                return _create(name, wanted, address, by=by, reason=reason)
            if wanted.kind != before.kind and (runs := queries.open_runs_naming(name, before.kind)):
                raise ServiceInUseError(name, (), runs)
            return _change(before, wanted, address, by=by, reason=reason)
    except IntegrityError:  # somebody made it in between
        raise ServiceStaleError(name, 1) from None


def rotate_secret(
    name: str,
    *,
    by: str,
    secret: str | None = None,
    former_valid_s: float = FORMER_VALID_S,
    revision: int | None = None,
    reason: str = "",
) -> Done:
    """Give a service another secret, made here when none is given; the present one stays valid for a while.

    Raises:
        ServiceUnknownError, ServiceStaleError, ServiceInvalidError: nothing was changed.
    """
    _check_reason(reason)
    check_former_valid(former_valid_s)
    problem = secret_problem(secret) if secret is not None else None
    if problem is not None:
        raise ServiceInvalidError([problem])
    with transaction.atomic():
        service = _locked(name, revision)
        if secret is not None and opened(service.secret) == secret:
            return Done(service, has_changed=False)
        made = new_secret() if secret is None else ""
        _set_secret(service, secret or made, timezone.now(), former_valid_s)
        until = service.former_secret_until
        facts: dict[str, Json] = {"former_secret_until": [None, until.isoformat() if until else None]}
        _save(service, ServiceVerb.SECRET_ROTATED, by=by, reason=reason, fields=facts)
        return Done(service, secret=made)


def drop_former_secret(name: str, *, by: str, revision: int | None = None, reason: str = "") -> Done:
    """End the former secret now.

    Raises:
        ServiceUnknownError, ServiceStaleError, ServiceInvalidError: nothing was changed.
        ServiceStateError: there is none, or it has ended.
    """
    _check_reason(reason)
    with transaction.atomic():
        service = _locked(name, revision)
        if service.former_secret_until is None or service.former_secret_until <= timezone.now():
            message = f"The service {name!r} has no former secret that is still valid."
            raise ServiceStateError(message)
        service.former_secret, service.former_secret_until = None, None
        _save(service, ServiceVerb.FORMER_SECRET_DROPPED, by=by, reason=reason)
        return Done(service)


def hold(name: str, *, by: str, reason: str, revision: int | None = None) -> Done:
    """Let no run enter a service until somebody lets go. Calls in flight end.

    Raises:
        ServiceUnknownError, ServiceStaleError, ServiceStateError, ServiceInvalidError: nothing was changed.
    """
    _check_reason(reason, is_needed=True)
    with transaction.atomic():
        service = _locked(name, revision)
        if service.is_held:
            message = f"The service {name!r} is held already, by {service.held_by}."
            raise ServiceStateError(message)
        service.is_held, service.held_by, service.held_reason = True, by, reason.strip()
        service.held_at = timezone.now()
        _save(service, ServiceVerb.HELD, by=by, reason=reason)
        return Done(service)


def release(name: str, *, by: str, reason: str = "", revision: int | None = None) -> Done:
    """Let runs enter a service again.

    Raises:
        ServiceUnknownError, ServiceStaleError, ServiceStateError, ServiceInvalidError: nothing was changed.
    """
    _check_reason(reason)
    with transaction.atomic():
        service = _locked(name, revision)
        if not service.is_held:
            message = f"The service {name!r} is not held."
            raise ServiceStateError(message)
        service.is_held, service.held_by, service.held_reason, service.held_at = False, "", "", None
        _save(service, ServiceVerb.RELEASED, by=by, reason=reason)
        return Done(service)


def delete(name: str, *, by: str, revision: int | None = None, reason: str = "") -> None:
    """Take a service out of the registry, with its figures. What was done to it stays written down.

    Raises:
        ServiceInUseError: a saga's latest version names it, or a run that has not ended needs it.
        ServiceUnknownError, ServiceStaleError, ServiceInvalidError: nothing was changed.
    """
    _check_reason(reason)
    with transaction.atomic():
        service = _locked(name, revision)
        sagas, runs = queries.sagas_naming(name), queries.open_runs_naming(name)
        if sagas or runs:
            raise ServiceInUseError(name, tuple(use.saga for use in sagas), runs)
        _write_down(service, ServiceVerb.DELETED, by=by, reason=reason, fields={})
        service.delete()


def _create(name: str, wanted: Wanted, address: Address, *, by: str, reason: str) -> Done:
    if Service.objects.count() >= SERVICES_MAX:
        message = f"The registry is full: it holds {SERVICES_MAX} services."
        raise ServiceInvalidError([Problem(message, code="too_many")])
    made = new_secret() if wanted.secret is None and wanted.kind == ServiceKind.HTTP else ""
    secret = wanted.secret or made
    service = Service(name=name, **_columns(wanted, address))
    service.password = None if address.password is None else seal(address.password)
    service.secret = seal(secret) if secret else None
    service.save(force_insert=True)
    fields = {key: [None, value] for key, value in _shown(service).items()}
    _write_down(service, ServiceVerb.CREATED, by=by, reason=reason, fields=fields)
    return Done(service, is_new=True, secret=made)


def _change(service: Service, wanted: Wanted, address: Address, *, by: str, reason: str) -> Done:
    before = _shown(service)
    fields: dict[str, Json] = {}
    for column, value in _columns(wanted, address).items():
        setattr(service, column, value)
    if address.password != MASK and address.password != opened(service.password):
        service.password = None if address.password is None else seal(address.password)
        fields["password"] = "removed" if address.password is None else "changed"
    if wanted.secret not in {None, MASK, opened(service.secret)}:
        _set_secret(service, wanted.secret or "", timezone.now(), FORMER_VALID_S)
        fields["secret"] = "changed"  # noqa: S105 - a word
    after = _shown(service)
    fields |= {key: [before[key], after[key]] for key in after if before[key] != after[key]}
    if not fields:
        return Done(service, has_changed=False)
    _save(service, ServiceVerb.CHANGED, by=by, reason=reason, fields=fields)
    return Done(service)


def _columns(wanted: Wanted, address: Address) -> dict[str, Json]:
    found: dict[str, Json] = {name: getattr(wanted, name) for name in _COLUMNS}
    return found | {"base_url": address.base_url}


def _shown(service: Service) -> dict[str, Json]:
    """Return what may be told of a service, as `ServiceChange` keeps it."""
    found: dict[str, Json] = {name: getattr(service, name) for name in _COLUMNS}
    return found | {"base_url": shown_address(service.base_url, has_password=service.password is not None)}


def _set_secret(service: Service, secret: str, now: datetime, former_valid_s: float) -> None:
    is_kept = service.secret is not None and former_valid_s > 0
    service.former_secret = service.secret if is_kept else None
    service.former_secret_until = now + timedelta(seconds=former_valid_s) if is_kept else None
    service.secret = seal(secret)


def _locked(name: str, revision: int | None) -> Service:
    service = Service.objects.select_for_update().filter(name=name).first()
    if service is None:
        near = nearest(name, Service.objects.values_list("name", flat=True)[:SERVICES_MAX])
        raise ServiceUnknownError(name, f" Did you mean {near!r}?" if near else "")
    _check_revision(name, service, revision)
    return service


def _check_revision(name: str, service: Service | None, revision: int | None) -> None:
    present = service.revision if service is not None else 0
    if revision is not None and revision != present:
        raise ServiceStaleError(name, present)


def _check_reason(reason: str, *, is_needed: bool = False) -> None:
    if is_needed and not reason.strip():
        raise ServiceInvalidError([Problem("Say why: it is written down.", pointer="/reason", code="missing")])
    if len(reason) > REASON_LENGTH_MAX:
        message = f"A reason has at most {REASON_LENGTH_MAX} characters."
        raise ServiceInvalidError([Problem(message, pointer="/reason", code="too_long")])
    if "\0" in reason or sayable(reason) != reason:
        message = "A reason holds no NUL and no half of a surrogate pair: they cannot be stored."
        raise ServiceInvalidError([Problem(message, pointer="/reason", code="wrong_value")])


def _save(
    service: Service, verb: ServiceVerb, *, by: str, reason: str, fields: Mapping[str, Json] | None = None
) -> None:
    service.revision += 1
    service.save()
    _write_down(service, verb, by=by, reason=reason, fields=fields or {})


def _write_down(service: Service, verb: ServiceVerb, *, by: str, reason: str, fields: Mapping[str, Json]) -> None:
    ServiceChange.objects.create(
        service_name=service.name, verb=verb.value, by=by, reason=reason.strip(), fields=dict(fields), at=timezone.now()
    )
