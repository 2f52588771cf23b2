"""Who is asked by an approval, in words."""

from __future__ import annotations

from django.utils.translation import gettext as _

from sagas.access import role_asked
from sagas.core.vocabulary import Role


def asked_words(group: str) -> str:
    """Name whom an approval asks, fit to stand inside a sentence."""
    match role_asked(group):
        case Role.VIEWER:
            return _("anybody who may see this run")
        case Role.OPERATOR:
            return _("an operator, an author or an admin")
        case Role.AUTHOR:
            return _("an author or an admin")
        case Role.ADMIN:
            return _("an admin")
    return _("somebody of the group “%(group)s”, or an admin") % {"group": group}


def refusal_words(group: str) -> str:
    """Say to somebody who is not asked that they may not answer, and who may."""
    return _("You may not answer this. It takes %(who)s.") % {"who": asked_words(group)}
