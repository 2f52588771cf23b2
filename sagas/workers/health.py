"""Whether the product can do its work: database, migrations, a live pump."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from sagas.models import PumpSlot

BEAT_AGE_MAX = timedelta(seconds=10)  # a pump beats each second; clocks of two machines differ a little


def has_live_pump() -> bool:
    """Return whether some pump, on any machine, has beaten lately."""
    return PumpSlot.objects.filter(beat_at__gte=timezone.now() - BEAT_AGE_MAX).exists()


def count_unapplied_migrations() -> int:
    """Return how many migrations the database lacks."""
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@cache
def _once_migrated() -> bool:
    """Return True, and remember it: a database does not lose migrations, and looking costs 100 ms.

    Raises:
        LookupError: some are missing; this is not remembered.
    """
    if missing := count_unapplied_migrations():
        raise LookupError(missing)
    return True


def find_problems() -> dict[str, str]:
    """Return what keeps the product from working, by part; empty when all is well."""
    try:
        _once_migrated()
        if not has_live_pump():
            return {"pumps": "no pump is running"}
    except LookupError as missing:
        return {"migrations": f"{missing} not applied"}
    except (DatabaseError, InterfaceError):
        return {"database": "does not answer"}
    return {}
