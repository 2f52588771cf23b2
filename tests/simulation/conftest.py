"""One world for all tests of a module: it begins anew for each case."""

from __future__ import annotations

import pytest

from tests.simulation.world import a_world


@pytest.fixture(scope="module")
def world(django_db_blocker):
    with django_db_blocker.unblock(), a_world() as made:
        yield made
