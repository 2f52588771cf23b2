"""Composition: what happens once when Django has loaded the app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SagasConfig(AppConfig):
    """The app that does it all; reusable in any Django project."""

    name = "sagas"
    verbose_name = "Sagas"

    def ready(self) -> None:
        """Connect the signals and checks; close django-q2's door to the admin."""
        from sagas import access, checks, queue  # noqa: F401 - models can be imported only now

        post_migrate.connect(access.create_roles, sender=self, dispatch_uid="sagas.roles")
        queue.hide_admins()
