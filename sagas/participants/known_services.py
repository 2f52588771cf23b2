"""The services that may be called, as participants need them: read from the registry, secrets opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from django.db import DatabaseError

from sagas.core.sealed import Hidden
from sagas.models import Service
from sagas.sealing import opened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sagas.core.vocabulary import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownService:
    """One service of the registry. Never shown or logged: it holds secrets."""

    name: str
    kind: str
    base_url: str
    password: str = ""
    secrets: tuple[str, ...] = ()  # those that sign, newest first
    timeout_s: float | None = None
    max_concurrency: int = 100
    allow_private: bool = False
    follows_redirects: bool = False
    is_held: bool = False

    def __repr__(self) -> str:
        return f"<KnownService {self.name}>"


def load(now: datetime) -> Mapping[str, KnownService]:
    """Return every service of the registry, by name. One query."""
    return {row.name: _known(row, now) for row in Service.objects.all()}


def kinds() -> Mapping[str, str] | None:
    """Return the kind of every service by its name; None where the registry cannot be read, as without a database."""
    try:
        return dict(Service.objects.values_list("name", "kind"))
    except DatabaseError:
        return None


def _known(row: Service, now: datetime) -> KnownService:
    is_former_valid = row.former_secret_until is not None and row.former_secret_until > now
    sealed = (row.secret, row.former_secret if is_former_valid else None)
    secrets = (opened(value) for value in sealed if value is not None)
    password = opened(row.password)
    return KnownService(
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        password=password if _is_open(password) else "",
        secrets=tuple(secret for secret in secrets if _is_open(secret)),
        timeout_s=row.timeout_s,
        max_concurrency=row.max_concurrency,
        allow_private=row.allow_private,
        follows_redirects=row.follows_redirects,
        is_held=row.is_held,
    )


def _is_open(value: Json) -> TypeGuard[str]:
    """Whether a secret could be opened: one whose key is lost is no secret, and `•••` is never sent as one."""
    return isinstance(value, str) and not isinstance(value, Hidden)
