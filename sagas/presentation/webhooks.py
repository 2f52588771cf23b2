"""Changes of webhook subscriptions, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from sagas.core.vocabulary import Json
    from sagas.models import WebhookChange

FIELDS = {
    "url": gettext_lazy("address"),
    "kinds": gettext_lazy("changes"),
    "saga": gettext_lazy("saga"),
    "events": gettext_lazy("events"),
    "except_source": gettext_lazy("but for those of"),
    "gets_redacted": gettext_lazy("redacted values"),
    "allow_private": gettext_lazy("private addresses"),
    "is_enabled": gettext_lazy("told"),
}


def webhook_change_words(change: WebhookChange) -> tuple[str, ...]:
    """Say what a change changed, field by field."""
    said = []
    for name, label in FIELDS.items():
        match change.fields.get(name):
            case [None, after]:
                said.append(f"{label}: {_words(name, after)}")
            case [before, after]:
                said.append(f"{label}: {_words(name, before)} → {_words(name, after)}")
    return tuple(said)


def _words(name: str, value: Json) -> str:
    match value:
        case bool():
            return _("yes") if value else _("no")
        case []:
            return _("none chosen")
        case list():
            return ", ".join(str(one) for one in value)
        case "":
            return _("every saga") if name == "saga" else _("none")
    return str(value)
