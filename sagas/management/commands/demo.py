"""Load the demo: the shop's shelves and its sagas. Loading it again changes nothing."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from sagas.catalog import publish

BY = "demo"


class Command(BaseCommand):
    """`manage.py demo`."""

    help = "Load the demo shop: stock, and the sagas create-order and prepaid-order. Safe to repeat."

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
        for source in shop.demo_definitions():
            published = publish.publish(source, by=BY, is_demo=True)
            version = published.version
            news = "published" if published.is_new else "is there already"
            self.stdout.write(f"{version.saga.name} version {version.number} {news}")
