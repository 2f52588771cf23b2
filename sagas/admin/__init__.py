"""The admin: everything can be looked at, nothing edited; orders go through the engine."""

from __future__ import annotations

from sagas.admin import login, order, registry, run, saga, step, token

__all__ = ["login", "order", "registry", "run", "saga", "step", "token"]
