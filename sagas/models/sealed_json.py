"""A JSON column some of whose parts may be sealed: whoever reads it finds `•••` there, and no more."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from sagas.core.sealed import MARK, Hidden, as_stored, from_stored, holds_hidden

_SIGN = f'"{MARK}"'


class SealedJSONField(models.JSONField):
    """JSON whose sealed parts are read as `Hidden` and written as they were sealed.

    Safe by default: pages, the API, the admin and exports show what they read.
    The engine opens what it reads (`sagas.sealing.opened`).
    """

    def deconstruct(self) -> Any:
        """Be a JSON column to migrations: the database sees no difference."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Read a column, or a part of one."""
        if isinstance(value, str) and _SIGN in value:
            return json.loads(value, object_hook=from_stored)
        return super().from_db_value(value, expression, connection)

    def get_prep_value(self, value: Any) -> Any:
        """Write hidden parts as they are sealed."""
        value = super().get_prep_value(value)
        return as_stored(value) if isinstance(value, Hidden | dict | list) and holds_hidden(value) else value
