"""Who may do what: four roles kept as Django groups, API tokens, one-time sign-in links.

Secrets are shown once and stored as SHA-256; they are random enough (256 bits)
that a slow hash would add nothing, and a lookup by hash compares in constant time.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from sagas.core.vocabulary import Role
from sagas.models import ApiToken, SignInLink

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser

ROLES = tuple(Role)  # weakest first; each includes those before it
TOKEN_PREFIX = "sgw_"  # noqa: S105 - a mark that secret scanners can look for, not a secret
LAST_USED_EVERY = timedelta(minutes=1)  # a busy token must not cost a write per request

_READABLE = (
    "saga",
    "sagaversion",
    "sagarun",
    "steprun",
    "order",
    "journalentry",
    "service",
    "servicechange",
    "webhookchange",
)
_PERMISSIONS: dict[Role, tuple[tuple[str, str], ...]] = {
    Role.VIEWER: (),
    Role.OPERATOR: tuple(("sagas", f"view_{model}") for model in _READABLE),
    Role.AUTHOR: tuple(("sagas", f"view_{model}") for model in _READABLE),
    Role.ADMIN: (
        *(("sagas", f"view_{model}") for model in (*_READABLE, "apitoken")),
        *(("auth", f"{verb}_{model}") for verb in ("view", "add", "change", "delete") for model in ("user", "group")),
    ),
}


class TokenNameTakenError(Exception):
    """There is a token of this name already; names tell tokens apart in the list and in the journal."""


def includes(role: Role | None, needed: Role) -> bool:
    """Return whether somebody of `role` may do what `needed` may."""
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody may do: by their role, and by the other groups they belong to. A token belongs to none."""

    role: Role | None = None
    groups: frozenset[str] = frozenset()

    def may_answer(self, group: str) -> bool:
        """Return whether they may answer an approval that asks `group`.

        A role's name, or its plural, asks people of that role and those above
        it; any other name asks those who belong to the Django group of that
        name. An admin may answer everything: an admin may do all, and so no
        run waits for ever for a group that nobody is in.
        """
        wanted = role_asked(group)
        if includes(self.role, wanted or Role.ADMIN):
            return True
        return wanted is None and self.role is not None and group in self.groups

    @property
    def answerable(self) -> frozenset[str] | None:
        """The groups for which they may answer; None for an admin: all."""
        if self.role is Role.ADMIN:
            return None
        named = {name for role in ROLES for name in _names_of(role)}
        return frozenset(group for group in named | self.groups if self.may_answer(group))


def role_asked(group: str) -> Role | None:
    """Return the role that the `group` of an approval names, such as `operator` or `operators`; None for a group."""
    return next((role for role in ROLES if group in _names_of(role)), None)


def _names_of(role: Role) -> tuple[str, str]:
    return role.value, f"{role.value}s"


def standing_of(user: AbstractUser | AnonymousUser) -> Standing:
    """Return what a person may do; nothing for a stranger or somebody inactive. One query."""
    if not user.is_authenticated or not user.is_active:
        return Standing()
    names = frozenset(user.groups.values_list("name", flat=True))
    strongest = max((role for role in ROLES if role.value in names), key=ROLES.index, default=None)
    return Standing(Role.ADMIN if user.is_superuser else strongest, names)


def role_of(user: AbstractUser | AnonymousUser) -> Role | None:
    """Return the strongest role of a person; None for a stranger or somebody inactive. One query."""
    return standing_of(user).role


def has_role(user: AbstractUser | AnonymousUser, needed: Role) -> bool:
    """Return whether a person may do what `needed` may (admin > author > operator > viewer)."""
    return includes(role_of(user), needed)


def grant_role(user: AbstractUser, role: Role | None) -> None:
    """Give a person exactly this role, or none. Operators and above may enter the admin."""
    with transaction.atomic():
        user.groups.remove(*Group.objects.filter(name__in=ROLES))
        if role is not None:
            user.groups.add(Group.objects.get_or_create(name=role.value)[0])
        user.is_staff = includes(role, Role.OPERATOR)
        user.save(update_fields=["is_staff"])


def create_roles(using: str = "default", **_signal: Any) -> None:
    """Make the four groups and what they may see in the admin. Runs after each migrate; adds only."""
    for label in ("sagas", "auth"):
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    found = {
        (permission.content_type.app_label, permission.codename): permission
        for permission in Permission.objects.using(using)
        .filter(content_type__app_label__in=("sagas", "auth"))
        .select_related("content_type")
    }
    for role, wanted in _PERMISSIONS.items():
        group, _ = Group.objects.using(using).get_or_create(name=role.value)
        group.permissions.add(*(found[key] for key in wanted))


def make_token(name: str, role: Role, expires_at: datetime | None) -> str:
    """Return a new bearer token. It cannot be read again.

    Raises:
        TokenNameTakenError: the name is in use, also by a revoked token.
    """
    raw = TOKEN_PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            ApiToken.objects.create(name=name, role=role.value, token_hash=_digest(raw), expires_at=expires_at)
    except IntegrityError:
        message = f"There is a token named {name!r} already."
        raise TokenNameTakenError(message) from None
    return raw


def find_token(raw: str) -> ApiToken | None:
    """Return the valid token behind a bearer string, or None: unknown, revoked or expired."""
    now = timezone.now()
    token = (
        ApiToken.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))
        .filter(token_hash=_digest(raw), revoked_at__isnull=True)
        .first()
    )
    if token is not None and (token.last_used_at is None or token.last_used_at <= now - LAST_USED_EVERY):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def revoke_token(token: ApiToken) -> bool:
    """End a token now; False when it was revoked before."""
    return bool(ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()))


def make_sign_in_link(user: AbstractUser, *, minutes: int = 30) -> str:
    """Return the secret of a link that signs `user` in once, within `minutes`."""
    raw = secrets.token_urlsafe(32)
    SignInLink.objects.create(
        token_hash=_digest(raw), user_id=user.pk, expires_at=timezone.now() + timedelta(minutes=minutes)
    )
    return raw


def find_sign_in_link(raw: str) -> AbstractUser | None:
    """Return the person whom a link would sign in now; None as with `redeem_sign_in_link`. Uses nothing up."""
    link = SignInLink.objects.select_related("user").filter(
        token_hash=_digest(raw), used_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True
    )
    return next((one.user for one in link), None)


def redeem_sign_in_link(raw: str) -> AbstractUser | None:
    """Return the person a link signs in, and use it up; None when unknown, used, expired or inactive.

    One compare-and-set UPDATE, so that of two clicks at once only one wins.
    """
    now = timezone.now()
    link = SignInLink.objects.filter(token_hash=_digest(raw), used_at__isnull=True, expires_at__gt=now)
    if not link.update(used_at=now):
        return None
    user = SignInLink.objects.select_related("user").get(token_hash=_digest(raw)).user
    return user if user.is_active else None


def _digest(raw: str) -> str:
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
