"""The product's own settings, plus the mixed sagas' actions."""

from __future__ import annotations

from sagaweb.settings import *  # noqa: F403
from sagaweb.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.mixed"]
