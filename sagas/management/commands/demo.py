"""Load the demo: the shop's shelves and its sagas. Loading it again changes nothing that a person made."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from sagas.catalog import publish
from sagas.catalog.errors import PublishConflictError
from sagas.models import Saga

BY = "the demo"  # a name with a space is nobody's


class Command(BaseCommand):
    """`manage.py demo`."""

    help = "Load the demo shop: its stock and its three sagas. What a person published over them stays."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Load it.

        Raises:
            CommandError: the demo shop is not installed.
        """
        if not apps.is_installed("shop"):
            message = "The demo shop is not installed here: set SAGAWEB_DEMO=1."
            raise CommandError(message)
        shop: Any = apps.get_app_config("shop")  # examples/ is outside the package: its type is not known here
        shop.load_demo()
        if apps.is_installed("business"):
            business: Any = apps.get_app_config("business")  # its sagas are published by whoever wants to see them
            business.load_demo()
        for source in shop.demo_definitions():
            self.stdout.write(_load(source))


def _load(source: str) -> str:
    """Publish a shipped document where nobody else has published one, and say what was done."""
    name = (publish.check(source).document or {}).get("saga", "")
    saga = Saga.objects.select_related("latest").filter(name=name).first()
    latest = saga.latest if saga else None
    base = latest.number if latest and latest.published_by == BY else 0
    try:
        published = publish.publish(source, by=BY, base=base, is_demo=True)
    except PublishConflictError as conflict:
        return f"{name} version {conflict.latest} is somebody's own and was left alone"
    news = "published" if published.is_new else "is there already"
    return f"{name} version {published.version.number} {news}"
