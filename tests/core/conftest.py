"""Says at the end how many runs the law was held against."""

from __future__ import annotations

import pytest

ENUMERATED = pytest.StashKey[dict[str, int]]()


@pytest.fixture
def enumerated(request):
    """Return the counts that the summary prints: definitions, states, whole runs."""
    return request.config.stash.setdefault(ENUMERATED, {"definitions": 0, "states": 0, "runs": 0})


def pytest_terminal_summary(terminalreporter, config):
    """Print what was enumerated."""
    counts = config.stash.get(ENUMERATED, None)
    if counts:
        terminalreporter.write_line(
            f"the law: {counts['runs']:,} whole runs of {counts['definitions']} definitions enumerated, "
            f"over {counts['states']:,} states"
        )
