"""The barrier's table as an app of its own: a participant's project installs it without the rest of Sagaweb."""

from __future__ import annotations

from django.apps import AppConfig


class BarrierConfig(AppConfig):
    """Holds one table, in each database whose actions pass a barrier."""

    name = "sagas.barrier"
    label = "sagas_barrier"  # `barrier` alone may be somebody's own app
    verbose_name = "Saga barrier"
