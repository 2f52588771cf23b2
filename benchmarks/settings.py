"""The product's own settings, plus actions that do nothing."""

from __future__ import annotations

from sagaweb.settings import *  # noqa: F403
from sagaweb.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.noop"]
