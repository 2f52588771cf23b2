"""Who may watch: the session behind the socket's cookie, asked again while the socket lives."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import auth

from sagas.access import has_role
from sagas.core.vocabulary import Role
from sagas.guard import session_key

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def find_viewer(scope: dict[str, Any]) -> AbstractBaseUser | AnonymousUser | None:
    """Return the signed-in person if they may look at runs, read afresh; None otherwise.

    Reads the session from its store each time, so a sign-out, a changed
    password, a lost role or a switched-off person count at once.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    session = store(session_key(scope["cookies"]))
    user = auth.get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]
    return user if user.is_active and has_role(user, Role.VIEWER) else None
