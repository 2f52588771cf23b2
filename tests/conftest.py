"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.everywhere import CHROMIUM

settings.register_profile("test", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("unshrunk", settings.get_profile("test"), phases=(Phase.explicit, Phase.generate))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return where Chromium is; tests that need it are skipped where it is not."""
    for name in CHROMIUM:
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed")


PURE = tuple(str(Path(__file__).parent / name) for name in ("core", "simulation"))


def pytest_collection_modifyitems(items):
    """Mark what only computes, and so need not run once for each database."""
    for item in items:
        if str(item.path).startswith(PURE):
            item.add_marker(pytest.mark.pure)


def pytest_sessionfinish(session):
    """Where everything is demanded a skipped test is a failed one, but for what the other database or `prove` runs."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("TEST_DEMAND") or reporter is None:
        return
    whys = (report.longrepr[2] for report in reporter.stats.get("skipped", []))
    skipped = [why for why in whys if not any(word in why for word in ("PostgreSQL", "SQLite", " only"))]
    if skipped and session.exitstatus == 0:
        print(f"\nSkipped, though everything is demanded: {skipped}")
        session.exitstatus = 1
