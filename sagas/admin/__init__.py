"""The admin: everything can be looked at, nothing edited; orders go through the engine."""

from __future__ import annotations

from sagas.admin import order, run, saga, step, token

__all__ = ["order", "run", "saga", "step", "token"]
